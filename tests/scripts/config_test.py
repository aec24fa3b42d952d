"""`folio config show`: who wins, and what it says of it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = os.environ["FOLIO_PROGRAM"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("FOLIO_")}


def folio(*words, code=0, **variables):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, env=CLEAN | variables)
    assert done.returncode == code, (words, done)
    return done.stdout if code == 0 else done.stderr


def main():
    with tempfile.TemporaryDirectory(prefix="folio 설정 ") as name:
        folder = pathlib.Path(name)
        text, run, file = folder / "text.txt", folder / "run", folder / "deep.toml"
        text.write_text("to be or not to be, that is the question. " * 100)
        folio("train", "--data", text, "--out", run, "--layers", 1, "--heads", 1, "--embd", 8, "--context", 16, "--steps",
              2, "--batch", 2, "--quiet", "--weight-decay", "0.25")
        lines = (run / "config.toml").read_text().splitlines()
        file.write_text("# mine\nlr = 0.5\nclip = 3\nwarmup = 7\n")

        words = ("config", "show", run, "--config", file, "--set", "clip=4", "--beta1", "0.8", "--origin")
        variables = {"FOLIO_WARMUP": "9", "FOLIO_SEED": "5"}
        told = json.loads(folio(*words, "--json", **variables))
        expected = {
            "beta1": {"value": 0.8, "origin": "flag", "where": "--beta1"},
            "warmup": {"value": 9, "origin": "environment", "where": "FOLIO_WARMUP"},
            "seed": {"value": 5, "origin": "environment", "where": "FOLIO_SEED"},
            "clip": {"value": 4, "origin": "set", "where": "--set clip"},
            "lr": {"value": 0.5, "origin": "config", "where": str(file), "line": 2},
            "weight-decay": {"value": 0.25, "origin": "run", "where": str(run / "config.toml")},
        }
        for key, value in expected.items():
            assert told[key] | value == told[key], (key, told[key])
        for key, value in told.items():
            if value["origin"] == "run":
                assert lines[value["line"] - 1].startswith(f"{key} = "), (key, value)
        shown = folio(*words, **variables)
        assert f"lr = 0.5" in shown and f"# {file}, line 2\n" in shown, shown
        plain = json.loads(folio("config", "show", "--lr", "0.125", "--origin", "--json"))
        assert {one["origin"] for key, one in plain.items() if key != "lr"} == {"default"}, plain

        # Both forms are TOML that --config takes, and change nothing.
        for form in ((), ("--origin",)):
            again = folder / "again.toml"
            again.write_text(folio(*words[:-1], *form, **variables))
            assert json.loads(folio("config", "show", "--config", again, "--json")) == {
                key: one["value"] for key, one in told.items()}
        assert max(map(len, folio("config", "show").splitlines())) <= 80

        # What a run has by itself is shown, and the file that is shown makes the same run.
        flags = ("--layers", 1, "--heads", 1, "--embd", 8, "--context", 16, "--batch", 2, "--steps", 20, "--lr", "5e-4")
        shown = json.loads(folio("config", "show", *flags, "--json"))
        assert (shown["warmup"], shown["min-lr"]) == (2, 5e-5), shown
        again.write_text(folio("config", "show", *flags))
        begin = ("train", "--data", text, "--stop-after", 1, "--quiet", "--out")
        folio(*begin, folder / "by flags", *flags, code=75)
        folio(*begin, folder / "by file", "--config", again, code=75)
        folio(*begin, folder / "tuned by flags", "--from", run, "--steps", 30, code=75)
        again.write_text(folio("config", "show", "--from", run, "--steps", 30))
        folio(*begin, folder / "tuned by file", "--config", again, code=75)
        for how in ("by", "tuned by"):
            made = [(folder / f"{how} {what}/config.toml").read_text() for what in ("flags", "file")]
            assert made[0] == made[1], made

        # Groups are read wherever they stand, and where they stand is said.
        again.write_text('steps = 3\ngroup = ["wte*: speed 2"]\n')
        said = folio("config", "show", "--config", again, code=65)
        assert f"{again}, line 2: the group" in said, said
        assert "--group: the group" in folio("config", "show", "--group", "wte*: speed 2", code=2)
        config = run / "config.toml"
        kept = config.read_text()
        line = next(n for n, line in enumerate(kept.splitlines(), 1) if line.startswith("group = "))
        config.write_text(kept.replace("group = []", 'group = ["wte*: rate"]'))
        said = folio("config", "show", run, code=65)
        assert f"{config}, line {line}: the group" in said, said
        config.write_text(kept[:-1])
        assert "is damaged: its last line has no end" in folio("config", "show", run, code=65)
        lines = kept.splitlines(keepends=True)  # cut behind any of them, but for those that older folios did not write
        last = next(n for n, line in enumerate(lines) if line.startswith("threads = "))
        for n in range(1, last + 1):
            config.write_text("".join(lines[:n]))
            said = folio("config", "show", run, code=65)
            assert "is damaged: it ends before `threads`" in said, said
        config.write_text("".join(lines[:last + 1]))
        folio("config", "show", run)
        config.write_text(kept)

        # Variables whose name is that of a flag elsewhere: they are not read there.
        for verb, flag, value in (("train", "data", "/nowhere"), ("eval", "data", "/nowhere"), ("export", "dtype", "f32"),
                                  ("bench", "prompt", "to be")):
            flags = {one["name"]: one for one in json.loads(folio("help", verb, "--json"))["flags"]}
            assert flags[flag]["environment"] == "", (verb, flags[flag])
        exported = json.loads(folio("export", run, "--out", folder / "small", "--json", FOLIO_DTYPE="f32"))
        assert exported["dtype"] == "bf16", exported
        folio("bench", "decode", "--layers", 1, "--heads", 1, "--embd", 8, "--vocab", 300, "--context", 16, "--prompt", 4,
              "--max-new-tokens", 2, "--repeat", 1, FOLIO_PROMPT="to be")

        assert "no run directory" in folio("config", "show", folder / "nothing", code=66)
        assert "takes show here" in folio("config", "shove", code=2)
        file.write_text("stepz = 3\n")
        assert "did you mean steps" in folio("config", "show", "--config", file, code=65)

        paths = {one["name"]: one for one in json.loads(folio("info", "--paths", "--json", FOLIO_DATA=name))}
        assert paths["data"]["path"] == name and paths["data"]["there"] and not paths["vocabulary"]["there"], paths
        assert paths["program"]["path"] == os.path.realpath(PROGRAM), paths["program"]
        for shell in ("bash", "zsh", "fish", "manual"):
            assert paths[shell]["there"] == os.path.exists(paths[shell]["path"])
        assert "not there" in folio("info", "--paths", FOLIO_DATA="/nowhere")
    return 0


if __name__ == "__main__":
    sys.exit(main())

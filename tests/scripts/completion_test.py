"""The completions and the manual pages know every verb and every flag that the parser knows, and no other; bash completes
for real, at a terminal; the shells that are there read the scripts; groff and mandoc have nothing to say on the pages."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ["FOLIO_PROGRAM"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FOLIO_")} | {"LC_ALL": "C.UTF-8"}


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, check=True, **options).stdout


def folio(*words):
    return run(PROGRAM, *words)


def flags_by_verb():
    flags = {}
    for verb in json.loads(folio("help", "--json")):
        about = json.loads(folio(verb["verb"], "--help", "--json"))
        names = {"--quiet", "--help"} | ({"--config", "--set"} if about["takes_config"] else set())
        for flag in about.get("flags", []):
            names |= {"--" + flag["name"]} | ({"--no-" + flag["name"]} if flag["default"] is True else set())
        flags[verb["verb"]] = names
    return flags


def completed(script, folder, *words):
    """What bash offers for the last word."""
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    return run("bash", "--norc", "-c", f'source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _folio; '
               'printf "%s\\n" "${COMPREPLY[@]}"', cwd=folder).split("\n")[:-1]


def check_bash(script, flags, folder):
    (folder / "파일 one.txt").write_text("")
    (folder / "other").mkdir()
    offered = set(completed(script, folder, "folio", ""))
    assert offered == set(flags) | {"help", "--help", "--version"}, offered ^ set(flags)
    for verb, names in flags.items():
        assert set(completed(script, folder, "folio", verb, "--")) == names, (verb, names)
    assert completed(script, folder, "folio", "train", "--schedule", "c") == ["constant", "cosine"]
    assert completed(script, folder, "folio", "train", "--schedule", "=", "lin") == ["linear"]
    assert completed(script, folder, "folio", "train", "--schedule", "=") == [
        "constant", "linear", "cosine", "step", "inverse-sqrt", "polynomial", "wsd", "restarts"]
    assert completed(script, folder, "folio", "train", "--steps", "") == [""]
    assert completed(script, folder, "folio", "train", "--tokenizer", "ch") == ["char"]
    assert completed(script, folder, "folio", "config", "s") == ["show"]
    assert completed(script, folder, "folio", "train", "--data", "파") == ["파일 one.txt"]
    assert completed(script, folder, "folio", "generate", "o") == ["other"]
    assert completed(script, folder, "folio", "completion", "") == ["bash", "zsh", "fish"]
    assert "train" in completed(script, folder, "folio", "help", "t")


class Shell:
    """An interactive shell at a terminal, into which keys are typed."""

    def __init__(self, folder, *words):
        self.seen = b""
        pid, self.terminal = pty.fork()
        self.pid = pid
        if pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, ENVIRONMENT | {"PS1": "$ ", "TERM": "dumb", "ZDOTDIR": "/nowhere"})

    def type(self, text):
        self.seen = b""
        os.write(self.terminal, text.encode())

    def expect(self, *texts):
        end = time.monotonic() + 20
        while not all(text.encode() in self.seen for text in texts):
            assert time.monotonic() < end, f"{texts} did not come: {self.seen.decode(errors='replace')}"
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.seen += os.read(self.terminal, 4096)

    def end(self):
        self.type("\x03exit\n")
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def check_at_a_terminal(script, folder):
    """Tabs typed into an interactive bash: the command line that it draws."""
    bash = Shell(folder, "bash", "--norc", "--noprofile", "-i")
    bash.expect("$ ")
    bash.type(f"source {script}\nfolio gener\t")
    bash.expect("folio generate ")
    bash.type("--gree\t")
    bash.expect("--greedy ")
    bash.type("파\t")
    bash.expect("파일\\ one.txt")
    bash.end()


def check_zsh_at_a_terminal(script, folder):
    """The same in zsh: one candidate is put in, of several a list is drawn, and nothing is complained of."""
    zsh = Shell(folder, "zsh", "-f", "-i")
    zsh.type(f"autoload -Uz compinit; compinit -u -D; source '{script}'; echo $((40 + 2)) read\n")
    zsh.expect("42 read")
    for typed, drawn in [("folio gener", ["folio generate "]),
                         ("folio train --sched", ["--schedule="]),
                         ("folio train --schedule lin", ["linear "]),
                         ("folio train --schedule=lin", ["=linear "]),
                         ("folio train --tokenizer ch", ["--tokenizer char "]),
                         ("folio train --tokenizer=ch", ["--tokenizer=char "]),
                         ("folio train --tokenizer oth", ["--tokenizer other/"]),
                         ("folio train --resume a", ["--resume auto "]),
                         ("folio config s", ["config show "]),
                         ("folio config show oth", ["show other/"]),
                         ("folio config show --ori", ["--origin "]),
                         ("folio completion z", ["completion zsh "]),
                         ("folio generate oth", ["generate other/"]),
                         ("folio train --data 파", ["파일\\ one.txt"]),
                         ("folio help tok", ["tokenize", "tokenizer"])]:
        zsh.type(typed + "\t\t")
        zsh.expect(*drawn)
        seen = zsh.seen
        zsh.type("\x15echo $((6 * 7)) done\n")
        zsh.expect("42 done")
        for complaint in ("unmatched", "not found", "bad option", "_arguments:", "_alternative:", "_values:"):
            assert complaint.encode() not in seen + zsh.seen, f"{typed}: {(seen + zsh.seen).decode()}"
    zsh.end()


def check_other_shells(folder, flags):
    for shell in ("zsh", "fish"):
        script = folder / shell
        script.write_text(folio("completion", shell))
        text = script.read_text()
        for verb, names in flags.items():
            assert re.search(rf"\b{verb}\b", text), f"{shell}: {verb}"
            for name in names:
                assert f"'*{name}" in text or f"'{name}" in text or f"-l {name[2:]} " in text, f"{shell}: {verb} {name}"
        if shutil.which(shell):
            run(shell, "-n", script)
        else:
            print(f"{shell} is not installed: its script was compared, not read")
    if shutil.which("zsh"):
        check_zsh_at_a_terminal(folder / "zsh", folder / "work")
    if shutil.which("fish"):
        check_fish(folder / "fish", folder / "work")


def check_fish(script, folder):
    for typed, offered in [("train --schedule c", ["constant", "cosine"]), ("train --tokenizer ch", ["char"]),
                           ("train --tokenizer=ch", ["--tokenizer=char"]), ("config s", ["show"]),
                           ("completion z", ["zsh"]), ("generate oth", ["other/"]), ("train --data 파", ["파일 one.txt"]),
                           ("config show --ori", ["--origin"])]:
        said = subprocess.run(["fish", "--no-config", "-c", f"source '{script}'; complete -C 'folio {typed}'"],
                              capture_output=True, text=True, env=ENVIRONMENT, cwd=folder, check=True)
        assert [line.split("\t")[0] for line in said.stdout.splitlines()] == offered, (typed, said.stdout)
        assert said.stderr == "", said.stderr


def check_pages(flags, folder):
    for verb in ["", *flags]:
        page = folio("help", *([verb] if verb else []), "--man")
        if verb:
            plain = page.replace("\\-", "-").replace("\\[u2026]", "…")
            told = set(re.findall(r"^\.B (--\S+)", plain, re.M))
            both = {name.replace("[no-]", "") for name in told} | {name.replace("[no-]", "no-") for name in told}
            assert both == flags[verb], (verb, both ^ flags[verb])
        else:
            told = {name.replace("\\-", "-") for name in re.findall(r"^\.BR folio\\-(\S+) \(1\)", page, re.M)}
            assert told == set(flags), told ^ set(flags)
        file = folder / f"folio-{verb}.1"
        file.write_text(page)
        for reader in (["groff", "-ww", "-man", "-Tutf8", "-z"], ["mandoc", "-Tlint", "-Wwarning"]):
            if shutil.which(reader[0]):
                said = subprocess.run([*reader, file], capture_output=True, text=True, env=ENVIRONMENT)
                assert said.stdout + said.stderr == "", said.stdout + said.stderr
            elif not verb:
                print(f"{reader[0]} is not installed: it did not read the pages")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        flags = flags_by_verb()
        assert len(flags) >= 10
        script = folder / "folio.bash"
        script.write_text(folio("completion", "bash"))
        (folder / "work").mkdir()
        check_bash(script, flags, folder / "work")
        check_at_a_terminal(script, folder / "work")
        check_other_shells(folder, flags)
        check_pages(flags, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

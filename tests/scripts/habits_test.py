"""Surroundings that a program has to bear: other locales, no colour, no terminal, a narrow one, odd names of files, no
home, files that may not be written, streams that are closed or full, and no network."""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

PROGRAM = os.environ["FOLIO_PROGRAM"]
SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
CLEAN = {name: value for name, value in os.environ.items()
         if not name.startswith(("FOLIO_", "LC_", "LANG")) and name not in ("COLUMNS", "NO_COLOR")}
SMALL = ["--layers", "1", "--heads", "1", "--embd", "8", "--context", "16", "--batch", "2", "--steps", "4",
         "--eval-every", "2", "--device", "cpu"]
VERBS = []


def run(*words, env={}, code=0, prefix=(), **options):
    words = [*prefix, PROGRAM, *map(str, words)]
    options.setdefault("stdin", subprocess.DEVNULL)
    if "stdout" not in options:
        options["stdout"] = subprocess.PIPE
    surroundings = {name: value for name, value in (CLEAN | env).items() if value is not None}
    done = subprocess.run(words, stderr=subprocess.PIPE, env=surroundings, **options)
    done.stdout, done.stderr = (done.stdout or b"").decode(), done.stderr.decode()
    assert done.returncode == code, (words, done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done


def tour(folder, **options):
    """Each verb once, on a model of its own; the results that have to be the same wherever it is run."""
    text, data, out = folder / "text.txt", folder / "data", folder / "run"
    text.write_text("to be or not to be, that is the question.\n" * 100)
    results = [run("prepare", text, "--tokenizer", "char", "--out", data, **options).stdout]
    run("train", "--data", data, "--out", out, *SMALL, "--stop-after", 2, code=75, **options)
    run("train", "--out", out, "--resume", **options)
    results.append(run("eval", out, "--data", data, "--json", **options).stdout)
    results.append(run("generate", out, "--prompt", "to be", "--max-new-tokens", 8, "--json", **options).stdout)
    results.append(run("inspect", out, "--json", **options).stdout)
    results.append(run("inspect", data, "--json", **options).stdout)
    small, page, short = folder / "small", folder / "page.html", folder / "short.txt"
    short.write_text("to be or not")
    results.append(run("score", out, "--text", short, "--json", **options).stdout)
    run("score", out, "--text", short, "--out", page, **options)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>"), page.read_text(encoding="utf-8")[:80]
    results.append(run("export", out, "--out", small, "--dtype", "bf16", "--json", **options).stdout)
    results.append(run("eval", small, "--data", data, "--json", **options).stdout)
    run("bench", "decode", "--layers", 1, "--heads", 1, "--embd", 8, "--vocab", 64, "--context", 16, "--prompt", 4,
        "--max-new-tokens", 2, "--repeat", 1, "--json", **options)
    run("tokenizer", "train", text, "--vocab", 270, "--out", folder / "bpe", **options)
    results.append((folder / "bpe/tokenizer.json").read_text(encoding="utf-8"))
    ids = run("tokenize", "--tokenizer", data / "tokenizer", text, **options).stdout
    (folder / "ids").write_text(ids)
    results.append(run("detokenize", "--tokenizer", data / "tokenizer", folder / "ids", **options).stdout)
    for words in (["info", out], ["info", "--paths"], ["doctor"], ["--version"], ["help"], ["config", "show", out],
                  ["plan", out, "--no-measure"], ["completion", "bash"], *(["help", verb] for verb in VERBS)):
        run(*words, **options)
    return [result.replace(str(folder), "") for result in results]


def comma_locale(folder):
    """A locale whose decimal sign is a comma: one that is there, or one made here; None where neither can be."""
    for name in subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split():
        if name.startswith(("de_", "fr_")) and "utf" in name.lower():
            return {"LC_ALL": name}
    if shutil.which("localedef") and subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"], capture_output=True).returncode == 0:
        return {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(folder)}
    print("no locale with a decimal comma is there, and none can be made: not tried")
    return None


def check_locales(folder):
    results = {}
    for name, env in (("C", {"LC_ALL": "C"}), ("LANG=C", {"LANG": "C"}), ("UTF-8", {"LC_ALL": "C.UTF-8"}),
                      ("nonsense", {"LC_ALL": "xx_YY"}), ("comma", comma_locale(folder))):
        if env is not None:
            (folder / name).mkdir()
            results[name] = tour(folder / name, env=env)
    for name, result in results.items():
        assert result == results["C"], f"results under {name} differ from those under C"


def at_terminal(columns, words, env):
    """What is drawn on a terminal so wide."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execvpe(PROGRAM, [PROGRAM, *map(str, words)], CLEAN | env)
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen.decode()
    return seen.decode()


def check_terminals(folder):
    text = folder / "text.txt"
    text.write_text("to be or not to be, that is the question.\n" * 100)
    for number, (columns, env) in enumerate([(80, {"LC_ALL": "C.UTF-8"}), (80, {"TERM": "dumb"}), (40, {"NO_COLOR": "1"})]):
        env = {"TERM": "xterm-256color"} | env
        out = folder / f"run{number}"
        drawn = at_terminal(columns, ["train", "--data", text, "--out", out, *SMALL], env)
        lines = re.split(r"[\r\n]", re.sub("\x1b\\[[0-9;]*m", "", drawn))
        table = [line for line in lines if re.match(r"(model|parameters|batch|data|memory|   ) ", line)]
        progress = [line for line in lines if re.match(r"\d+/4 ", line)]
        curve = [line for line in lines if re.search(r"^ .*[|│└+]", line)]
        assert len(table) >= 4 and len(curve) >= 8, drawn
        assert max(map(len, table)) <= 80 and max(map(len, [*progress, *curve])) <= columns, (columns, progress, curve)
        if "NO_COLOR" in env or env["TERM"] == "dumb":
            assert "\x1b" not in drawn, env
    assert "\x1b[32m" in at_terminal(80, ["doctor"], {"TERM": "xterm"})
    assert "\x1b" not in at_terminal(80, ["doctor"], {"TERM": "xterm", "NO_COLOR": "1"})
    for words in (["doctor"], ["inspect", folder / "run0"], ["--version"], ["help"]):
        for line in run(*words).stdout.splitlines():
            assert len(line) <= 80 or str(folder) in line, line
        assert "\x1b" not in run(*words).stdout, "an escape where there is no terminal"


def check_names(folder):
    for name in ("with a blank", "한글 폴더", "it's \"quoted\"", "-dash", "$HOME `x` \\"):
        here = folder / name
        here.mkdir()
        tour(here)
        # relative, and begun with a dash: behind -- or =
        said = run("train", f"--data={name}/text.txt", f"--out={name}/second", *SMALL, cwd=folder).stderr
        hint = re.search(r"next: (folio generate .*) --prompt", said)[1]
        word = subprocess.run(["bash", "-c", f"set -- {hint}; printf %s \"$3\""], capture_output=True, text=True).stdout
        assert word == f"{name}/second", (hint, word)
        told = json.loads(run("info", "--json", "--", f"{name}/second", cwd=folder).stdout)
        assert told["kind"] == "run", told
        run("tokenize", f"--tokenizer={name}/data/tokenizer", "--", f"{name}/text.txt", cwd=folder)
        run("eval", f"--data={name}/data", "--", f"{name}/second", cwd=folder)


def check_homes(folder):
    closed = folder / "closed"
    closed.mkdir()
    none = {"HOME": None, "XDG_DATA_HOME": None}
    for number, env in enumerate([none, none | {"HOME": "/nonexistent"}, {"HOME": str(closed)},
                                  {"XDG_DATA_HOME": str(closed)}]):
        here = folder / f"home{number}"
        here.mkdir()
        closed.chmod(0)
        tour(here, env=env)
        closed.chmod(0o700)
        assert not list(closed.iterdir()), "something was written into a home"


def check_streams(folder):
    text = folder / "text.txt"
    text.write_text("to be or not to be, that is the question.\n" * 20000)
    run("prepare", text, "--tokenizer", "char", "--out", folder / "data")
    words = ["tokenize", "--tokenizer", folder / "data/tokenizer", text]
    with open("/dev/full", "w") as full:
        assert "No space left" in run(*words, stdout=full, code=74).stderr
        run("help", stdout=full, code=74)
        run("config", "show", "--json", stdout=full, code=74)
    piped = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" "$@" | head -c 10', PROGRAM, *map(str, words)],
                           capture_output=True, env=CLEAN)
    assert piped.returncode == 0 and piped.stderr == b"" and len(piped.stdout) == 10, piped
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["bash", "-c", f'"$0" "$@" {closed}', PROGRAM, *map(str, words)], capture_output=True, env=CLEAN)
        assert done.returncode == (74 if ">&-" in closed.replace("2>&-", "") else 0), (closed, done.returncode, done.stderr)
    assert "cannot be read" in run("train", "--steps", "١٢", code=2).stderr  # digits of another script


def check_read_only(folder):
    """The program works from a checkout and a build that may not be written, for a user who is not root."""
    user = []
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            print("setpriv is not installed: what a user other than root may do was not tried")
            return
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    here, copy = folder / "work", folder / "checkout/build/release"
    here.mkdir(mode=0o777)
    here.chmod(0o777)
    copy.mkdir(parents=True)
    shutil.copy2(PROGRAM, copy / "folio")
    for path in (copy / "folio", copy, copy.parent, copy.parent.parent):
        path.chmod(0o555)
    for path in (folder, folder.parent):
        path.chmod(path.stat().st_mode | 0o055)
    text = here / "text.txt"
    text.write_text("to be or not to be, that is the question.\n" * 100)
    text.chmod(0o444)
    program = str(copy / "folio")
    surroundings = CLEAN | {"HOME": "/nonexistent"}
    for words, code in ((["train", "--data", text, "--out", here / "run", *SMALL], 0),
                        (["generate", here / "run", "--prompt", "to", "--max-new-tokens", "4"], 0), (["doctor"], 0),
                        (["train", "--data", text, "--out", copy / "run", *SMALL], 74)):
        done = subprocess.run([*user, program, *map(str, words)], capture_output=True, text=True, env=surroundings,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == code, (words, done)
    for path in (copy.parent.parent, copy.parent, copy):
        path.chmod(0o755)


def check_network(folder):
    """The tour in a network of nothing, not even a loopback; and no call that opens a socket."""
    (folder / "alone").mkdir()
    alone = ["unshare", "-rn"]
    if shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        tour(folder / "alone", prefix=alone)
    else:
        print("this system forbids a network namespace (unshare -rn): the tour was not made in one")
    (folder / "watched").mkdir()
    trace = folder / "trace"
    watched = ["strace", "-f", "-A", "-o", str(trace), "-e", "trace=socket,connect,bind"]
    if shutil.which("strace") and subprocess.run([*watched, "true"], capture_output=True).returncode == 0:
        tour(folder / "watched", prefix=watched)
        calls = [line for line in trace.read_text().splitlines() if re.search(r"(socket|connect|bind)\(", line)]
        assert not calls, calls
    else:
        print("strace is not there, or may not trace: no call was watched")


def main():
    VERBS.extend(verb["verb"] for verb in json.loads(run("help", "--json").stdout))
    checks = [check_locales, check_terminals, check_names, check_homes, check_streams, check_read_only, check_network]
    wanted = sys.argv[1:]
    for check in checks:
        if not wanted or check.__name__.removeprefix("check_") in wanted:
            with tempfile.TemporaryDirectory(prefix="folio-") as name:
                check(pathlib.Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())

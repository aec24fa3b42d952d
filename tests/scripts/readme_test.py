"""What README.md says: its commands run as they stand there, from a checkout that may not be written; every verb and
every file that it names exists."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
FOLIO = pathlib.Path(os.environ["FOLIO_PROGRAM"])
README = (SOURCE / "README.md").read_text()
NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"]
BLOCKS = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", README, re.DOTALL)


WRITES = ("open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
          "truncate,chmod,fchmodat,utimensat")


def tree(folder):
    """Every path with what a write would change."""
    paths = [folder, *folder.rglob("*")]
    return {path: (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def works(*words):
    return shutil.which(words[0]) and subprocess.run([*words, "true"], capture_output=True).returncode == 0


class Readme(unittest.TestCase):
    def read_only_checkout(self, home):
        """A copy without a bit for writing, with the program in its place, and a user who is not root to use it."""
        checkout = home / "check out"
        shutil.copytree(SOURCE, checkout, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"), symlinks=True)
        program = checkout / "build" / "release" / "folio"
        program.parent.mkdir(parents=True)
        shutil.copy2(FOLIO, program)
        for path in [*checkout.rglob("*"), checkout]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222 | (0o555 if path.is_dir() else 0o444))
        self.addCleanup(lambda: [path.chmod(0o755) for path in [checkout, *checkout.rglob("*")] if path.is_dir()])
        return checkout, program

    def test_its_commands_run(self):
        data = pathlib.Path(subprocess.check_output([SOURCE / "scripts" / "get-data", "--where"], text=True).strip())
        if not (data / "shakespeare").is_dir() or not (data / "gpt2").is_dir():
            self.skipTest(f"no data in {data}: run scripts/get-data")
        self.assertGreaterEqual(len(BLOCKS), 4)
        home = pathlib.Path(tempfile.mkdtemp(prefix="folio readme "))
        self.addCleanup(shutil.rmtree, home)
        usual = home / ".local" / "share" / "folio"
        usual.mkdir(parents=True)
        for part in ("gpt2", "shakespeare"):
            shutil.copytree(data / part, usual / part)
        checkout, program = self.read_only_checkout(home)
        environment = {k: v for k, v in os.environ.items() if k not in ("FOLIO_DATA", "XDG_DATA_HOME")}
        environment |= {"HOME": str(home), "PATH": f"{program.parent}:{os.environ['PATH']}"}
        (home / "here").mkdir()
        prefix, trace = [], home / "trace"
        if os.getuid() == 0 and works("setpriv", *NOBODY):
            for path in (home, *home.rglob("*")):
                if checkout not in (path, *path.parents):
                    os.chown(path, 65534, 65534)
            prefix = ["setpriv", *NOBODY]
        elif os.getuid() == 0:
            print("setpriv is not installed: root may write the checkout of this test, and is only watched")
        if works("strace", "-f", "-o", str(trace)):
            prefix = ["strace", "-f", "--seccomp-bpf", "-A", "-s", "4096", "-o", str(trace), "-e", f"trace={WRITES}", *prefix]
        else:
            print("strace is not there, or may not trace: attempts to write into the checkout are not seen")
        before = tree(checkout)
        for block in BLOCKS:
            self.assertLessEqual(max(map(len, block.splitlines())), 120)
            done = subprocess.run([*prefix, "bash", "-eu", "-o", "pipefail", "-c", block], cwd=home / "here", env=environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}\n{done.stderr}")
            self.assertNotEqual(done.stdout, "", block)
        self.assertEqual(tree(checkout), before)
        if trace.exists():
            calls = trace.read_text(errors="replace").splitlines()
            self.assertTrue(any("runs/first" in call and "O_CREAT" in call for call in calls), "nothing was watched")
            reads = re.compile(r"open(at)?\((?!.*O_(WRONLY|RDWR|CREAT))")
            self.assertEqual([call for call in calls if str(checkout) in call and not reads.search(call)], [])

    def test_every_verb_exists(self):
        verbs = set(re.findall(r"`folio ([a-z][a-z-]*)", README)) | set(re.findall(r"(?m)^folio ([a-z][a-z-]*)", "\n".join(BLOCKS)))
        self.assertIn("train", verbs)
        for verb in sorted(verbs):
            done = subprocess.run([FOLIO, verb, "--help"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{verb}: {done.stderr}")

    def test_every_file_exists(self):
        links = re.findall(r"\]\(([^)#]+)", README)
        scripts = re.findall(r"scripts/[a-z-]+", README)
        self.assertIn("scripts/demo", scripts)
        for name in links + scripts:
            if "://" not in name:
                self.assertTrue((SOURCE / name).exists(), name)


if __name__ == "__main__":
    unittest.main()

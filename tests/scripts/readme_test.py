"""What README.md says: its commands run as they stand there, every verb and every file it names exists."""
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
BLOCKS = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", README, re.DOTALL)


class Readme(unittest.TestCase):
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
            (usual / part).symlink_to(data / part)
        environment = {k: v for k, v in os.environ.items() if k not in ("FOLIO_DATA", "XDG_DATA_HOME")}
        environment |= {"HOME": str(home), "PATH": f"{FOLIO.parent}:{os.environ['PATH']}"}
        (home / "here").mkdir()
        for block in BLOCKS:
            self.assertLessEqual(max(map(len, block.splitlines())), 120)
            done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", block], cwd=home / "here", env=environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}\n{done.stderr}")
            self.assertNotEqual(done.stdout, "", block)

    def test_every_verb_exists(self):
        verbs = set(re.findall(r"`folio ([a-z]+)", README)) | set(re.findall(r"(?m)^folio ([a-z]+)", "\n".join(BLOCKS)))
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

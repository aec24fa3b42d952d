"""examples/: every file is in its README; every configuration and sweep is read, and a shortened form of it runs."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
EXAMPLES = SOURCE / "examples"
FOLIO = os.environ["FOLIO_PROGRAM"]
TINY = ["--layers", "1", "--heads", "2", "--embd", "16", "--context", "16", "--batch", "2", "--steps", "3",
        "--eval-every", "3", "--eval-batches", "1", "--device", "cpu"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("FOLIO_")} | {"FOLIO": FOLIO}


def run(*words, **more):
    ended = subprocess.run([str(w) for w in words], capture_output=True, text=True, env=ENVIRONMENT | more)
    assert ended.returncode == 0, (words, ended.stderr)
    return ended.stdout


class Examples(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="folio examples ")))
        self.text = self.folder / "text.txt"
        self.text.write_text("To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 300)

    def test_every_file_is_listed(self):
        listed = (EXAMPLES / "README.md").read_text()
        for file in EXAMPLES.rglob("*"):
            if file.suffix in (".toml", ".sh"):
                self.assertIn(f"({file.relative_to(EXAMPLES)})", listed)

    def test_recipes_are_read_and_train(self):
        for file in (EXAMPLES / "recipes").glob("*.toml"):
            with self.subTest(file.name):
                shown = run(FOLIO, "config", "show", "--config", file, "--json")
                for key in ("steps", "lr", "batch"):
                    self.assertIn(key, json.loads(shown))
                flags = TINY + ["--accumulate", "1", "--dtype", "auto", "--quiet"]
                flags += ["--warmup", "1"] if "124m" in file.name else []  # as the README says
                run(FOLIO, "train", "--config", file, "--data", self.text, "--out", self.folder / file.stem, *flags)

    def test_sweeps_run(self):
        for file in (EXAMPLES / "sweeps").glob("*.toml"):
            with self.subTest(file.name):
                flags = [f for f in TINY]
                if "stats-every" in file.read_text():
                    flags += ["--stats-every", "1"]
                out = self.folder / file.stem
                result = json.loads(run(FOLIO, "sweep", file, "--data", self.text, "--out", out, "--json", *flags))
                self.assertEqual({r["status"] for r in result["runs"]}, {"finished"})
                page = (out / "sweep.html").read_text()
                for name in result["ranking"]:
                    self.assertIn(name["name"], page)
                self.assertEqual("Norm of the weights" in page, "stats-every" in file.read_text())
        self.assertEqual(len(json.loads((self.folder / "one-thing-each/sweep.json").read_text())["runs"]), 5)

    def test_scripts_run(self):
        out = run(EXAMPLES / "recipes/bpe.sh", self.text, self.folder / "bpe", *TINY, VOCAB="300")
        self.assertIn("loss", out)
        code = self.folder / "code"
        code.mkdir()
        (code / "a.cpp").write_text("int main() { return 0; }\n" * 400)
        told = run(EXAMPLES / "fine-tuning/source-code.sh", self.text, code, self.folder / "tuned", STEPS="3", TUNE="3",
                   VOCAB="300").splitlines()
        self.assertEqual(len(told), 3)
        for line in told[1:]:
            prose, code_loss = map(float, line.split()[-2:])
            self.assertGreater(prose, 1)
            self.assertGreater(code_loss, 0.1)


if __name__ == "__main__":
    unittest.main()

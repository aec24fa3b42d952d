"""Runs that really are in five of the states, one that is well, and one that is trained again with the flags it was given: see
tools/diagnosis_figures. And a step that was not finite, taken again from the file that its run kept."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
FOLIO = os.environ["FOLIO_PROGRAM"]
TEXT = os.environ.get("FOLIO_TINY_SHAKESPEARE", "")


class Figures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="folio figures ")
        cls.out = pathlib.Path(cls.folder.name)
        cls.done = subprocess.run([sys.executable, SOURCE / "tools" / "diagnosis_figures", "--folio", FOLIO, "--text", TEXT, "--out", cls.out,
                                   "--jobs", "2", "--short"], capture_output=True, text=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_verdicts_are_right_and_a_cure_cures(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr + self.done.stdout)
        self.assertIn("Verdicts: 5 of 5 right", self.done.stdout)
        self.assertIn("Healthy runs without a false alarm: 1 of 1", self.done.stdout)
        self.assertIn("Healthy with the flags given, and no worse: 1 of 1", self.done.stdout)

    def test_the_step_that_broke_is_taken_again(self):
        run = next(path for path in (self.out / "runs").glob("poisoned-*") if path.is_dir())
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        broken = next(line for line in log if line["type"] == "not-finite")
        self.assertIn("h.1.mlp.c_fc.weight", broken["evidence"][0])
        replayed = subprocess.run([FOLIO, "train", "--replay", run / broken["file"], "--json", "--threads", "1"], capture_output=True, text=True)
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        said = json.loads(replayed.stdout)
        self.assertEqual((said["step"], said["finite"], said["first"]["tensor"]), (broken["step"], False, "h.1.mlp.c_fc.weight"))
        text = subprocess.run([FOLIO, "train", "--replay", run / broken["file"], "--threads", "1"], capture_output=True, text=True).stdout
        for sentence in broken["evidence"]:
            self.assertIn(sentence, text)

    def test_a_file_that_is_no_step_is_refused(self):
        model = next((self.out / "models").glob("poisoned-*")) / "model.safetensors"
        refused = subprocess.run([FOLIO, "train", "--replay", model], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 65)
        self.assertIn("no step that folio saved", refused.stderr)


if __name__ == "__main__":
    if not os.path.isfile(TEXT):
        print("FOLIO_TINY_SHAKESPEARE names no file")
        sys.exit(77)
    unittest.main()

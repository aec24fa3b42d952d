"""The demo as a new user runs it, in a data directory of its own: the model beats counting on the held-out plays, its
sample has the form and the words of the plays, a second call does not train again, and what an older recipe made is
kept apart."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])
FOLIO = os.environ["FOLIO_PROGRAM"]
HELD_OUT = {"hamlet", "the-tempest", "twelfth-night"}
MARGIN = 0.10  # bits per byte below the best n-gram


def words(text):
    return re.findall(r"[a-z']+", text.lower())


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        usual = pathlib.Path(subprocess.check_output([SOURCE / "scripts" / "get-data", "--where"], text=True).strip())
        cls.data = pathlib.Path(tempfile.mkdtemp(prefix="folio demo "))
        for part in ("gpt2", "shakespeare"):
            shutil.copytree(usual / part, cls.data / part)
        cls.environment = dict(os.environ, FOLIO_DATA=str(cls.data))
        cls.first = cls.demo()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.data)

    @classmethod
    def demo(cls, *flags, environment=None):
        began = time.monotonic()
        done = subprocess.run([SOURCE / "scripts" / "demo", *flags], env=environment or cls.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        print(done.stderr, done.stdout, file=sys.stderr)
        done.check_returncode()
        done.seconds = time.monotonic() - began
        return done

    def test_beats_the_best_ngram(self):
        counted = subprocess.check_output([BUILD / "tests" / "plays_test", "--gtest_filter=*Counted*"],
                                          env=self.environment, text=True)
        best = float(re.search(r"best +([\d.]+) bits per byte", counted)[1])
        result = json.loads(subprocess.check_output(
            [FOLIO, "eval", self.data / "demo" / "run", "--data", self.data / "demo" / "plays", "--json"],
            env=self.environment, text=True))
        print(f"model {result['bits_per_byte']:.3f}, best n-gram {best:.3f} bits per byte", file=sys.stderr)
        self.assertEqual(result["split"], "val")
        self.assertLessEqual(result["bits_per_byte"], best - MARGIN)

    def test_the_sample_has_speakers_and_words_of_the_plays(self):
        sample = self.first.stdout
        speakers = [line for line in sample.splitlines() if re.fullmatch(r"[A-Z][A-Za-z' ]*:", line)]
        self.assertGreaterEqual(len(speakers), 4, sample)
        known = {w for play in (self.data / "shakespeare").glob("*.txt") if play.stem not in HELD_OUT
                 for w in words(play.read_text())}
        written = words(sample)
        share = sum(w in known for w in written) / len(written)
        print(f"{len(speakers)} speaker lines, {100 * share:.1f} % of {len(written)} words known", file=sys.stderr)
        self.assertGreaterEqual(len(written), 50)
        self.assertGreaterEqual(share, 0.9)

    def test_again_it_does_not_train_again(self):
        again = self.demo()
        self.assertEqual(again.stdout, self.first.stdout)
        self.assertLess(again.seconds, self.first.seconds / 2)

    def test_what_another_recipe_made_is_kept_apart(self):
        shutil.copytree(self.data, other := pathlib.Path(tempfile.mkdtemp(prefix="folio demo ")) / "data")
        self.addCleanup(shutil.rmtree, other.parent)
        (other / "demo" / "recipe").write_text("char\n")
        done = self.demo("--steps", "2", "--warmup", "1", environment=dict(self.environment, FOLIO_DATA=str(other)))
        older, = other.glob("demo-until-*")
        self.assertIn(f"what the earlier one made is now in {older}", done.stderr)
        self.assertTrue((older / "run" / "checkpoints").is_dir())
        self.assertTrue((other / "demo" / "run" / "checkpoints" / "step-00000002").is_dir())


if __name__ == "__main__":
    unittest.main()

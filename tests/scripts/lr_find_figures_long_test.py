"""The rate that `folio lr-find` names, in whole short runs beside a grid of seven rates: see tools/lr_find_figures."""
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
    def test_the_named_rate_is_within_005_of_the_best_of_the_grid(self):
        with tempfile.TemporaryDirectory(prefix="folio figures ") as out:
            done = subprocess.run([sys.executable, SOURCE / "tools" / "lr_find_figures", FOLIO, TEXT, "--out", out, "--jobs", "2", "--short"],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            (figures,) = json.loads((pathlib.Path(out) / "figures.json").read_text()).values()
        losses = figures["losses"]
        grid = [loss for rate, loss in losses.items() if rate != figures["named"]]
        self.assertGreaterEqual(len(grid), 6)
        self.assertLessEqual(losses[figures["named"]], min(grid) + 0.05)
        self.assertGreater(max(grid), min(grid) + 0.3, "a grid on which the rate makes no difference shows nothing")


if __name__ == "__main__":
    if not os.path.isfile(TEXT):
        print("FOLIO_TINY_SHAKESPEARE names no file")
        sys.exit(77)
    unittest.main()

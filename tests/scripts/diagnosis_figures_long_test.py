"""All of tools/diagnosis_figures: 14 cases of 3 seeds, their cures, and 18 healthy runs."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
TEXT = os.environ.get("FOLIO_TINY_SHAKESPEARE", "")


class Figures(unittest.TestCase):
    def test_all(self):
        with tempfile.TemporaryDirectory(prefix="folio figures ") as out:
            done = subprocess.run([sys.executable, SOURCE / "tools" / "diagnosis_figures", "--folio", os.environ["FOLIO_PROGRAM"], "--text", TEXT,
                                   "--out", out], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)


if __name__ == "__main__":
    if not os.path.isfile(TEXT):
        print("FOLIO_TINY_SHAKESPEARE names no file")
        sys.exit(77)
    unittest.main()

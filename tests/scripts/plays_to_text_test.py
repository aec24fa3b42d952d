"""tools/plays_to_text.py, rule by rule."""
import os
import pathlib
import sys
import unittest

SOURCE = pathlib.Path(os.environ.get("FOLIO_SOURCE", pathlib.Path(__file__).parents[2]))
sys.path.insert(0, str(SOURCE / "tools"))
from plays_to_text import convert  # noqa: E402


class PlaysToText(unittest.TestCase):
    def makes(self, markdown, text):
        self.assertEqual(convert("# Play\n\n## ACT I\n\n" + markdown), text)

    def test_speeches_are_parted_by_a_blank_line(self):
        self.makes("**A**  \nOne.  \nTwo.\n\n**First Citizen**  \nThree.\n", "A:\nOne.\nTwo.\n\nFirst Citizen:\nThree.\n")

    def test_a_direction_inside_a_speech_leaves_no_trace(self):
        self.makes("**A**  \nOne.\n\n_Enter B, with\nstaves_\n\nTwo.  \n_\\[Aside]_  \nThree.\n", "A:\nOne.\nTwo.\nThree.\n")
        self.makes("**A**  \n[Within]_  \nOne.\n\n*Sound a horn.*\n\nTwo.\n", "A:\nOne.\nTwo.\n")

    def test_a_speaker_who_only_acts_is_left_out(self):
        self.makes("**A**  \n_\\[Sings]_\n\n**B**  \nOne.\n", "B:\nOne.\n")

    def test_headings_and_their_second_block(self):
        self.makes("### SCENE I. A wood,\n\nat night.\n\n**A**  \nOne.\n", "A:\nOne.\n")
        self.makes("### Prologue\n\nI come no more.\n\n**A**  \nOne.\n", "Prologue:\nI come no more.\n\nA:\nOne.\n")

    def test_escapes_dashes_and_supplied_words(self):
        self.makes("**A**  \n'Go,'\\--he \u2014 and\u2014\"so\" & c.  \nTwice _\\[by them]_  \nEver _\\[ ]_\n",
                   "A:\n'Go,'--he--and--'so' &c.\nTwice by them\nEver\n")

    def test_several_speakers_and_names_cut_in_two(self):
        self.makes("**A & B**  \nOne.\n\nGhost\n\n**of C**  \nTwo.  \nSenators, & C Three.\n",
                   "A:\nOne.\n\nGhost of C:\nTwo.\n\nSenators, &C:\nThree.\n")

    def test_verse_taken_for_a_name(self):
        self.makes("**A**  \nOne.\n\n**Here stand I**  \nlady, look at me.\n", "A:\nOne.\nHere stand I lady, look at me.\n")


if __name__ == "__main__":
    unittest.main()

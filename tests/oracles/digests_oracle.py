"""The digests written in the tests, made anew: ids by tiktoken, merges by Hugging Face's trainer, never by folio.

    FOLIO_DATA=… FOLIO_TINY_SHAKESPEARE=… python tests/oracles/digests_oracle.py

Each must stand in the test that is named, and the sources hold no other: a digest without an origin is refused. Those of
tiny Shakespeare are compared where FOLIO_TINY_SHAKESPEARE names the file. Exit code 1: a difference; 77: no text at all.
"""
import array
import hashlib
import os
import pathlib
import re
import sys

from bpe_trainer_oracle import parts, theirs
from tokenizer_oracle import data_directory, gpt2, skip

SOURCE = pathlib.Path(os.environ.get("FOLIO_SOURCE", pathlib.Path(__file__).resolve().parents[2])) / "tests"
TOKENIZER, PREPARE, TRAINER = "text/tokenizer_test.cpp", "data/prepare_test.cpp", "text/bpe_trainer_test.cpp"
END_OF_TEXT = 50256
HELD_OUT = ("hamlet.txt", "the-tempest.txt", "twelfth-night.txt")


def of_ids(ids):
    return hashlib.sha256(array.array("H", ids).tobytes()).hexdigest()[:16]


def of_merges(text, vocab):
    merges = parts(theirs([text], vocab).to_str())[1]
    return hashlib.sha256("".join(f"{a} {b}\n" for a, b in merges).encode()).hexdigest()


def in_two(encode, text, val=0.1):
    """The ids of a text whose end is held out: of n characters the first n·(1 − val), rounded down."""
    at = int(len(text) * (1 - val))
    return [*encode(text[:at]), *encode(text[at:])]


def of_documents(encode, texts):
    ids = []
    for text in texts:
        ids += [*encode(text), END_OF_TEXT]
    return ids[:-1]


def made(encode, plays, tiny):
    """(source, test, digest) of each."""
    if plays:
        text = "".join(plays.values())
        yield TOKENIZER, "ThePlaysOfSetUpAreTheKnownIds", of_ids(encode(text))
        yield PREPARE, "ThePlaysInOneTextAreTiktokens", of_ids(in_two(encode, text))
        for held_out in (False, True):
            texts = [play for name, play in plays.items() if (name in HELD_OUT) == held_out]
            yield PREPARE, "ThePlaysAsDocumentsAreTiktokensWithEndsOfTextBetween", of_ids(of_documents(encode, texts))
        yield TRAINER, "MakesHuggingFacesMergesOfThePlays", of_merges(text, 8192)
    if tiny:
        yield TOKENIZER, "TinyShakespeareIsTheKnownIds", of_ids(encode(tiny))
        yield PREPARE, "TinyShakespeareInGpt2sTokensIsNanoGpts", of_ids(in_two(encode, tiny))
        for vocab in (1000, 8192):
            yield TRAINER, "MakesHuggingFacesMergesOfTinyShakespeare", of_merges(tiny, vocab)


def main():
    folder = data_directory() / "shakespeare"
    plays = {p.name: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.txt"))}
    named = os.environ.get("FOLIO_TINY_SHAKESPEARE")
    tiny = pathlib.Path(named).read_text(encoding="utf-8") if named else ""
    if not plays and not tiny:
        skip(f"no text: no plays in {folder} (scripts/get-data), no FOLIO_TINY_SHAKESPEARE.")
    written = {}  # (source, test) → its digests
    for source in (TOKENIZER, PREPARE, TRAINER):
        for body in re.split(r"^TEST", (SOURCE / source).read_text(encoding="utf-8"), flags=re.M)[1:]:
            for digest in re.findall(r'"([0-9a-f]{16}|[0-9a-f]{64})"', body):
                written.setdefault((source, re.search(r"\(\w+, (\w+)\)", body)[1]), set()).add(digest)
    for source, test, digest in made(gpt2().encode_ordinary, plays, tiny):
        if digest not in written.get((source, test), ()):
            sys.exit(f"DIFFERENT: {source}, {test}: {digest} is what the libraries of others give; written there are "
                     f"{written.get((source, test))}")
        written[source, test].remove(digest)
        print(f"ok: {source}, {test}: {digest[:16]}")
    left = {key: digests for key, digests in written.items()
            if digests and (plays if "Plays" in key[1] else tiny if "TinyShakespeare" in key[1] else True)}
    if left:
        sys.exit(f"digests that nothing makes anew: {left}")
    if not (plays and tiny):
        print(f"not compared: those of {'tiny Shakespeare' if plays else 'the plays'}, which is not here.")


if __name__ == "__main__":
    main()

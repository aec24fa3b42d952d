"""folio tokenizer train beside Hugging Face's BpeTrainer: the same merges and ids, and files that `tokenizers` loads.

    FOLIO_PROGRAM=build/release/folio FOLIO_DATA=… python tests/oracles/bpe_trainer_oracle.py

The plays of set-up, and tiny Shakespeare where FOLIO_TINY_SHAKESPEARE names it; then random texts over few letters, in
which many pairs are equally frequent. Exit code 1: a difference; 77: no text.
"""
import json
import os
import pathlib
import random
import sys
import tempfile

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from tokenizer_oracle import data_directory, folio, generated, skip

END = "<|endoftext|>"


def theirs(texts, vocab, min_frequency=2, specials=()):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=vocab, min_frequency=min_frequency, special_tokens=[END, *specials],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def ours(folder, texts, vocab, min_frequency=2, specials=()):
    folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
    for number, text in enumerate(texts):
        (folder / f"{number:04}.txt").write_bytes(text.encode())
    flags = [word for special in specials for word in ("--special", special)]
    folio("tokenizer", "train", str(folder), "--vocab", str(vocab), "--min-frequency", str(min_frequency), "--out",
          str(folder / "made"), "--quiet", *flags)
    return folder / "made"


def parts(json_text):
    model = json.loads(json_text)["model"]
    return model["vocab"], [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]


def compare(what, folder, expected):
    """The tokenizer in `folder` is `expected`, and `tokenizers` reads it so."""
    vocabulary, merges = parts((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary2, merges2 = parts(expected.to_str())
    if merges != merges2:
        at = next((i for i, (a, b) in enumerate(zip(merges, merges2)) if a != b), min(len(merges), len(merges2)))
        sys.exit(f"DIFFERENT: {what}: {len(merges)} merges, expected {len(merges2)}; from number {at}: "
                 f"{merges[at:at + 4]}, expected {merges2[at:at + 4]}")
    if vocabulary != vocabulary2:
        sys.exit(f"DIFFERENT: {what}: the ids of the vocabulary")
    assert json.loads((folder / "vocab.json").read_text(encoding="utf-8")) == vocabulary
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    assert [tuple(line.split(" ")) for line in lines[1:-1]] == merges
    return len(merges)


def encode(folder, text, *flags):
    return [int(i) for i in folio("tokenize", "--tokenizer", str(folder), *flags, given=text.encode()).split()]


def test_corpus(scratch, name, text, vocab):
    folder, expected = ours(scratch, [text], vocab), theirs([text], vocab)
    count = compare(f"{name}, V {vocab}", folder, expected)
    ids = encode(folder, text)
    loaded = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert ids == expected.encode(text).ids == loaded.encode(text).ids, "ids of the text it was trained on"
    assert loaded.decode(ids, skip_special_tokens=False) == text
    # Files that Hugging Face writes give the same ids here.
    theirs_folder = folder.parent / "theirs"
    theirs_folder.mkdir()
    expected.save(str(theirs_folder / "tokenizer.json"))
    assert encode(theirs_folder, text) == ids
    (theirs_folder / "tokenizer.json").unlink()
    expected.model.save(str(theirs_folder))
    assert encode(theirs_folder, text) == ids
    print(f"ok: {name}, V {vocab}: {count:,} merges, {len(ids):,} ids")


def test_random(scratch, trials=60):
    rng = random.Random(11)
    total = 0
    for number in range(trials):
        letters = rng.choice(["a", "ab", "ab", "ab c", "étà ", "aB1 '\n", "가나 "])
        texts = ["".join(rng.choice(letters) * rng.choice([1, 1, 1, 2, 5]) for _ in range(rng.randint(1, 200)))
                 for _ in range(rng.randint(1, 5))]
        vocab, least = rng.choice([260, 270, 300, 900]), rng.choice([0, 1, 2, 3])
        total += compare(f"random text {number}", ours(scratch, texts, vocab, least), theirs(texts, vocab, least))
    texts = [t for t in generated(3_000, seed=7)]
    total += compare("generated texts", ours(scratch, texts, 1500), theirs(texts, 1500))
    print(f"ok: {trials} random texts, 3,000 generated documents: {total:,} merges")


def test_specials(scratch):
    specials = ["<|user|>", "[two words]", "한글", "<a>", "<a>b"]
    text = "the cat and the hat, <|user|> and <a>b[two words]한글!" * 20
    folder, expected = ours(scratch, [text], 320, specials=specials), theirs([text], 320, specials=specials)
    compare("special tokens", folder, expected)
    loaded = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [(t.content, t.special) for t in loaded.get_added_tokens_decoder().values()] == \
        [(t.content, t.special) for t in expected.get_added_tokens_decoder().values()]
    for sample in [text, f"a{END}b", "<a>b<a>", "한글<|user|><|user|", "[two words] [two  words]"]:
        ids = encode(folder, sample, "--specials")
        assert ids == expected.encode(sample).ids == loaded.encode(sample).ids, sample
        plain = encode(folder, sample)
        assert min(plain) > len(specials), f"{sample}: a special token out of plain text"
        assert loaded.decode(plain, skip_special_tokens=False) == sample
    # A word that is a special token: Hugging Face's merges would make it out of plain text, folio's never do.
    folder = ours(scratch, ["the cat " * 50], 300, specials=["cat"])
    assert 1 not in encode(folder, "the cat cat") and encode(folder, "cat", "--specials") == [1]
    print("ok: special tokens")


def test_added_tokens(scratch):
    """Added tokens that are not special, inside and behind the vocabulary, as Hugging Face finds them."""
    base = theirs(["the cat sat on the mat " * 20], 300, specials=["<|in|>"])
    base.add_tokens([tokenizers.AddedToken("cat", normalized=True), tokenizers.AddedToken("t<", normalized=False),
                     "sat on", "<<"])
    base.add_special_tokens(["<|late|>", "at<|"])
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    base.save(str(folder / "tokenizer.json"))
    rng = random.Random(3)
    pieces = ["cat", "t<", "<|in|>", "<|late|>", "at<|", "<", "<<", "sat on", " the ", "s", "c", END, "\n"]
    for _ in range(300):
        sample = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 9)))
        assert encode(folder, sample, "--specials") == base.encode(sample).ids, sample
    print("ok: added tokens")


def main():
    plays = sorted((data_directory() / "shakespeare").glob("*.txt"))
    texts = {"the plays": "".join(p.read_text(encoding="utf-8") for p in plays)} if plays else {}
    if tiny := os.environ.get("FOLIO_TINY_SHAKESPEARE"):
        texts["tiny Shakespeare"] = pathlib.Path(tiny).read_text(encoding="utf-8")
    if not texts:
        skip(f"no text to train on: no plays in {data_directory()} (scripts/get-data), no FOLIO_TINY_SHAKESPEARE.")
    with tempfile.TemporaryDirectory(prefix="folio-oracle-") as scratch:
        for name, text in texts.items():
            for vocab in (1_000, 8_192):
                test_corpus(scratch, name, text, vocab)
        test_random(scratch)
        test_specials(scratch)
        test_added_tokens(scratch)


if __name__ == "__main__":
    main()

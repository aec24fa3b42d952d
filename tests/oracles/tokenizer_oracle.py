"""folio's tokenizers beside tiktoken and Hugging Face's tokenizers: the same ids, on everything.

    FOLIO_PROGRAM=build/release/folio FOLIO_DATA=… python tests/oracles/tokenizer_oracle.py

tiktoken is built from encoder.json and vocab.bpe, which set-up placed in the data directory, so nothing is fetched. Exit
code 1: a difference, or a branch of the pattern that the generated texts do not reach; 77: something is missing.
"""
import array
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import regex
import tiktoken
import tokenizers

FOLIO = os.environ.get("FOLIO_PROGRAM", "build/release/folio")
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
END = "<|endoftext|>"
SURROGATES = range(0xD800, 0xE000)


def skip(sentence):
    print(sentence)
    sys.exit(77)


def data_directory():
    if named := os.environ.get("FOLIO_DATA"):
        return pathlib.Path(named)
    if (shared := os.environ.get("XDG_DATA_HOME", "")).startswith("/"):
        return pathlib.Path(shared) / "folio"
    return pathlib.Path.home() / ".local/share/folio"


def letters():
    """GPT-2's letter for each byte."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in own]
    return {b: chr(b) for b in own} | {b: chr(0x100 + i) for i, b in enumerate(others)}


LETTERS = letters()


def gpt2():
    folder = data_directory() / "gpt2"
    if not (folder / "vocab.bpe").exists():
        skip(f"the GPT-2 vocabulary is not in {folder}: run scripts/get-data.")
    byte = {letter: b for b, letter in LETTERS.items()}
    ids = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    ranks = {bytes(byte[c] for c in token): id for token, id in ids.items() if token != END}
    merges = (folder / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:]
    for rank, merge in enumerate(merges):  # tiktoken merges by id: that must be the order of the file
        assert ids[merge.replace(" ", "")] == 256 + rank
    return tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END: ids[END]})


def folio(*arguments, given=b""):
    done = subprocess.run([FOLIO, *arguments], input=given, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"folio {' '.join(arguments)}: exit {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def encode_one(text: bytes, folder, tokenizer="gpt2"):
    out = pathlib.Path(folder) / "ids.bin"
    folio("tokenize", "--tokenizer", str(tokenizer), "--out", str(out), "--quiet", given=text)
    return array.array("H", out.read_bytes())


def encode_all(texts, *flags):
    lines = folio("tokenize", "--each", "nul", *flags, given=b"".join(t.encode() + b"\0" for t in texts)).split(b"\n")
    assert lines.pop() == b"" and len(lines) == len(texts), (len(lines), len(texts))
    return [[int(i) for i in line.split()] for line in lines]


def check(what, got, expected, shown=repr):
    if list(got) == list(expected):
        print(f"ok: {what}")
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    sys.exit(f"DIFFERENT: {what}: {len(got)} ids, expected {len(expected)}; from number {at}: "
             f"{shown(got[max(0, at - 3):at + 9])}, expected {shown(expected[max(0, at - 3):at + 9])}")


# --- every code point ------------------------------------------------------------------------------------------------

def test_classes(folder):
    """A vocabulary in which the first byte of a character joins the letter, digit, mark or tab before it exactly where
    the pattern leaves both in one word: its ids say the class of every code point."""
    ranks = {bytes([b]): b for b in range(256)}
    pairs = [(ord(head), b) for head in "a1!\t" for b in range(256)]
    for pair in pairs:
        ranks[bytes(pair)] = len(ranks)
    tables = pathlib.Path(folder) / "classes"
    tables.mkdir()
    spelled = {"".join(LETTERS[b] for b in token): id for token, id in ranks.items()}
    (tables / "vocab.json").write_text(json.dumps(spelled), encoding="utf-8")
    (tables / "merges.txt").write_text("".join(f"{LETTERS[a]} {LETTERS[b]}\n" for a, b in pairs), encoding="utf-8")
    oracle = tiktoken.Encoding("classes", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    text = "".join(f"a{c}1{c}!{c}\t{c}\t" for c in map(chr, (c for c in range(0x110000) if c not in SURROGATES)))
    expected = oracle.encode_to_numpy(text).tolist()
    joined = collections.Counter(chr(pairs[id - 256][0]) for id in expected if id >= 256)
    print("   classes that tiktoken shows:", dict(joined))
    assert joined["a"] == 141_028 and joined["1"] == 1_911, "tiktoken has another Unicode version than 16.0"
    check("the class of all 1,112,064 code points", encode_one(text.encode(), folder, tables), expected)


# --- generated texts -------------------------------------------------------------------------------------------------

PIECES = {
    "contraction": ["'s", "'d", "'m", "'t", "'ll", "'ve", "'re"],
    "not a contraction": ["'S", "'LL", "'VE", "'l", "'v", "'r", "'e", "''", "’s", "' s"],
    "word": ["the", "Hello", "O", "don", "WORLD", "naïve", "straße", "Δελφοί", "привет", "हिन्दी", "ไทย", "日本語", "中",
             "ａｂ", "𝒳𝒴", "𐐷", "ǅ", "ª", "ʰ"],
    "Hangul": ["한", "글", "안녕하세요", "각", "ᄒ\u1161\u11ab", "ㅋㅋㅋ"],
    "number": ["0", "7", "42", "1999", "٣٤", "५", "Ⅷ", "½", "①", "𝟗", "〇", "൰"],
    "mark": ["\u0301", "\u0308", "\u20d7", "\u0e31", "\u093f", "\u302e", "\U000e0100"],
    "other": ["!", "?!", "...", "-", "--", "_", "\"", "(", "])", "{", "}", "\\", "/", "@#$%", "^", "~", "€", "©", "«", "—",
              "、", "\u00ad", "\ufeff", "\ufffd", "\u007f", "\u0001", "\u001b", "\u001c", "\u001f"],
    "emoji": ["😀", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "❤️", "🇩🇪", "1️⃣", "🏴\U000e0067\U000e007f"],
    "blank": [" ", "  ", "   ", "    "],
    "white": ["\n", "\t", "\r\n", "\r", "\u000b", "\u000c", "\u0085", "\u00a0", "\u1680",
              *map(chr, range(0x2000, 0x200B)), "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"],
    "almost white": ["\u200b", "\u200c", "\u200d", "\u2060", "\u180e", "\u2800", "\u3164"],
    "unassigned": ["\u0378", "\u0dff", "\u2fe0", "\ufffe", "\uffff", "\U0001fbff", "\U000e0fff", "\U0003ffff", "\U0010ffff",
                   "\ue000", "\U000f0000"],
    "newest": ["\u1c89", "\U00010d4a", "\U00010d40", "\U00016d70", "\U00013460", "\U0001ccf0", "\ua7da", "\U000105c0"],
    "special": [END, "<|endoftext|", "<|", "|>"],
}
BRANCHES = regex.compile(r"(?P<contraction>'(?:[sdmt]|ll|ve|re))|(?P<letters> ?\p{L}+)|(?P<numbers> ?\p{N}+)"
                         r"|(?P<others> ?[^\s\p{L}\p{N}]+)|(?P<space_before_space>\s+(?!\S))|(?P<space>\s+)")


def generated(count, seed=20240229):
    rng = random.Random(seed)
    kinds = list(PIECES)
    everything = [c for c in range(1, 0x110000) if c not in SURROGATES]
    texts = []
    for number in range(count):
        few = rng.sample(kinds, rng.randint(1, 4)) if number % 3 else kinds
        text = []
        for _ in range(rng.randint(1, 14)):
            if rng.random() < 0.04:
                text.append(chr(rng.choice(everything)))
            if rng.random() < 0.1:
                text.append("".join(rng.choices("abcdeinorst", k=rng.randint(1, 24))))
            piece = rng.choice(PIECES[rng.choice(few)])
            text.append(piece * rng.choice([1, 1, 1, 1, 2, 3, 9]))
            if rng.random() < 0.3:
                text.append(" ")
        texts.append("".join(text))
    return texts


def test_generated(oracle):
    texts = generated(120_000)
    reached = collections.Counter(m.lastgroup for t in texts for m in BRANCHES.finditer(t))
    print("   words by branch of the pattern:", dict(reached))
    for branch in BRANCHES.groupindex:
        assert reached[branch] >= 10_000, f"{branch} is hardly reached"
    for kind, pieces in PIECES.items():
        for piece in pieces:
            assert sum(piece in t for t in texts[:20_000]) >= 20, (kind, piece)
    got = encode_all(texts)
    expected = oracle.encode_ordinary_batch(texts)
    for text, a, b in zip(texts, got, expected):
        if a != b:
            sys.exit(f"DIFFERENT: {text!r}: {a}, expected {b}")
    print(f"ok: {len(texts):,} generated texts, {sum(map(len, got)):,} ids")
    allowed = [t for t in texts if END in t]
    got, expected = encode_all(allowed, "--specials"), [oracle.encode(t, allowed_special="all") for t in allowed]
    check(f"{len(allowed):,} of them with {END} allowed", got, expected)
    assert all(END not in oracle.decode([i for i in ids if i != oracle.eot_token]) for ids in got)
    return texts


def test_long_words(oracle, folder):
    rng = random.Random(5)
    for name, text in {"a": "a" * 100_000, "^": "^" * 100_000, "blanks": " " * 100_000, "emoji": "😀" * 25_000,
                       "random letters": "".join(rng.choices("etaoinshrdlu", k=100_000)),
                       "random digits": "".join(rng.choices("0123456789", k=100_000))}.items():
        check(f"a word of 100,000 bytes: {name}", encode_one(text.encode(), folder), oracle.encode_ordinary(text))


def test_corpora(oracle, folder):
    plays = sorted((data_directory() / "shakespeare").glob("*.txt"))
    texts = {"the plays of set-up": b"".join(p.read_bytes() for p in plays)} if plays else {}
    if tiny := os.environ.get("FOLIO_TINY_SHAKESPEARE"):
        texts["tiny Shakespeare"] = pathlib.Path(tiny).read_bytes()
    else:
        print("   tiny Shakespeare: skipped, FOLIO_TINY_SHAKESPEARE does not name it")
    for name, text in texts.items():
        ids = encode_one(text, folder)
        check(f"{name}: {len(ids):,} ids", ids, oracle.encode_ordinary(text.decode()))
        assert folio("detokenize", "--bin", str(pathlib.Path(folder) / "ids.bin")) == text


# --- files -----------------------------------------------------------------------------------------------------------

def saved(folder, name, text):
    """The directory of the tokenizer that `folio prepare` leaves beside the data."""
    path, out = pathlib.Path(folder) / f"{name}.txt", pathlib.Path(folder) / name
    path.write_bytes(text)
    folio("prepare", str(path), "--tokenizer", name, "--out", str(out), "--quiet")
    return next(p.parent for p in sorted(out.rglob("tokenizer.json")))


def test_files(oracle, folder, texts):
    sample = [t for t in texts[:20_000] if END not in t]
    text = "\n".join(sample)
    path = saved(folder, "gpt2", text.encode())
    hugging_face = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    got = [e.ids for e in hugging_face.encode_batch(sample)]
    check("Hugging Face with the saved tokenizer.json", got, oracle.encode_ordinary_batch(sample))
    assert [hugging_face.decode(ids) for ids in got] == sample
    assert hugging_face.encode(f"a{END}").ids == [64, 50256]
    model = tokenizers.models.BPE.from_file(str(path / "vocab.json"), str(path / "merges.txt"))
    old_form = tokenizers.Tokenizer(model)
    old_form.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    got = [e.ids for e in old_form.encode_batch(sample)]
    check("Hugging Face with the saved vocab.json and merges.txt", got, oracle.encode_ordinary_batch(sample))
    check("folio with the saved files", encode_one(text.encode(), folder, path), oracle.encode_ordinary(text))

    text = "To be, or not to be:\r\n\t\"That\\ is\"\n\n\u0085\u2028\u0001 한국어 👩\u200d👧 e\u0301 \ufffd <0xFF>\n" * 9
    path = saved(folder, "char", text.encode())
    hugging_face = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    expected = [ids[c] for c in text]
    check("characters: folio", encode_one(text.encode(), folder, path), expected)
    check("characters: Hugging Face", hugging_face.encode(text).ids, expected)
    assert hugging_face.decode(expected) == text and hugging_face.get_vocab() == ids


def main():
    oracle = gpt2()
    with tempfile.TemporaryDirectory(prefix="folio-oracle-") as folder:
        test_classes(folder)
        texts = test_generated(oracle)
        test_long_words(oracle, folder)
        test_corpora(oracle, folder)
        test_files(oracle, folder, texts)


if __name__ == "__main__":
    main()

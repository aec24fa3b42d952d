"""folio's safetensors reader and writer beside the format's reference reader (the PyPI package).

Python writes good files of every kind and some thousand broken ones (each rule broken, cut at every length, bits flipped
at random); the test program of tests/model/safetensors_test.cpp reads them all. Whatever the reference refuses, folio
refuses; whatever it takes, folio takes with the same bytes and values, but for the few kinds of file listed in `stricter`.
"""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import load_file, save

DTYPES = ["BOOL", "U8", "I8", "F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
          "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "I64", "U64", "F64", "C64"]
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def bits_of(dtype):
    name = dtype.split("_")[0]
    return BITS.get(dtype) or (8 if name in ("BOOL", "F8") else int(name.lstrip("UIFBC")))


def file_of(header, data=b"", length=None):
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype="F32", shape=(2,), begin=0, end=8, **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end], **more}


def good_files():
    rng = np.random.default_rng(1)
    arrays = {}
    for kind in "bool u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8".split():
        for shape in [(), (0, 3), (1,), (3, 5), (2, 1, 2, 1, 2, 1, 2)]:
            count = int(np.prod(shape))
            raw = rng.integers(0, 256, count * np.dtype(kind).itemsize, dtype=np.uint8)
            array = (raw & 1).astype(bool) if kind == "bool" else raw.view(kind)
            arrays[f"{kind} {shape}"] = array.reshape(shape)
    yield "all", save(arrays, metadata={"format": "pt", "ü": "\U0001f600"})
    yield "none", save({})
    for dtype in DTYPES:
        size = 8 * bits_of(dtype) // 8
        data = bytes(rng.integers(0, 2 if dtype == "BOOL" else 256, size, dtype=np.uint8))
        yield dtype, file_of(json.dumps({"a": tensor(dtype, (8,), 0, size)}), data)
    yield "order", file_of(json.dumps({"b": tensor(begin=8, end=16), "a": tensor()}), bytes(16))
    yield "empties", file_of(json.dumps({"e": tensor(shape=(0,), begin=8, end=8), "a": tensor()}), bytes(8))
    yield "blanks", file_of('{ "a" : %s }   \n\t ' % json.dumps(tensor()), bytes(8))
    yield "more keys", file_of(json.dumps({"a": tensor(more=1)}), bytes(8))


def broken_files():
    one = lambda **k: file_of(json.dumps({"a": {**tensor(), **k}}), bytes(8))
    big = 1 << 62
    for number, content in enumerate([
            b"", b"1234567", file_of(""), file_of("[]"), file_of("null"), file_of("{"), file_of("{}x"), file_of("{}\0"),
            file_of(b'{"\xff":{}}'), file_of("{}", b"x"), file_of("{}", length=3), file_of("{}", length=1 << 63),
            file_of("{}", length=(1 << 64) - 1), file_of("{}", length=100_000_001),
            one(dtype="F33"), one(dtype="f32"), one(dtype=3), one(dtype=None), one(shape=3), one(shape=[-1]), one(shape=[2.5]),
            one(shape=["2"]), one(shape=[3]), one(shape=[1]), one(shape=[big, 4]), one(shape=[1 << 64]), one(shape=[big, 8, 0]),
            one(data_offsets=[0]), one(data_offsets=[0, 8, 8]), one(data_offsets=[8, 0]), one(data_offsets=[-8, 0]),
            one(data_offsets=[4, 12]), one(data_offsets=[0, 4]), one(data_offsets=[0, 12]), one(data_offsets=[0, 1 << 63]),
            one(data_offsets=[(1 << 64) - 8, (1 << 64) - 1]), one(data_offsets="08"), file_of('{"a":3}'), file_of('{"a":null}'),
            file_of('{"a":{"dtype":"F32","shape":[2]}}', bytes(8)), file_of('{"a":{"dtype":"F32","data_offsets":[0,8]}}', bytes(8)),
            file_of('{"a":{"shape":[2],"data_offsets":[0,8]}}', bytes(8)), file_of('{"__metadata__":{"a":1}}'),
            file_of('{"__metadata__":["a"]}'), file_of('{"__metadata__":"a"}'),
            file_of(json.dumps({"a": tensor(), "b": tensor(begin=4, end=12)}), bytes(12)),
            file_of(json.dumps({"a": tensor(), "b": tensor()}), bytes(8)),
            file_of(json.dumps({"a": tensor(), "b": tensor(begin=12, end=20)}), bytes(20)),
            file_of(json.dumps({"a": tensor("F4", (3,), 0, 1)}), bytes(1)),
            file_of('{"a":' + "[" * 5000 + "]" * 5000 + "}")]):
        yield f"broken {number}", content
    whole = dict(good_files())["order"]
    for n in range(len(whole)):
        yield f"cut {n}", whole[:n]
    rng = random.Random(1)
    for n in range(1500):
        flipped = bytearray(whole)
        for _ in range(1 + n % 4):
            flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        yield f"flipped {n}", bytes(flipped)


def files_for_the_stricter():
    yield "leading blank", file_of(" {}")
    yield "twice", file_of('{"a":%s,"a":%s}' % ((json.dumps(tensor()),) * 2), bytes(8))
    yield "null metadata", file_of('{"__metadata__":null}')
    yield "64 bits", file_of(json.dumps({"a": tensor(shape=(0, (1 << 64) - 1), end=0)}))


def stricter(content, sentence):
    """Files that the reference takes and folio refuses, as the format's own page asks."""
    return ("does not begin with {" in sentence or "stands twice" in sentence or "63 bits" in sentence or
            "__metadata__ is not an object" in sentence and b'"__metadata__":null' in content)


def widened(dtype, raw):
    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").astype("<f8")
    return np.frombuffer(raw, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).astype("<f8")


def main():
    program = os.path.join(os.environ["FOLIO_BUILD"], "tests", "safetensors_test")
    files = {f"{name}.safetensors": content for name, content in [*good_files(), *broken_files(), *files_for_the_stricter()]}
    with tempfile.TemporaryDirectory(prefix="folio oracle ") as folder:
        os.mkdir(os.path.join(folder, "theirs"))
        for name, content in files.items():
            with open(os.path.join(folder, "theirs", name), "wb") as file:
                file.write(content)
        subprocess.run([program, "--gtest_filter=Safetensors.AnswersTheOracle"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "FOLIO_SAFETENSORS_ORACLE": folder})
        with open(os.path.join(folder, "answers.json"), encoding="utf-8") as file:
            answers = json.load(file)
        with open(os.path.join(folder, "ours.json"), encoding="utf-8") as file:
            ours = json.load(file)
        read = load_file(os.path.join(folder, "ours.safetensors"))

    wrong, taken, refused, extra = [], 0, 0, 0
    for name, content in files.items():
        answer = answers[name]
        try:
            theirs = dict(deserialize(content))
        except SafetensorError as error:
            refused += 1
            if "error" not in answer:
                wrong.append(f"{name}: taken, though the reference says: {error}")
            continue
        if "error" in answer:
            extra += 1
            if not stricter(content, answer["error"]):
                wrong.append(f"{name}: refused, though the reference takes it: {answer['error']}")
            continue
        taken += 1
        said = answer.get("tensors") or {}
        if said.keys() != theirs.keys():
            wrong.append(f"{name}: tensors {sorted(said)}, not {sorted(theirs)}")
            continue
        for key, t in theirs.items():
            mine = said[key]
            if (mine["dtype"], mine["shape"], mine["bytes"]) != (t["dtype"], t["shape"], bytes(t["data"]).hex()):
                wrong.append(f"{name}: {key} differs")
            if "values" in mine:
                expected = widened(t["dtype"], bytes(t["data"]))
                if not np.array_equal(np.frombuffer(bytes.fromhex(mine["values"]), "<f8"), expected, equal_nan=True):
                    wrong.append(f"{name}: the values of {key} differ")
    if answers["all.safetensors"]["metadata"] != {"format": "pt", "ü": "\U0001f600"}:
        wrong.append("the metadata differ")
    if {k: v.tobytes().hex() for k, v in read.items()} != ours:
        wrong.append("what folio wrote is read otherwise")
    if read["f"].shape != (3, 5) or read["d"].dtype != np.float64 or read["i"].dtype != np.int64:
        wrong.append("what folio wrote has other shapes or types")
    for sentence in wrong[:20]:
        print(sentence)
    print(f"{taken} files read alike, {refused} refused alike, {extra} refused by folio alone, {len(wrong)} wrong")
    good = len(dict(good_files()))
    return 1 if wrong or taken < good or refused < 500 or extra < 4 else 0


if __name__ == "__main__":
    sys.exit(main())

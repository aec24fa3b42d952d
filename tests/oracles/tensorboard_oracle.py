"""What `folio train --tensorboard` writes, read back with TensorBoard itself: every scalar of every step is that of
metrics.jsonl, in a run that is stopped and resumed, and where steps are trained a second time only the second counts."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError as error:
    print(f"no TensorBoard in this Python ({error}): scripts/test makes one that has it, or FOLIO_PYTHON names one.")
    sys.exit(77)

PROGRAM = os.environ["FOLIO_PROGRAM"]


def folio(*words, code=0):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, (words, done.returncode, done.stderr)


def read(folder):
    events = event_accumulator.EventAccumulator(str(folder), size_guidance={event_accumulator.SCALARS: 0})
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}, events


def near(a, b):
    """As f32 has it, of a log with five digits."""
    return a == struct.unpack("f", struct.pack("f", b))[0] or abs(a - b) <= 1e-4 * abs(b)


def compare(scalars, log):
    count = 0

    def same(tag, step, value):
        nonlocal count
        if value is None:
            return
        assert near(scalars[tag][step], value), (tag, step, scalars[tag].get(step), value)
        count += 1

    for line in log:
        step = line.get("step")
        if line["type"] == "step":
            same("loss/train", step, line["loss"])
            same("rate", step, line["rate"])
            same("norm/gradient", step, line["norm"])
            same("norm/clipped", step, line.get("clipped", line["norm"]))
            same("speed/tokens_per_second", step, line["tokens_per_second"])
        elif line["type"] == "eval":
            same("loss/train_evaluated", step, line["train"])
            same("loss/val", step, line["val"])
        elif line["type"] == "statistics":
            for prefix, tensors in (("", line["tensors"]), ("type/", line["types"])):
                for name, numbers in tensors.items():
                    for tag, key in (("weight_mean", "mean"), ("weight_deviation", "deviation"), ("weight_norm", "norm"),
                                     ("gradient_norm", "gradient"), ("update", "update")):
                        same(f"{tag}/{prefix}{name}", step, numbers[key])
            for name, numbers in line["activations"].items():
                for key in ("mean", "deviation", "least", "largest"):
                    same(f"activation_{key}/{name}", step, numbers[key])
            for layer, share in enumerate(line["quiet"]):
                same(f"quiet/h.{layer}", step, share)
    return count


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        text, run = folder / "text.txt", folder / "run"
        text.write_text("".join(f"{i} times {i + 1} is {i * (i + 1)}.\n" for i in range(600)))
        resume = ("train", "--out", run, "--resume")
        folio("train", "--data", text, "--out", run, "--layers", 2, "--heads", 2, "--embd", 16, "--context", 16,
              "--batch", 4, "--steps", 20, "--eval-every", 5, "--eval-batches", 2, "--stats-every", 4,
              "--checkpoint-every", 100, "--keep", 9, "--tensorboard", "--stop-after", 10, code=75)
        folio(*resume, "--stop-after", 7, code=75)
        shutil.rmtree(run / "checkpoints/step-00000017")  # as if the program had been killed before it was saved
        for step in range(11, 17):
            shutil.rmtree(run / f"checkpoints/step-{step:08}", ignore_errors=True)
        folio(*resume)
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        files = sorted((run / "tensorboard").iterdir())
        assert len(files) == 3, files
        scalars, events = read(run / "tensorboard")
        assert events.file_version == 2, events.file_version
        assert sorted(scalars["loss/train"]) == list(range(1, 21)), scalars["loss/train"]
        assert sorted(scalars["update/h.1.mlp.c_fc.weight"]) == [4, 8, 12, 16, 20]
        assert sorted(scalars["loss/val"]) == [0, 5, 10, 15, 20]
        print(f"ok: {compare(scalars, log)} scalars of {len(scalars)} tags are those of metrics.jsonl")

        damaged = folder / "damaged"  # the checksums are looked at: a record with a bit turned ends the reading
        damaged.mkdir()
        content = bytearray(files[0].read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / files[0].name).write_bytes(content)
        assert len(read(damaged)[0].get("loss/train", {})) < 10, "a damaged file was read to its end"
        print("ok: a damaged record is found by its checksum")


if __name__ == "__main__":
    main()

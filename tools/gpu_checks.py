"""End-to-end checks of `gpu-check`: whole verbs on the GPU beside the CPU, on models that a minute trains. Each gives its
figure, and says whether it is within its bound."""
import filecmp
import json
import math
import pathlib
import random
import shutil
import subprocess

MODEL = ["--layers", "4", "--heads", "4", "--embd", "128", "--context", "128", "--batch", "8"]
RUN = ["--steps", "400", "--warmup", "10", "--dropout", "0.1", "--eval-every", "1000", "--eval-batches", "2",
       "--checkpoint-every", "1000", "--keep", "9"]
TOP_OPS = 12  # of a profile, by their time
STOPPED = 75  # exit code of a run that was stopped as asked


class Failed(Exception):
    pass


class Bench:
    """A folder to work in, the program, and its surroundings."""

    def __init__(self, program, folder, environment, limit):
        self.program, self.folder, self.environment, self.limit = program, pathlib.Path(folder), environment, limit

    def at(self, name):
        return str(self.folder / name)

    def folio(self, *words, expect=0):
        try:
            done = subprocess.run([str(self.program), *words], capture_output=True, text=True, env=self.environment,
                                  timeout=self.limit)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"folio {' '.join(words)}: not done after {self.limit} s") from late
        if done.returncode != expect:
            raise Failed(f"folio {' '.join(words)}: ended with {done.returncode}, not {expect}\n{done.stderr}")
        return done.stdout

    def prepare(self):
        draw = random.Random(1)
        words = ["".join(draw.choice("abcdefghijklmnop") for _ in range(draw.randint(2, 7))) for _ in range(200)]
        lines = [" ".join(draw.choice(words) for _ in range(9)) + "." for _ in range(4000)]
        (self.folder / "text.txt").write_text("\n".join(lines))
        self.folio("prepare", self.at("text.txt"), "--tokenizer", "char", "--out", self.at("data"))

    def train(self, run, steps, *words):
        """`steps` steps of a new run."""
        self.folio("train", "--data", self.at("data"), "--out", self.at(run), *MODEL, *RUN, "--stop-after", str(steps),
                   *words, expect=STOPPED)

    def resume(self, run, steps, *words):
        self.folio("train", "--out", self.at(run), "--resume", "--stop-after", str(steps), *words, expect=STOPPED)

    def copy(self, run, to):
        shutil.copytree(self.folder / run, self.folder / to)

    def losses(self, run):
        lines = (json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines())
        return {line["step"]: line["loss"] for line in lines if line["type"] == "step"}


def largest(pairs):
    """The largest difference; NaN, which no bound passes, where one is not finite."""
    apart = [abs(one - other) for one, other in pairs]
    return max(apart) if all(map(math.isfinite, apart)) else math.nan


def in_both(a, b, steps):
    return [(a[step], b[step]) for step in steps]


def losses_of_both(b):
    """50 training steps from one checkpoint, CPU f32 and GPU f32: losses apart"""
    b.train("start", 10, "--dtype", "f32")
    for run, device in (("on-cpu", "cpu"), ("on-gpu", "cuda")):
        b.copy("start", run)
        b.resume(run, 50, "--device", device)
    cpu, gpu = b.losses("on-cpu"), b.losses("on-gpu")
    apart = largest(in_both(cpu, gpu, range(11, 61)))
    return apart <= 1e-4, f"{apart:.1e} at most, loss {cpu[11]:.3f} to {cpu[60]:.3f}", "1e-4"


def graph_or_not(b):
    """the files of a checkpoint after 30 steps, as one graph a step or op by op, each twice"""
    differing = []
    for dtype in ("f32", "bf16"):
        runs = [f"{dtype}-{graph}-{i}" for graph in ("graph", "no-graph") for i in (1, 2)]
        for run in runs:
            b.train(run, 30, "--device", "cuda", "--dtype", dtype, "--" + run.split("-", 1)[1][:-2])
        for run in runs[1:]:
            for file in ("model.safetensors", "optimizer.safetensors"):
                one, other = (b.folder / r / "checkpoints/step-00000030" / file for r in (runs[0], run))
                if not filecmp.cmp(one, other, shallow=False):
                    differing.append(f"{run}: {file}")
    return not differing, ", ".join(differing) or "equal bits, f32 and bf16", "equal bits"


def checkpoint_moves(b):
    """20 steps on the GPU, 20 on the CPU, 20 on the GPU again, beside 60 on the CPU: losses apart"""
    b.train("moved", 20, "--device", "cuda", "--dtype", "f32")
    b.resume("moved", 20, "--device", "cpu")
    b.resume("moved", 20, "--device", "cuda")
    b.train("stayed", 60, "--dtype", "f32")
    apart = largest(in_both(b.losses("moved"), b.losses("stayed"), range(1, 61)))
    return apart <= 1e-4, f"{apart:.1e} at most", "1e-4"


def trained(b):
    """A model that has learnt something, made once."""
    if not (b.folder / "model").exists():
        b.train("model", 300, "--device", "cuda", "--dtype", "f32")
    return b.at("model")


def evaluations(b):
    """folio eval of a trained model, f32: losses apart"""
    model = trained(b)
    cpu, gpu = (json.loads(b.folio("eval", model, "--data", b.at("data"), "--json", "--dtype", "f32", "--device", d))
                for d in ("cpu", "cuda"))
    apart = abs(cpu["loss"] - gpu["loss"])
    return apart <= 1e-5 and cpu["tokens"] == gpu["tokens"], f"{apart:.1e}, loss {cpu['loss']:.4f}", "1e-5"


def scores(b):
    """folio score of 2,000 characters, f32: log-probabilities apart"""
    model = trained(b)
    (b.folder / "some.txt").write_text((b.folder / "text.txt").read_text()[:2000])
    cpu, gpu = (json.loads(b.folio("score", model, "--text", b.at("some.txt"), "--json", "--dtype", "f32", "--device", d))
                for d in ("cpu", "cuda"))
    pairs = [(one["logprob"], other["logprob"]) for one, other in zip(cpu["tokens"], gpu["tokens"])]
    apart = largest(pair for pair in pairs if pair[0] is not None)
    ok = apart <= 1e-4 and len(cpu["tokens"]) == len(gpu["tokens"])
    return ok, f"{apart:.1e} at most, of {len(pairs)} tokens", "1e-4"


def texts(b):
    """folio generate, greedy, 100 tokens from each of 3 prompts, f32: tokens that agree; and on the GPU with the cache as
    without it"""
    model = trained(b)
    words = ["generate", model, "--prompt", "ab", "--prompt", "lamp", "--prompt", "no", "--greedy", "--max-new-tokens", "100",
             "--json", "--dtype", "f32"]

    def ids(*more):
        return [json.loads(line)["ids"] for line in b.folio(*words, *more).splitlines()]

    cpu, gpu, uncached = ids("--device", "cpu"), ids("--device", "cuda"), ids("--device", "cuda", "--no-cache")
    alike = sum(x == y for one, other in zip(cpu, gpu) for x, y in zip(one, other))
    ok = cpu == gpu and gpu == uncached
    return ok, f"{alike} of {sum(map(len, cpu))}; {'the same' if gpu == uncached else 'another text'} without cache", "all"


def speed(b, batch, repeat, *words):
    """Its figure, and the profile by op of one more step: [[op, percent, ms]]"""
    out = json.loads(b.folio("bench", "train", "--size", "124M", "--batch", str(batch), "--context", "1024", "--repeat",
                             str(repeat), "--device", "cuda", "--profile", "--json", *words))
    row, ops = out["rows"][0], [op for op in out["rows"] if op["unit"] == "%"]
    profile = [[op["name"].strip(), op["value"], op["seconds"] * 1e3] for op in ops[:TOP_OPS]]
    return f"{row['value']:,.0f} tok/s, {row['seconds'] * 1e3:.1f} ms a step", profile


CHECKS = [losses_of_both, graph_or_not, checkpoint_moves, evaluations, scores, texts]
SPEEDS = {"124M, B 16, T 1,024, f32": ["--dtype", "f32"],
          "124M, B 16, T 1,024, f32 with --tf32": ["--dtype", "f32", "--tf32"],
          "124M, B 16, T 1,024, bf16": ["--dtype", "bf16"]}


def run(program, folder, environment, limit, say):
    """[{name, ok, figure, bound}] of every check; of a speed its profile, too."""
    bench = Bench(program, folder, environment, limit)
    results = []

    def add(name, work):
        try:
            ok, figure, bound, *profile = work()
        except Exception as error:  # whatever a verb left that this cannot read is a failure of the check
            ok, figure, bound, profile = False, str(error) if isinstance(error, Failed) else repr(error), "", []
        results.append({"name": name, "ok": ok, "figure": figure, "bound": bound, **({"profile": profile[0]} if profile else {})})
        say(f"{'ok    ' if ok else 'FAILED'} {name}: {figure}")

    def speed_of(words):
        figure, profile = speed(bench, 16, 10, *words)
        return True, figure, "", profile

    bench.prepare()
    for check in CHECKS:
        add(" ".join(check.__doc__.split()), lambda: check(bench))
    for name, words in SPEEDS.items():
        add("folio bench train: " + name, lambda: speed_of(words))
    return results

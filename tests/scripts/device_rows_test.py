"""The GPU leaves nothing out, shown without one: each row of a test that runs on the cpu backend has its row on the cuda
backend, and each op that Cpu overrides is overridden by Cuda and defined in a file of the same name, or of a part of it (cached_attention of attention)."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
sys.path.insert(0, str(SOURCE / "tools"))
from gpu_rows import rows_of  # noqa: E402

BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])

# What is of the processor alone, with the reason.
PROCESSOR_ONLY = {
    "OpSameBitsAcrossThreads.": "a GPU has no number of threads",
    "CpuModel.InF16": "f16 is of the processor: every GPU that folio computes on has bf16",
    "CpuModel.DoesNotDependOnTheNumberOfThreads": "a GPU has no number of threads",
    "CpuBackend.": "how the cpu backend takes threads and scratch",
    "Kernels": "the vector loops of each instruction set",
}
# Where ranks lie on one processor, and on two GPUs.
OTHER_NAMES = {"Ranks.TakeTheStepsOfOne/cpu": "CudaRanks.TwoGpusTakeTheStepsOfOneAndAgree",
               "Ranks.TakeTheStepsOfOneByMuon/cpu": "CudaRanks.TwoGpusTakeTheStepsOfOneByMuon"}
FUSED = {"do_linear_gelu", "do_linear_gelu_backward"}  # have default bodies


def twin_of(row):
    """The row on a GPU that a row on the cpu backend asks for; None where it runs on no backend of choice."""
    if row in OTHER_NAMES:
        return OTHER_NAMES[row]
    suite, _, name = row.rpartition("/")
    if kind := re.fullmatch(r"cpu(_f32|_bf16)?(_\d+_threads?)?", name):
        return f"{suite}/cuda{kind[1] or ''}"
    if row.startswith("Cpu/"):
        return "Cuda/" + row[len("Cpu/"):]
    return None


def missing_rows(rows):
    """Rows on the cpu backend without a twin."""
    known, missing = set(rows), []
    for row in rows:
        twin = twin_of(row)
        if twin and twin not in known:
            missing.append(row)
        if not twin and "cpu" in row.lower() and not re.search(r"/cpu_f16(_\d+_threads?)?$", row) and not any(row.startswith(p) for p in PROCESSOR_ONLY):
            missing.append(row)
    return missing


def missing_ops(backend):
    """Ops of cpu/cpu.h, by sentence, that cuda/ does not have where they belong."""
    overridden = lambda text: set(re.findall(r"^\s*void (do_\w+)\(.*", text, re.MULTILINE))
    ops = overridden((backend / "cpu/cpu.h").read_text()) - FUSED
    theirs = overridden((backend / "cuda/cuda.h").read_text())
    missing = [f"{op} is not overridden in cuda.h" for op in sorted(ops - theirs)]

    def files(folder, kind, op):
        return {p.stem for p in (backend / folder).iterdir()
                if p.suffix in (".cpp", ".cu") and re.search(rf"\b{kind}::{op}\(", p.read_text())}

    for op in sorted(ops & theirs):
        here, there = files("cpu", "Cpu", op), files("cuda", "Cuda", op)
        if not any(b == a or b.startswith(a + "_") or b.endswith("_" + a) for a in here for b in there):
            missing.append(f"{op} is in cpu/{', '.join(sorted(here))} and in cuda/{', '.join(sorted(there)) or 'nothing'}")
    return missing


class DeviceRows(unittest.TestCase):
    def all_rows(self):
        programs = sorted(p for p in (BUILD / "tests").glob("*_test") if os.access(p, os.X_OK))
        self.assertGreater(len(programs), 30, "the test programs are built first")
        rows = []
        for program in programs:
            done = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True,
                                  env=dict(os.environ, FOLIO_ISA=""))
            rows += rows_of(done.stdout)
        return rows

    def test_each_row_of_the_cpu_backend_has_its_row_on_the_gpu(self):
        rows = self.all_rows()
        on_cpu = [row for row in rows if twin_of(row)]
        self.assertGreater(len(on_cpu), 150, "rows on the cpu backend")
        self.assertEqual(missing_rows(rows), [])
        for gone in on_cpu[::len(on_cpu) // 7]:  # and a row that is taken away is missed
            twin = twin_of(gone)
            self.assertIn(gone, missing_rows([row for row in rows if row != twin]))

    def test_a_row_of_the_processor_without_a_twin_must_be_named(self):
        self.assertEqual(missing_rows(["AdamW.HasItsLossesOnTheCpu"]), ["AdamW.HasItsLossesOnTheCpu"])
        self.assertEqual(missing_rows(["A.b/cpu_bf16_2_threads", "A.b/cuda_f32"]), ["A.b/cpu_bf16_2_threads"])

    def test_listings_are_read(self):
        listing = "Running main() from x\nBackends/Op.\n  Adds/cpu_f32_1_thread  # GetParam() = 1\n  Adds/cuda_f32\nT.\n  b\n"
        self.assertEqual(rows_of(listing),
                         ["Backends/Op.Adds/cpu_f32_1_thread", "Backends/Op.Adds/cuda_f32", "T.b"])

    def test_each_op_is_where_it_is_on_the_processor(self):
        self.assertEqual(missing_ops(SOURCE / "src/backend"), [])

    def test_an_op_or_a_file_that_is_taken_away_is_missed(self):
        backend = SOURCE / "src/backend"
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder)
            for name in ("cpu", "cuda"):
                (copy / name).mkdir()
                for file in (backend / name).iterdir():
                    if file.is_file():
                        (copy / name / file.name).write_text(file.read_text())
            header = copy / "cuda/cuda.h"
            text = header.read_text()
            header.write_text(re.sub(r".*void do_gather\(.*\n", "", text))
            self.assertIn("do_gather is not overridden in cuda.h", missing_ops(copy))
            header.write_text(text)
            for name in ("norm", "classifier"):
                for file in (copy / "cuda").glob(name + ".c*"):
                    file.unlink()
            missing = "\n".join(missing_ops(copy))
            for op in ("do_layer_norm ", "do_layer_norm_backward ", "do_head ", "do_classifier ", "do_token_loss "):
                self.assertIn(op + "is in cpu/", missing)


if __name__ == "__main__":
    unittest.main()

"""tools/gpu-check beside programs that pass, fail, hang and crash on purpose; and what tools/pack-build packs runs from
another place. No GPU is needed."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])
sys.path.insert(0, str(SOURCE / "tools"))
import gpu_checks  # noqa: E402
import gpu_record  # noqa: E402

FOLIO = '''#!/usr/bin/env python3
import json, sys
gpus = [{"name": "cuda:0", "text": "GPU of a test", "name_of_gpu": NAME}] if GPU else []
checks = [{"name": "CUDA", "text": "/x/folio-cuda.so; runtime 13.0"}, {"name": "processor", "text": "P"}, *gpus]
print(json.dumps({"checks": checks}) if "doctor" in sys.argv else VERSION)
'''

TEST = '''#!/usr/bin/env python3
import json, os, sys, time
given = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
rows = ROWS
if "--gtest_list_tests" in sys.argv:
    if "lists nothing" in rows.values():
        os.abort()
    print("Op.")
    for row in rows:
        print("  " + row + "/cuda_f32  # GetParam() = 6")
    sys.exit()
found = []
for row, does in rows.items():
    print("[ RUN      ] Op." + row + "/cuda_f32", flush=True)
    if does == "hangs":
        time.sleep(60)
    if does == "crashes":
        os.abort()
    one = {"name": row + "/cuda_f32", "status": "RUN", "result": "COMPLETED"}
    if does == "skips":
        one["result"] = "SKIPPED"
        print("x.cpp:1: Skipped\\n" + ("two GPUs are needed; there are 1" if row.startswith("Two") else "wider than this GPU"))
    if does == "prints":
        print("  2 ranks, 20 steps: largest difference of a loss 1.2e-07\\nnot a figure 7")
    if does == "fails":
        one["failures"] = [{"failure": "x.cpp:7\\nexpected 1, got 2"}]
    found.append(one)
    print("[  " + {"fails": "FAILED", "skips": "SKIPPED"}.get(does, "     OK") + " ] Op." + row + "/cuda_f32", flush=True)
with open(given["--gtest_output"][len("json:"):], "w") as file:
    json.dump({"testsuites": [{"name": "Op", "testsuite": found}]}, file)
if "dies at the end" in rows.values():
    os.abort()
if "hangs at the end" in rows.values():
    time.sleep(60)
if all(does == "skips" for does in rows.values()):
    sys.exit(77)
sys.exit(any(does == "fails" for does in rows.values()))
'''


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="gpu check ")
        self.build = pathlib.Path(self.scratch.name) / "build"
        (self.build / "tests").mkdir(parents=True)
        self.folio("folio 0.1.0 (abc)")

    def tearDown(self):
        self.scratch.cleanup()

    def write(self, name, text):
        (self.build / name).write_text(text)
        (self.build / name).chmod(0o755)

    def folio(self, version, gpu=True, name="H200"):
        self.write("folio", FOLIO.replace("VERSION", repr(version)).replace("GPU else", f"{gpu} else").replace("NAME", repr(name)))

    def program(self, name, **rows):
        self.write(f"tests/{name}_test", TEST.replace("ROWS", repr(rows)))

    def check(self, part="tests", path=""):
        record = self.build / "record.md"
        done = subprocess.run([sys.executable, "-B", str(SOURCE / "tools/gpu-check"), str(self.build), "--only", part,
                               "--out", str(record), "--limit", "3"], capture_output=True, text=True,
                              env=dict(os.environ, PATH=f"{path}:{os.environ['PATH']}"))
        return done, record.read_text() if record.exists() else ""

    def test_what_passes_is_counted_and_written_down(self):
        self.program("op_a", One="passes", Two="passes", Three="skips")
        self.program("op_b", One="passes")
        done, record = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for line in ("folio 0.1.0 (abc)", "cuda:0: GPU of a test", "| `op_a_test` | 2 | 1 | 0 |", "| all | 3 | 1 | 0 |",
                     "Skipped, 1: wider than this GPU: `Op.Three/cuda_f32`.",
                     "<summary>op_a_test: 2 passed, 1 skipped</summary>\n\n`Op.One/cuda_f32, Op.Two/cuda_f32`\n"):
            self.assertIn(line, record)
        self.assertNotIn("## Failed", record)
        self.assertNotIn("two GPUs", record + done.stdout)

    def test_rows_that_need_two_gpus_are_told_of(self):
        self.program("ranks", TwoA="skips", TwoB="skips")
        self.program("op_a", One="prints", TwoC="skips")
        done, record = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("3 rows need two GPUs; nothing failed", done.stdout)
        self.assertIn("3 rows need two GPUs, and did not run.", record)
        self.assertIn("Op.TwoA/cuda_f32, Op.TwoB/cuda_f32", record)

    def test_figures_that_rows_print_are_written_down(self):
        self.program("ranks", One="prints")
        record = self.check()[1]
        self.assertIn("* `Op.One/cuda_f32`: 2 ranks, 20 steps: largest difference of a loss 1.2e-07\n", record)
        self.assertNotIn("not a figure", record)

    def test_a_program_that_dies_after_its_report_fails(self):
        for does, says in (("dies at the end", "ended with -6"), ("hangs at the end", "not done after 3.0 s")):
            self.program("op_a", One="passes", Two=does)
            done, record = self.check()
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(f"* op_a_test as a whole: {says}, after its rows", record)

    def test_a_program_that_cannot_list_its_rows_is_not_passed_over(self):
        self.program("op_a", One="passes")
        self.program("op_b", One="lists nothing")
        done, _ = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("op_b_test cannot list its rows", done.stderr)

    def test_no_row_at_all_is_a_failure(self):
        self.assertEqual(self.check()[0].returncode, 1)

    def test_a_failing_row_is_shown_in_full(self):
        self.program("op_a", One="passes", Two="fails")
        done, record = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("--- FAILED Op.Two/cuda_f32\nx.cpp:7\nexpected 1, got 2", done.stdout)
        self.assertIn("| `op_a_test` | 1 | 0 | 1 |", record)
        self.assertIn("* Op.Two/cuda_f32: x.cpp:7", record)

    def test_a_program_that_hangs_or_crashes_is_a_failure_of_its_row(self):
        self.program("op_a", One="passes", Two="hangs")
        self.program("op_b", One="passes", Two="crashes")
        done, record = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not done after 3.0 s", done.stdout)
        self.assertIn("ended with -6", done.stdout)
        for name in ("op_a", "op_b"):
            self.assertIn(f"| `{name}_test` | 1 | 0 | 1 |", record)
        self.assertEqual(record.count("* Op.Two/cuda_f32"), 2)

    def test_parts_of_another_commit_or_gpu_are_dropped(self):
        self.program("op_a", One="passes")
        other = {"sanitize": {"version": "2025", "errors": {"op_a_test": 0}, "filter": "*", "programs": {}}}
        for commit, gpus, kept in (("abc", ["H200"], True), ("def", ["H200"], False), ("abc", ["A100"], False),
                                   ("abc", ["H200", "H200"], False)):
            (self.build / "gpu-record.json").write_text(
                json.dumps({"folio": f"folio 0.1.0 ({commit})", "gpus": gpus, "parts": other}))
            self.assertEqual("memcheck 2025" in self.check()[1], kept)

    def test_errors_that_memcheck_counts_are_failures(self):
        self.program("op_a", One="passes")
        self.program("model", One="passes")  # no test of an op
        for errors in (0, 2):
            self.write("compute-sanitizer", "#!/bin/bash\n[ $# = 1 ] && echo 'Version 2025.3' && exit\n"
                       "[ \"$2\" = memcheck ] || exit 9\nshift 6\n\"$@\"\necho '========= Invalid read'\n"
                       f"echo '========= ERROR SUMMARY: {errors} errors'\n")
            done, record = self.check("sanitize", self.build)
            self.assertEqual(done.returncode, 1 if errors else 0, done.stdout + done.stderr)
            self.assertIn("memcheck 2025.3 over `*cuda*:*Cuda*` of the tests of ops: 1 passed", record)
            self.assertEqual("* op_a_test: 2 errors of memcheck" in record, errors > 0)
            self.assertEqual("========= Invalid read" in done.stdout, errors > 0)
        self.write("compute-sanitizer", "#!/bin/bash\nexit 1\n")
        self.assertEqual(self.check("sanitize", self.build)[0].returncode, 1)

    def test_without_a_gpu_nothing_is_written(self):
        self.folio("folio 0.1.0 (abc)", gpu=False)
        self.program("op_a", One="passes")
        done, record = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("no GPU", done.stdout)
        self.assertEqual(record, "")


class Checks(unittest.TestCase):
    """tools/gpu_checks.py beside a program that answers as it is told."""

    def bench(self, answer):
        bench = gpu_checks.Bench("folio", ".", {}, 1)
        bench.folio = lambda *words, **_: json.dumps(answer)
        return bench

    def test_no_difference_hides_a_nan(self):
        nan = float("nan")
        for pairs in ([(1, 1), (nan, 1)], [(nan, 1), (1, 1)], [(1, 1), (1, float("inf"))]):
            self.assertFalse(gpu_checks.largest(pairs) <= 1e-4, pairs)
        self.assertEqual(gpu_checks.largest([(1, 2), (5, 2)]), 3)

    def test_a_verb_that_answers_something_else_is_a_failed_check(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "folio"
            program.write_text("#!/bin/sh\ncase $1 in train) exit 75;; *) echo '{}';; esac\n")
            program.chmod(0o755)
            found = gpu_checks.run(program, folder, dict(os.environ), 5, lambda _: None)
        self.assertEqual(len(found), len(gpu_checks.CHECKS) + len(gpu_checks.SPEEDS))
        self.assertFalse(any(c["ok"] for c in found), found)

    def test_a_speed_has_its_profile_by_op(self):
        rows = [{"name": "train", "value": 99000.4, "unit": "tok/s", "seconds": 0.165},
                {"name": "train, 6N", "value": 1, "unit": "GFLOP/s", "seconds": 0.165},
                *({"name": f"  op{i}, forward × 1", "value": 50 - i, "unit": "%", "seconds": 0.08} for i in range(30))]
        figure, profile = gpu_checks.speed(self.bench({"rows": rows}), 16, 10)
        self.assertEqual(figure, "99,000 tok/s, 165.0 ms a step")
        self.assertEqual(len(profile), gpu_checks.TOP_OPS)
        text = "\n".join(gpu_record.checks_section([{"name": "speed", "ok": True, "figure": figure, "bound": "", "profile": profile}]))
        self.assertIn("| op0, forward × 1 | 50.0 % | 80.000 |", text)


class Presets(unittest.TestCase):
    def test_the_default_preset_needs_no_toolkit(self):
        with tempfile.TemporaryDirectory(prefix="presets ") as folder:
            subprocess.run(["cmake", "--preset", "release", "-B", folder, "-D", "FOLIO_TESTS=OFF"], cwd=SOURCE, check=True,
                           capture_output=True, env=dict(os.environ, CUDACXX="no-such-compiler"))
            cache = (pathlib.Path(folder) / "CMakeCache.txt").read_text()
            self.assertNotIn("CMAKE_CUDA_COMPILER", cache)
            self.assertNotIn("nvcc", (pathlib.Path(folder) / "build.ninja").read_text())


@unittest.skipUnless((BUILD / "folio-cuda.so").exists(), "this build has no plug-in for GPUs: the preset `cuda` has")
class PackBuild(unittest.TestCase):
    def test_what_is_packed_runs_from_another_place(self):
        with tempfile.TemporaryDirectory(prefix="pack build ") as folder:
            packed, moved = pathlib.Path(folder) / "packed", pathlib.Path(folder) / "moved"
            done = subprocess.run([sys.executable, "-B", SOURCE / "tools/pack-build", BUILD, packed], capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            shutil.move(packed, moved)
            subprocess.run([moved / "gpu-check", moved, "--unpack"], check=True, capture_output=True)
            bare = {"PATH": "/usr/bin:/bin"}
            found = subprocess.run(["ldd", moved / "tests/op_norm_test"], check=True, capture_output=True, text=True).stdout
            self.assertIn(str(moved), found.split("libdnnl.so.2 => ")[1].split("\n")[0])
            doctor = subprocess.run([moved / "folio", "doctor", "--json"], check=True, capture_output=True, text=True, env=bare)
            cuda = next(c for c in json.loads(doctor.stdout)["checks"] if c["name"] == "CUDA")
            self.assertEqual(cuda["plugin"], str(moved / "folio-cuda.so"))
            self.assertTrue(cuda["runtime"], cuda)
            self.assertEqual(sorted(p.name for p in (moved / "tests/golden").iterdir()),
                             sorted(p.name for p in (SOURCE / "tests/golden").glob("*.safetensors")))


if __name__ == "__main__":
    unittest.main()

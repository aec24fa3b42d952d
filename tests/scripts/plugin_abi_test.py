"""What program and plug-in compare (cmake/plugin_abi.cmake): an edit of a header whose classes pass between them changes it,
and is seen by the build. And what the preset `cuda` says where a header of CUDA's is missing."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])
CROSSES = {*(f"backend/{name}.h" for name in ("backend", "communicator", "plugin", "step_state", "weight", "host_device")),
           *(f"core/{name}.h" for name in ("tensor", "dtype", "arena", "fault", "api"))}
SCRIPT = """cmake_minimum_required(VERSION 3.25)
include("{file}")
folio_plugin_interface("{source}" hash headers)
message("${{hash}} ${{headers}}")
"""


def scripted(text, *words):
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "script.cmake"
        script.write_text(text)
        return subprocess.run(["cmake", *words, "-P", script], capture_output=True, text=True,
                              env={k: v for k, v in os.environ.items() if k != "CPATH"})


def interface(source):
    done = scripted(SCRIPT.format(file=SOURCE / "cmake/plugin_abi.cmake", source=source))
    assert done.returncode == 0, done.stderr
    hash, headers = done.stderr.split()
    return hash, headers.split(";")


class PluginAbi(unittest.TestCase):
    def test_every_header_that_crosses_over_is_hashed(self):
        self.assertEqual(set(interface(SOURCE / "src")[1]), CROSSES)

    def test_an_edit_that_leaves_every_size_changes_it(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder)
            for part in ("backend", "core"):
                shutil.copytree(SOURCE / "src" / part, copy / part)
            before, _ = interface(copy)
            self.assertEqual(before, interface(SOURCE / "src")[0])
            (copy / "backend/backend.cpp").write_text("")
            (copy / "core/json.h").write_text("")
            self.assertEqual(before, interface(copy)[0], "what does not cross over")
            header = copy / "backend/backend.h"
            text = header.read_text()
            fields = re.search(r"struct DecideOptions \{.*\n(.*;.*\n)(.*;.*\n)", text)
            functions = re.search(r"(  virtual void do_\w+\(.*\n)(  virtual void do_\w+\(.*\n)", text)
            for pair in (fields, functions):
                header.write_text(text.replace(pair[1] + pair[2], pair[2] + pair[1]))
                self.assertNotEqual(header.read_text(), text)
                self.assertNotEqual(before, interface(copy)[0], pair[0])
            header.write_text(text)
            for name in CROSSES:
                file = copy / name
                text = file.read_text()
                file.write_text(text + "// one line more\n")
                self.assertNotEqual(before, interface(copy)[0], name)
                file.write_text(text)

    def test_it_is_in_what_was_built_and_an_edit_configures_anew(self):
        hash, headers = interface(SOURCE / "src")
        for file in ("folio", "folio-cuda.so"):
            if (BUILD / file).exists():
                self.assertIn(hash.encode(), (BUILD / file).read_bytes(), file)
        rules = (BUILD / "build.ninja").read_text()
        rerun = next(line for line in rules.splitlines() if line.startswith("build build.ninja"))
        for header in headers:
            self.assertIn(f"/src/{header} ", rerun)


class CudaHeaders(unittest.TestCase):
    def test_a_missing_one_is_named_with_what_brings_it(self):
        words = [f"-DCMAKE_FIND_USE_{place}=OFF" for place in
                 ("SYSTEM_ENVIRONMENT_PATH", "CMAKE_SYSTEM_PATH", "CMAKE_ENVIRONMENT_PATH", "CMAKE_PATH")]
        with tempfile.TemporaryDirectory() as folder:
            script = f'cmake_minimum_required(VERSION 3.25)\ninclude("{SOURCE}/cmake/cuda_headers.cmake")\nfolio_require_cuda_headers("{folder}")\n'
            for header, brings in (("cublasLt.h", "libcublas-dev"), ("nccl.h", "libnccl-dev")):
                done = scripted(script, *words)
                said = " ".join(done.stderr.split())
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(f"{header} was found neither in {folder}", said)
                self.assertIn(brings, said)
                (pathlib.Path(folder) / header).write_text("")
            self.assertEqual(scripted(script, *words).returncode, 0)


if __name__ == "__main__":
    unittest.main()

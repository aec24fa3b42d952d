"""A function compiled for one level of the cpu backend stays in its level: the linker can give it to nothing else."""
import os
import pathlib
import re
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])
LEVELS = ("avx2", "avx512", "avx512_bf16")


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def mangled(level):
    return f"5folio3cpu{len(level)}{level}"


class LevelSymbols(unittest.TestCase):
    def test_a_kernel_exports_only_functions_of_its_own_namespace(self):
        for level in LEVELS:
            objects = sorted((BUILD / f"CMakeFiles/folio_kernels_{level}.dir").rglob("*.o"))
            self.assertGreaterEqual(len(objects), 7, f"kernels of {level}")
            for file in objects:
                names = [line.split()[-1] for line in lines_of("nm", "--defined-only", "--extern-only", str(file))]
                self.assertTrue(names, f"{file} fills nothing")
                for name in names:
                    self.assertTrue(name.startswith(f"_ZN{mangled(level)}"), f"{file.name} of {level} exports {name}")

    def test_wide_registers_are_used_in_levels_only(self):
        wide = {"ymm": set(), "zmm": set()}
        function = None
        for line in lines_of("objdump", "-d", "--no-show-raw-insn", str(BUILD / "libfolio.so")):
            if line.endswith(">:"):
                function = line[line.index("<") + 1:-2]
            elif register := re.search(r"%([yz]mm)\d", line):
                wide[register[1]].add(function)
        self.assertTrue(wide["zmm"], "no function with 512 bits was found: is this the right library?")
        for function in wide["ymm"]:
            self.assertTrue(any(mangled(level) in function for level in LEVELS), f"{function} needs AVX")
        for function in wide["zmm"]:
            self.assertTrue(any(mangled(level) in function for level in LEVELS[1:]), f"{function} needs AVX-512")


if __name__ == "__main__":
    unittest.main()

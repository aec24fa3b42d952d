"""tools/check_layers passes on the checkout and finds each violation that is planted in a small tree."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("FOLIO_SOURCE", pathlib.Path(__file__).parents[2]))
SLASH = "/"  # so that the planted paths do not stand in this file


def check(root):
    return subprocess.run([sys.executable, "-B", str(SOURCE / "tools" / "check_layers"), str(root)],
                          capture_output=True, text=True)


class CheckLayers(unittest.TestCase):
    def planted(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check(folder)

    def refuses(self, name, text, words):
        done = self.planted({"src/core/error.h": "#pragma once\n", name: text})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(words, done.stdout)
        self.assertIn(f"{name}:", done.stdout)
        self.assertIn("2 files, 1 violations", done.stdout)

    def test_the_checkout_keeps_the_rules(self):
        done = check(SOURCE)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_right_arrows_pass(self):
        done = self.planted({"src/train/trainer.cpp": '#include "model/gpt2.h"\n#include <vector>\n',
                             "src/backend/cpu/linear.cpp": '#include "oneapi/dnnl/dnnl.hpp"\n#if defined(__AVX2__)\n#endif\n',
                             "src/cli/train.cpp": '#include "train/trainer.h"\n#include "generate/engine.h"\n'})
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_wrong_arrows(self):
        self.refuses("src/model/gpt2.cpp", '#include "train/trainer.h"\n', "model must not include train")
        self.refuses("src/core/file.cpp", '#include "backend/backend.h"\n', "core must not include backend")
        self.refuses("src/train/trainer.cpp", '  #  include "generate/engine.h"\n', "train must not include generate")
        self.refuses("src/report/table.cpp", '#include "model/config.h"\n', "report must not include model")
        self.refuses("src/serve/http.cpp", '#include "cli/verb.h"\n', "serve must not include cli")
        self.refuses("src/data/batch.cpp", '#include "../core/error.h"\n', "start at src/")

    def test_a_folder_that_the_architecture_does_not_know(self):
        self.refuses("src/helpers/misc.h", "", "no folder of the architecture")

    def test_vendor_headers_and_device_switches_outside_the_backend(self):
        self.refuses("src/model/gpt2.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n", "vendor's header")
        self.refuses("src/train/trainer.cpp", "#include <cuda_runtime.h>\n", "vendor's header")
        self.refuses("src/train/ranks.cpp", "#include <nccl.h>\n", "vendor's header")
        self.refuses("src/core/arena.cpp", "#ifdef FOLIO_CUDA\n#endif\n", "#if on a device")

    def test_using_namespace_in_a_header(self):
        self.refuses("src/core/dtype.h", "using namespace std;\n", "using namespace")

    def test_long_files(self):
        self.refuses("src/core/big.cpp", "//\n" * 501, "over 500 lines")
        self.refuses("tools/big", "#!/bin/sh\n" * 501, "over 500 lines")
        self.assertEqual(self.planted({"src/core/full.cpp": "//\n" * 500}).returncode, 0)

    def test_machine_paths_and_registry_hosts(self):
        self.refuses("docs/a.md", f"see {SLASH}home/somebody/folio\n", "path of some machine")
        self.refuses("docs/b.md", f"{SLASH}work{SLASH}main\n", "path of some machine")
        self.refuses("scripts/c", "#!/bin/sh\npip --index-url https:" + "//py" + "pi.org/simple\n", "registry")


if __name__ == "__main__":
    unittest.main()

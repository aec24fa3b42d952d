"""Installs folio into a prefix with a blank in its name, moves it, and uses it as a stranger would: each public header
alone, find_package from another folder, the example's program, the installed program; and compares what libfolio.so
exports with what the headers mark."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["FOLIO_SOURCE"])
BUILD = pathlib.Path(os.environ["FOLIO_BUILD"])
DATA = {"FOLIO_DATA": "/nowhere"}


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"library_test: {' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(folder):
    first, prefix = folder / "first", folder / "moved there"
    run("cmake", "--install", BUILD, "--prefix", first)
    first.rename(prefix)
    for path in ("bin/folio", "lib/libfolio.so", "lib/cmake/folio/folio-config.cmake", "share/man/man1/folio.1",
                 "share/man/man1/folio-train.1", "share/bash-completion/completions/folio",
                 "share/zsh/site-functions/_folio", "share/fish/vendor_completions.d/folio.fish"):
        assert (prefix / path).exists(), f"{path} is not installed"
    texts = [*prefix.glob("lib/cmake/**/*"), *prefix.glob("include/**/*.h"), *prefix.glob("share/man/**/*.1")]
    for path in filter(pathlib.Path.is_file, texts):
        for place in (first, SOURCE, BUILD):
            assert str(place) not in path.read_text(), f"{path} names {place}"
    assert run("readelf", "-d", prefix / "lib/libfolio.so").count("libfolio.so.0.") == 1, "no versioned SONAME"
    return prefix


def check_plugin(prefix, folder):
    """An installed folio, and a program with libfolio.so, find the plug-in that was built beside it; without one they say so."""
    built = (BUILD / "folio-cuda.so").exists()
    plugin = prefix / "lib/folio/folio-cuda.so"
    assert plugin.exists() == built, plugin
    doctor = json.loads(run(prefix / "bin/folio", "doctor", "--json"))
    found = next(check for check in doctor["checks"] if check["name"] == "CUDA")
    assert found["built_in"] == built and (not built or os.path.samefile(found["plugin"], plugin)), found
    source, user = folder / "user.cpp", folder / "user"
    source.write_text('''#include <folio/backend/backend.h>
#include <cstdio>
int main() {
  try {
    return folio::make_cuda_backend() ? 0 : 1;
  } catch (folio::Error const& e) {
    return std::puts(e.what()), int(e.fault);
  }
}
''')
    run("c++", "-std=c++20", source, "-include", "folio/core/fault.h", "-I", prefix / "include", "-L", prefix / "lib", "-lfolio",
        f"-Wl,-rpath,{prefix / 'lib'}", "-o", user)
    done = subprocess.run([user], capture_output=True, text=True)
    expected = (0,) if found.get("usable") else (69,)
    assert done.returncode in expected, (done.returncode, done.stdout)
    assert done.returncode == 0 or ("this folio has no folio-cuda.so" in done.stdout) != built, done.stdout


def check_headers(prefix):
    """Each header alone, by the strictest reading, with nothing but folio's include folder beside the system's."""
    include = prefix / "include"
    headers = sorted(path.relative_to(include) for path in include.rglob("*.h"))
    assert len(headers) > 20
    foreign = re.compile(r'#include [<"](fmt|nlohmann|toml|spdlog|CLI|omp|oneapi|dnnl)')
    source = "".join(f"#include <{header}>\n" for header in headers)
    for header in headers:
        text = (include / header).read_text()
        assert not foreign.search(text), f"{header} includes another library's header"
        assert "#pragma once" in text and text.startswith("// "), f"{header} says not what it is for"
        run("c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", include, "-x", "c++",
            "-include", include / header, "/dev/null")
    run("c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", include, "-x", "c++",
        "-", input=source)


def marked_names(include):
    """folio::model::Config and so on: what stands behind FOLIO_API."""
    names = set()
    for header in include.rglob("*.h"):
        text = re.sub(r"//.*|#define.*", "", header.read_text())
        space = ""
        for match in re.finditer(r"^namespace (folio[\w:]*) \{|FOLIO_API ([^;{(]*)[;{(]", text, re.M):
            if match[1]:
                space = match[1]
            else:
                head = match[2].split(" final")[0].split(" : ")[0]
                names.add(f"{space}::{re.findall(r'[A-Za-z_0-9]+', head)[-1]}")
    return names


def private_members(include):
    """folio::data::Dataset::open_files and so on: what no user can call, directly or by what is written out in a header.
    A class with virtual private members is left out, for those who derive from it link them."""
    names = set()
    for header in include.rglob("*.h"):
        text = re.sub(r"//.*|\[\[.*?\]\] ?", "", header.read_text())
        space = ""
        for match in re.finditer(r"^namespace (folio[\w:]*) \{|^class FOLIO_API (\w+)[^;{]*\{(.*?)^\};", text, re.M | re.S):
            if match[1]:
                space = match[1]
                continue
            hidden = match[3].partition(" private:")[2]
            if " virtual " in hidden:
                continue
            members = re.findall(r"^  [^=;{]*?\b(\w+)\(|^  (?:struct|class) (\w+)", hidden, re.M)
            names |= {f"{space}::{match[2]}::{name}" for pair in members for name in pair
                      if name and name != match[2] and len(re.findall(rf"\b{name}\b", text)) == 1}
    return names


def check_symbols(prefix):
    marked = marked_names(prefix / "include/folio")
    assert len(marked) > 50 and "folio::Backend" in marked, marked
    listed = run("nm", "-D", "-C", "--defined-only", prefix / "lib/libfolio.so").splitlines()
    exported = [re.sub(r"\[abi:\w+\]", "", line.split(maxsplit=2)[2]) for line in listed]
    assert exported, "libfolio.so exports nothing"
    unmeant, seen = [], set()
    for symbol in exported:
        name = re.sub(r"^(typeinfo name|typeinfo|vtable|non-virtual thunk) (for|to) ", "", symbol)
        owners = [mark for mark in marked if re.search(rf"(^| ){re.escape(mark)}(\(|::|$|<)", name)]
        if owners:
            seen.update(owners)
        else:
            unmeant.append(symbol)
    assert not unmeant, "libfolio.so exports what no public header marks:\n  " + "\n  ".join(unmeant)
    private = private_members(prefix / "include/folio")
    assert "folio::train::Trainer::lay_out" in private and len(private) > 10, private
    told = [symbol for symbol in exported for name in private if re.search(rf"(^| ){re.escape(name)}(\(|::|$|<)", symbol)]
    assert not told, "libfolio.so exports what is private:\n  " + "\n  ".join(told)
    # A struct whose members are all in its header has no symbol of its own.
    missing = sorted(marked - seen)
    text = "".join(path.read_text() for path in (prefix / "include").rglob("*.h"))
    missing = [name for name in missing if not re.search(rf"(class|struct) FOLIO_API {name.split('::')[-1]}\b", text)]
    assert not missing, f"marked, and not exported: {missing}"
    print(f"{len(exported)} symbols exported, all of {len(seen)} marked names")


def check_example(prefix, folder):
    shutil.copytree(SOURCE / "examples/library", folder / "my app")
    out = folder / "my app/build"
    run("cmake", "-S", folder / "my app", "-B", out, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror")
    run("cmake", "--build", out)
    folio = prefix / "bin/folio"
    text = folder / "text.txt"
    text.write_text("It was the best of times, it was the worst of times.\n" * 60)
    run(folio, "train", "--data", text, "--tokenizer", "char", "--out", folder / "run", "--layers", "1", "--heads", "2",
        "--embd", "16", "--context", "32", "--batch", "4", "--steps", "5", "--quiet", env=os.environ | DATA)
    model = folder / "run/checkpoints/step-00000005"
    prompt = "It was the best of times"
    said = run(out / "example", model, prompt, env=os.environ | DATA)
    assert said.startswith(prompt) and said.index("\nloss before") > len(prompt), said
    before, after = map(float, re.search(r"before the step ([\d.]+), after it ([\d.]+)", said).groups())
    assert 0 < after < before < 10, said
    refused = subprocess.run([str(out / "example"), str(folder), prompt], capture_output=True, text=True)
    assert refused.returncode in (65, 66) and "example: " in refused.stderr, refused
    for slip in ("I", prompt * 12):
        refused = subprocess.run([str(out / "example"), str(model), slip], capture_output=True, text=True)
        assert refused.returncode == 78 and "needs 2 to 33" in refused.stderr, refused
    print(said.splitlines()[-1])


def main():
    with tempfile.TemporaryDirectory(prefix="folio library ") as name:
        folder = pathlib.Path(name)
        prefix = install(folder)
        check_symbols(prefix)
        check_headers(prefix)
        check_example(prefix, folder)
        check_plugin(prefix, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#include "backend/plugin.h"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr char const* kCudaFile = "folio-cuda.so";
constexpr char const* kFunctions[] = {"folio_cuda_status", "folio_cuda_free_memory", "folio_nccl_version",
                                      "folio_make_cuda_backend", "folio_make_nccl"};

std::vector<fs::path> folders() {
  std::vector<fs::path> out;
  if (char const* const named = std::getenv("FOLIO_PLUGINS"); named && *named) out.emplace_back(named);
  std::error_code error;
  if (fs::path const program = fs::read_symlink("/proc/self/exe", error).parent_path(); !error)
    out.insert(out.end(), {program, program.parent_path(), program / FOLIO_PLUGINS_FROM_PROGRAM});
  Dl_info here{};  // libfolio.so, where that is what holds this function
  if (::dladdr(reinterpret_cast<void*>(&plugin_abi), &here) && here.dli_fname)
    if (fs::path const library = fs::canonical(here.dli_fname, error).parent_path(); !error)
      out.insert(out.end(), {library, library / "folio"});
  return out;
}

std::string found_file() {
  std::error_code error;
  for (fs::path const& folder : folders())
    if (fs::path const file = folder / kCudaFile; fs::is_regular_file(file, error)) return file.string();
  return "";
}

template <class F>
F* function_of(void* library, char const* name) {
  return reinterpret_cast<F*>(::dlsym(library, name));
}

/// Whether all that a file's ELF header and its program headers speak of lies in the file. The loader maps what they
/// say, and a page past the end kills the process. What is no ELF file is left to the loader's own words.
bool whole(std::string const& path) {
  std::error_code error;
  uint64_t const size = fs::file_size(path, error);
  auto const inside = [&](uint64_t at, uint64_t bytes) { return at <= size && bytes <= size - at; };
  std::ifstream in(path, std::ios::binary);
  auto const read = [&](auto& to) { return bool(in.read(reinterpret_cast<char*>(&to), sizeof to)); };
  Elf64_Ehdr header{};
  if (error || !read(header) || !std::equal(ELFMAG, ELFMAG + SELFMAG, header.e_ident) ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr))
    return true;
  if (!inside(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize) ||
      !inside(header.e_phoff, uint64_t{header.e_phnum} * sizeof(Elf64_Phdr)))
    return false;
  in.seekg(std::streamoff(header.e_phoff));
  for (int i = 0; i < header.e_phnum; ++i)
    if (Elf64_Phdr part{}; !read(part) || !inside(part.p_offset, part.p_filesz)) return false;
  return true;
}

struct Plugin {
  void* library = nullptr;  // null: `status.trouble` says why
  CudaStatus status;
};

void* opened(std::string const& path, std::string& trouble) {
  if (path.empty()) {
    trouble = fmt::format(
        "this folio has no {}, which computes on NVIDIA GPUs: build it with `cmake --preset cuda` and `cmake --build "
        "--preset cuda`, or name the folder that has it in FOLIO_PLUGINS",
        kCudaFile);
    return nullptr;
  }
  if (!whole(path)) {
    trouble = fmt::format("{} is damaged: parts of it lie past its end; build or install it again", path);
    return nullptr;
  }
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) {
    trouble = fmt::format("{} cannot be opened: {}", path, ::dlerror());
    return nullptr;
  }
  auto* const abi = function_of<FolioPluginAbi>(library, "folio_plugin_abi");
  char const* const said = abi ? abi() : nullptr;
  if (std::string const theirs = said ? said : "none", ours = plugin_abi(); theirs != ours) {
    trouble = fmt::format("{} was not built with this folio (interface {}; expected {}): build both again", path,
                          theirs, ours);
    return nullptr;
  }
  for (char const* name : kFunctions)
    if (!::dlsym(library, name)) {
      trouble = fmt::format("{} is damaged: it lacks {}; build or install it again", path, name);
      return nullptr;
    }
  return library;
}

// Of a GPU that there is.
std::string trouble_of(CudaStatus const& s, int number) {
  CudaGpu const& gpu = s.gpus[size_t(number)];
  constexpr int kLeast = 8;
  if (gpu.major >= kLeast) return "";
  return fmt::format("cuda:{} is {} of compute capability {}.{}: {}.0 or newer is needed", number, gpu.name, gpu.major,
                     gpu.minor, int{kLeast});
}

Plugin look() {
  Plugin p;
  p.status.plugin = found_file();
  p.library = opened(p.status.plugin, p.status.trouble);
  if (!p.library) return p;
  function_of<FolioCudaStatus>(p.library, "folio_cuda_status")(p.status);
  if (!p.status.gpus.empty()) p.status.trouble = trouble_of(p.status, 0);
  return p;
}

Plugin const& plugin() {
  static Plugin const found = look();
  return found;
}

template <class F>
F& function(char const* name) {  // one of kFunctions
  check(plugin().library != nullptr, Fault::device, "{}", plugin().status.trouble);
  return *function_of<F>(plugin().library, name);
}

}  // namespace

CudaStatus const& cuda_status() { return plugin().status; }

uint64_t cuda_free_memory(int gpu) { return function<FolioCudaFreeMemory>("folio_cuda_free_memory")(gpu); }

std::string cuda_nccl_version() {
  std::string version;
  if (plugin().library) function<FolioNcclVersion>("folio_nccl_version")(version);
  return version;
}

CudaGpu const& cuda_gpu(int number) {
  CudaStatus const& s = cuda_status();
  int const count = int(s.gpus.size());
  check(count > 0, Fault::device, "{}", s.trouble);
  bool const there = 0 <= number && number < count;
  std::string const others = count > 1 ? fmt::format(" to cuda:{}", count - 1) : "";
  check(there, Fault::device, "there is no cuda:{}: the driver shows {} GPU{}, cuda:0{}", number, count,
        others.empty() ? "" : "s", others);
  std::string const trouble = trouble_of(s, number);
  check(trouble.empty(), Fault::device, "{}", trouble);
  return s.gpus[size_t(number)];
}

std::unique_ptr<Backend> make_cuda_backend(CudaOptions const& options) {
  (void)cuda_gpu(options.device);
  return std::unique_ptr<Backend>(function<FolioMakeCudaBackend>("folio_make_cuda_backend")(options));
}

std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const> backends) {
  std::vector<std::unique_ptr<Communicator>> made;
  function<FolioMakeNccl>("folio_make_nccl")(backends, made);
  return made;
}

}  // namespace folio

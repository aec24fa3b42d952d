#include "backend/plugin.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>

#include "core/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr char const* kCudaFile = "folio-cuda.so";

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
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) {
    trouble = fmt::format("{} cannot be opened: {}", path, ::dlerror());
    return nullptr;
  }
  auto* const abi = function_of<FolioPluginAbi>(library, "folio_plugin_abi");
  std::string const theirs = abi ? abi() : "none", ours = plugin_abi();
  if (theirs == ours) return library;
  trouble =
      fmt::format("{} was not built with this folio (interface {}; expected {}): build both again", path, theirs, ours);
  return nullptr;
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

}  // namespace

CudaStatus const& cuda_status() { return plugin().status; }

void* cuda_function(char const* name) {
  check(plugin().library != nullptr, Fault::device, "{}", plugin().status.trouble);
  void* const function = ::dlsym(plugin().library, name);
  check(function != nullptr, Fault::device, "{} lacks {}: build it again, with this folio", plugin().status.plugin,
        name);
  return function;
}

uint64_t cuda_free_memory(int gpu) {
  return reinterpret_cast<FolioCudaFreeMemory*>(cuda_function("folio_cuda_free_memory"))(gpu);
}

CudaGpu const& cuda_gpu(int number) {
  CudaStatus const& s = cuda_status();
  int const count = int(s.gpus.size());
  check(count > 0, Fault::device, "{}", s.trouble);
  check(number >= 0 && number<count, Fault::device, "there is no cuda:{}: the driver shows {} GPU{}, cuda:0{}", number,
                              count, count> 1
            ? "s"
            : "",
        count > 1 ? fmt::format(" to cuda:{}", count - 1) : "");
  std::string const trouble = trouble_of(s, number);
  check(trouble.empty(), Fault::device, "{}", trouble);
  return s.gpus[size_t(number)];
}

std::unique_ptr<Backend> make_cuda_backend(CudaOptions const& options) {
  (void)cuda_gpu(options.device);
  auto* const make = reinterpret_cast<FolioMakeCudaBackend*>(cuda_function("folio_make_cuda_backend"));
  return std::unique_ptr<Backend>(make(options));
}

std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const> backends) {
  std::vector<std::unique_ptr<Communicator>> made;
  reinterpret_cast<FolioMakeNccl*>(cuda_function("folio_make_nccl"))(backends, made);
  return made;
}

}  // namespace folio

// What the plug-in exports (backend/plugin.h): all else in it is hidden.
#include "backend/plugin.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <array>

#include "backend/cuda/communicator.h"
#include "backend/cuda/cuda.h"

namespace folio::cuda {
namespace {

/// A function of a library that may be absent; null then.
template <class F>
F* found(void* library, char const* name) {
  return library ? reinterpret_cast<F*>(::dlsym(library, name)) : nullptr;
}

// Asks without joining anything: communicator.cpp opens what ranks need.
std::string nccl_version() {
  void* const library = ::dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  auto* const version = found<int(int*)>(library, "ncclGetVersion");
  int number = 0;
  if (!version || version(&number) != 0) return "";
  return fmt::format("NCCL {}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

// By the management library, which comes with the driver; its header does not come with every toolkit.
std::string driver_release() {
  void* const library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  auto* const begin = found<int()>(library, "nvmlInit_v2");
  auto* const version = found<int(char*, unsigned)>(library, "nvmlSystemGetDriverVersion");
  auto* const end = found<int()>(library, "nvmlShutdown");
  if (!begin || !version || !end || begin() != 0) return "";
  std::array<char, 96> text{};
  bool const known = version(text.data(), unsigned(text.size())) == 0;
  (void)end();
  return known ? text.data() : "";
}

std::string trouble_of(cudaError_t error, CudaStatus const& s) {
  switch (error) {
    case cudaSuccess:
      return "";
    case cudaErrorNoDevice:
      return "the NVIDIA driver shows no GPU: is one there, and does CUDA_VISIBLE_DEVICES leave it visible?";
    case cudaErrorInsufficientDriver:
      if (s.driver > 0)
        return fmt::format(
            "the NVIDIA driver is too old: it is for CUDA {}, and this folio needs {}: install a newer driver",
            cuda_version_text(s.driver), cuda_version_text(s.runtime));
      [[fallthrough]];
    case cudaErrorStubLibrary:
      return "there is no NVIDIA driver (libcuda.so.1) on this machine: install one, or compute on the CPU";
    default:
      return fmt::format("the NVIDIA driver cannot be used: {}", cudaGetErrorString(error));
  }
}

cudaError_t list(std::vector<CudaGpu>& gpus) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  for (int i = 0; i < count && error == cudaSuccess; ++i) {
    cudaDeviceProp p{};
    error = cudaGetDeviceProperties(&p, i);
    gpus.push_back({p.name, p.totalGlobalMem, p.major, p.minor});
  }
  return error;
}

}  // namespace
}  // namespace folio::cuda

using namespace folio;

extern "C" {

FOLIO_API char const* folio_plugin_abi() {
  static std::string const abi = plugin_abi();
  return abi.c_str();
}

FOLIO_API void folio_cuda_status(CudaStatus& s) {
  (void)cudaRuntimeGetVersion(&s.runtime);
  (void)cudaDriverGetVersion(&s.driver);
  size_t const blas = cublasLtGetVersion();  // 130000 is 13.0.0
  s.cublaslt = fmt::format("{}.{}.{}", blas / 10000, blas / 100 % 100, blas % 100);
  s.driver_release = cuda::driver_release();
  s.trouble = cuda::trouble_of(cuda::list(s.gpus), s);
  if (!s.trouble.empty()) s.gpus.clear();
}

FOLIO_API uint64_t folio_cuda_free_memory(int gpu) {
  size_t free = 0, total = 0;
  cuda::expect(cudaSetDevice(gpu), "the GPU cannot be used: {}");
  cuda::expect(cudaMemGetInfo(&free, &total), "the GPU's memory: {}");
  return free;
}

FOLIO_API void folio_nccl_version(std::string& version) { version = cuda::nccl_version(); }

FOLIO_API Backend* folio_make_cuda_backend(CudaOptions const& options) { return new cuda::Cuda(options); }

FOLIO_API void folio_make_nccl(std::span<Backend* const> backends, std::vector<std::unique_ptr<Communicator>>& made) {
  made = cuda::make_nccl(backends);
}
}

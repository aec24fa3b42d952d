// Backends that are files of their own, opened at run time: folio-cuda.so (src/backend/cuda), so that one build runs
// with and without NVIDIA's driver and libraries. It is looked for in the folder that FOLIO_PLUGINS names; beside the
// program and in the folder above; where an installed program or libfolio.so has it (lib/folio). What was opened stays
// open as long as the process lives. Vendor headers stay in the plug-in.
//
// A plug-in exports folio_plugin_abi and the functions whose types stand at the end of this file. What it needs of
// folio besides it holds itself.
#pragma once

#include <string>
#include <vector>

#include "backend/communicator.h"

namespace folio {

struct CudaGpu {
  std::string name;          // "NVIDIA H200"
  uint64_t memory = 0;       // bytes
  int major = 0, minor = 0;  // compute capability
};

struct CudaStatus {
  std::string plugin;          // the path of folio-cuda.so; empty: none was found
  int runtime = 0;             // CUDA's version in the plug-in, as CUDA counts: 13000 is 13.0
  int driver = 0;              // the newest CUDA that the driver can; 0: no driver
  std::string driver_release;  // "580.95.05"; empty where the driver does not say
  std::string cublaslt;        // "13.0.0"
  std::vector<CudaGpu> gpus;
  std::string trouble;  // why make_cuda_backend() would be refused, a sentence; empty: it would not
};
CudaStatus const& cuda_status();             // looked at once
std::string cuda_version_text(int version);  // "13.0"
CudaGpu const& cuda_gpu(int number);         // Fault::device where it is not there or cannot be used
uint64_t cuda_free_memory(int gpu);          // bytes; of one that cuda_status() lists
std::string cuda_nccl_version();             // opens libnccl.so.2: "NCCL 2.27.7"; empty: it was not found

/// What program and plug-in must have in common, since objects with virtual functions pass between them: folio's
/// version, a hash of this header and of those that it includes (cmake/plugin_abi.cmake), the compiler, the standard
/// library.
std::string plugin_abi();

}  // namespace folio

extern "C" {
using FolioPluginAbi = char const*();
using FolioCudaStatus = void(folio::CudaStatus&);  // fills all but `plugin`
using FolioCudaFreeMemory = uint64_t(int gpu);
using FolioNcclVersion = void(std::string&);
using FolioMakeCudaBackend = folio::Backend*(folio::CudaOptions const&);
using FolioMakeNccl = void(std::span<folio::Backend* const>, std::vector<std::unique_ptr<folio::Communicator>>&);
}

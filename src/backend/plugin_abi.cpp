// Compiled into the program and into each plug-in: the two must say the same.
#include <fmt/core.h>

#include "backend/plugin.h"

namespace folio {

std::string plugin_abi() {
  constexpr int kInterface = 1;
  return fmt::format(
      "{}: folio {}, g++ {}, ABI {}/{}, Backend {}, Tensor {}, Limits {}, Dropout {}, StepState {}, "
      "CudaOptions {}, CudaStatus {}",
      kInterface, FOLIO_PLUGIN_VERSION, __VERSION__, __GXX_ABI_VERSION, _GLIBCXX_USE_CXX11_ABI, sizeof(Backend),
      sizeof(Tensor), sizeof(Limits), sizeof(Dropout), sizeof(StepState), sizeof(CudaOptions), sizeof(CudaStatus));
}

std::string cuda_version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

}  // namespace folio

// Rows of the cuda backend: those with "cuda" or "Cuda" in their name. Where there is no GPU, main.cpp skips them with
// cuda_status().trouble.
#pragma once

#include "backend/plugin.h"

namespace folio::test {

/// On a machine without a GPU the reference, so that the fixture of a row that is skipped can be made.
inline std::unique_ptr<Backend> make_cuda() {
  return cuda_status().trouble.empty() ? make_cuda_backend() : make_reference_backend();
}

}  // namespace folio::test

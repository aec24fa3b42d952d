// Host memory that a copy to the device may read after the call that asked for it has returned.
#pragma once

#include "backend/cuda/handles.h"

namespace folio::cuda {

class Staging {
 public:
  Staging();
  /// Copies `bytes` from the host, which may reuse its memory at once. Waits only where two halves of kHalf are on
  /// their way already.
  void upload(cudaStream_t, void* to, void const* from, size_t bytes);

 private:
  static constexpr size_t kHalf = size_t{4} << 20;
  PinnedMemory memory_;  // two halves
  CudaEvent read_[2];    // the device has read that half
  int half_ = 0;
  size_t used_ = 0;  // of this half
};

}  // namespace folio::cuda

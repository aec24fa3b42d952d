// What CUDA hands out, as move-only objects that give it back; and how its errors become folio's.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "core/error.h"

namespace folio::cuda {

/// Throws Fault::memory where the device is out of it, else Fault::device with CUDA's own words.
void expect(cudaError_t, Sentence what);  // "upload: {}"
void expect(cublasStatus_t, Sentence what);

/// After each launch: a configuration that the device refuses is known at once, a fault inside the kernel at the next
/// synchronisation.
inline void launched(Sentence what) { expect(cudaGetLastError(), what); }

template <class T, auto destroy>
struct Destroy {
  void operator()(T handle) const noexcept { (void)destroy(handle); }
};
template <class T, auto destroy>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, Destroy<T, destroy>>;

using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = Handle<cudaEvent_t, cudaEventDestroy>;
using Graph = Handle<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;
using DeviceMemory = Handle<void*, cudaFree>;
using PinnedMemory = Handle<void*, cudaFreeHost>;
using BlasHandle = Handle<cublasLtHandle_t, cublasLtDestroy>;
using BlasMatmul = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using BlasLayout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using BlasPreference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

}  // namespace folio::cuda

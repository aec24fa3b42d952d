// What kernels share: storage types, and sums of a warp and of a block. Device code only.
#pragma once

#include <cuda_runtime.h>

#include "backend/backend.h"

namespace folio::cuda {

/// Elements are read as f32 and rounded when stored.
__device__ inline float widen(float x) { return x; }
__device__ inline float widen(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }
__device__ inline void store(float& y, float x) { y = x; }
__device__ inline void store(bf16& y, float x) {
  uint32_t const u = __float_as_uint(x);
  y.bits = (u & 0x7fffffff) > 0x7f800000 ? uint16_t(u >> 16 | 0x40) : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/// Every lane gets the same bits: a butterfly adds the same pairs for all.
template <class T>
__device__ inline T warp_sum(T x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

/// Of a block whose threads are whole warps, 1024 at most; every thread gets it. `shared` is 32 of T; call again
/// freely.
template <class T>
__device__ inline T block_sum(T x, T* shared) {
  x = warp_sum(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_sum(threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : T(0));
}
__device__ inline float block_max(float x, float* shared) {
  x = warp_max(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_max(threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : -INFINITY);
}

}  // namespace folio::cuda

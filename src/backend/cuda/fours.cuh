// Four consecutive elements at a time: 128-bit accesses (64-bit in bf16) where the address allows, else one by one.
#pragma once

#include "backend/cuda/device.cuh"

namespace folio::cuda {

struct alignas(8) Fourbf16 {
  bf16 at[4];
};

template <class S>
__device__ bool aligned_four(S const* p) {
  return reinterpret_cast<uintptr_t>(p) % (4 * sizeof(S)) == 0;
}
__device__ inline float4 load_aligned_four(float const* p) { return *reinterpret_cast<float4 const*>(p); }
__device__ inline float4 load_aligned_four(bf16 const* p) {
  Fourbf16 const v = *reinterpret_cast<Fourbf16 const*>(p);
  return {widen(v.at[0]), widen(v.at[1]), widen(v.at[2]), widen(v.at[3])};
}

/// The first `count` elements at p, which may be more than 4; zeros for those that are not there.
template <class S>
__device__ float4 load_four(S const* p, int64_t count) {
  if (count >= 4 && aligned_four(p)) return load_aligned_four(p);
  return {count > 0 ? widen(p[0]) : 0, count > 1 ? widen(p[1]) : 0, count > 2 ? widen(p[2]) : 0,
          count > 3 ? widen(p[3]) : 0};
}

__device__ inline void store_four(float* p, float4 v, int64_t count) {
  if (count >= 4 && aligned_four(p)) {
    *reinterpret_cast<float4*>(p) = v;
    return;
  }
  if (count > 0) p[0] = v.x;
  if (count > 1) p[1] = v.y;
  if (count > 2) p[2] = v.z;
  if (count > 3) p[3] = v.w;
}
__device__ inline void store_four(bf16* p, float4 v, int64_t count) {
  Fourbf16 narrow;
  store(narrow.at[0], v.x), store(narrow.at[1], v.y), store(narrow.at[2], v.z), store(narrow.at[3], v.w);
  if (count >= 4 && aligned_four(p)) {
    *reinterpret_cast<Fourbf16*>(p) = narrow;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (count > i) p[i] = narrow.at[i];
}

/// f of each of the four, side by side.
template <class F, class... Fours>
__device__ inline float4 each_of_four(F f, Fours... v) {
  return {f(v.x...), f(v.y...), f(v.z...), f(v.w...)};
}

}  // namespace folio::cuda

// The product of inference, whose rows have the same bits whatever comes with them: an element is
//
//   bias + S₀ + S₁ + …   with Sⱼ one chain of fused multiply-adds in f32 over k in [64 j, 64 (j + 1)), in order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace folio::cuda {

/// y (M, N) = x (M, K) · w (K, N) + bias, or w (N, K) where transposed; rows of y are `leading` elements apart, bias
/// (N) may be null. Defined for linear (Y = S, not transposed) and the head (Y = float, transposed), S f32 and bf16.
template <bool kTransposed, class Y, class S>
void product(cudaStream_t, Y* y, int64_t leading, S const* x, S const* w, float const* bias, int64_t M, int64_t N,
             int64_t K);

}  // namespace folio::cuda

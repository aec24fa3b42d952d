#include "backend/cuda/inference_product.h"

#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"

namespace folio::cuda {
namespace {

constexpr int kDepth = 64;     // k of one chain
constexpr int kThinRows = 16;  // up to these, thin_product reads weights once for each kRows of them
constexpr int kWarps = 8;      // of thin_product: chains side by side
constexpr int kRows = 8;       // of thin_product, at most: each warp adds up the chains of one
constexpr int kStep = 32;      // k that thin_product loads at once

// A block computes 32 columns of R rows. Each warp takes a chain; those of one round are then added in order.
// Columns and rows beyond the last are computed from the last, and dropped.
template <int R, bool kTransposed, class Y, class S>
__global__ void __launch_bounds__(kWarps* kWarp)
    thin_product(Y* y, int64_t leading, S const* x, S const* w, float const* bias, int64_t M, int64_t N, int64_t K) {
  static_assert(kStep == kWarp);
  __shared__ float rows_of[kWarps][R][kStep];  // of x; then each warp's chains
  __shared__ float columns_of[kTransposed ? kWarps : 1][kTransposed ? kWarp : 1][kStep + 1];
  int const warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int64_t const first = int64_t(blockIdx.x) * kWarp, row = int64_t(blockIdx.y) * R;
  int64_t const n = min(first + lane, N - 1);
  int64_t const blocks = (K + kDepth - 1) / kDepth;
  float total = bias ? bias[n] : 0;  // of row `warp`
  for (int64_t round = 0; round < blocks; round += kWarps) {
    int64_t const begin = (round + warp) * kDepth, end = min(K, begin + kDepth);
    float sums[R] = {};
    for (int64_t k = begin; k < end; k += kStep) {
      int const steps = int(min(int64_t(kStep), end - k));
      float weights[kStep];
      __syncwarp();  // what the last step left in shared memory has been read
#pragma unroll
      for (int r = 0; r < R; ++r)
        rows_of[warp][r][lane] = lane < steps ? widen(x[min(row + r, M - 1) * K + k + lane]) : 0;
      if constexpr (kTransposed) {
#pragma unroll
        for (int c = 0; c < kWarp; ++c) weights[c] = lane < steps ? widen(w[min(first + c, N - 1) * K + k + lane]) : 0;
#pragma unroll
        for (int c = 0; c < kWarp; ++c) columns_of[warp][c][lane] = weights[c];
        __syncwarp();
#pragma unroll
        for (int i = 0; i < kStep; ++i) weights[i] = columns_of[warp][lane][i];
      } else {
#pragma unroll
        for (int i = 0; i < kStep; ++i) weights[i] = i < steps ? widen(w[(k + i) * N + n]) : 0;
        __syncwarp();
      }
#pragma unroll
      for (int i = 0; i < kStep; ++i)
        if (i < steps) {
#pragma unroll
          for (int r = 0; r < R; ++r) sums[r] = fmaf(rows_of[warp][r][i], weights[i], sums[r]);
        }
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < R; ++r) rows_of[warp][r][lane] = sums[r];
    __syncthreads();
    if (warp < R)
      for (int j = 0; j < kWarps && round + j < blocks; ++j) total += rows_of[j][warp][lane];
    __syncthreads();
  }
  if (warp < R && row + warp < M && first + lane < N) store(y[(row + warp) * leading + n], total);
}

constexpr int kTile = 64;      // rows and columns of a block
constexpr int kTileStep = 16;  // k in shared memory at once
constexpr int kOwn = 4;        // rows and columns of a thread
constexpr int kSide = kTile / kOwn;
constexpr int kTileThreads = kSide * kSide;

template <class S>
__device__ void load_across(float (*tile)[kTile + 4], S const* from, int64_t first, int64_t count, int64_t k, int steps,
                            int64_t K) {  // tile[k][i] of from (count, K)
  for (int e = threadIdx.x; e < kTile * kTileStep; e += kTileThreads) {
    int const step = e % kTileStep, i = e / kTileStep;
    tile[step][i] = step < steps && first + i < count ? widen(from[(first + i) * K + k + step]) : 0;
  }
}

template <bool kTransposed, class Y, class S>
__global__ void __launch_bounds__(kTileThreads)
    tiled_product(Y* y, int64_t leading, S const* x, S const* w, float const* bias, int64_t M, int64_t N, int64_t K) {
  alignas(16) __shared__ float left[kTileStep][kTile + 4], right[kTileStep][kTile + 4];
  int const across = threadIdx.x % kSide * kOwn, down = threadIdx.x / kSide * kOwn;
  int64_t const row = int64_t(blockIdx.y) * kTile, column = int64_t(blockIdx.x) * kTile;
  float totals[kOwn][kOwn];
  for (int j = 0; j < kOwn; ++j)
    for (int i = 0; i < kOwn; ++i) totals[i][j] = bias && column + across + j < N ? bias[column + across + j] : 0;
  for (int64_t begin = 0; begin < K; begin += kDepth) {
    int64_t const end = min(K, begin + kDepth);
    float sums[kOwn][kOwn] = {};
    for (int64_t k = begin; k < end; k += kTileStep) {
      int const steps = int(min(int64_t(kTileStep), end - k));
      __syncthreads();
      load_across(left, x, row, M, k, steps, K);
      if constexpr (kTransposed) load_across(right, w, column, N, k, steps, K);
      else
        for (int e = threadIdx.x; e < kTile * kTileStep; e += kTileThreads) {
          int const step = e / kTile, i = e % kTile;
          right[step][i] = step < steps && column + i < N ? widen(w[(k + step) * N + column + i]) : 0;
        }
      __syncthreads();
#pragma unroll
      for (int s = 0; s < kTileStep; ++s)
        if (s < steps) {
          float4 const a = *reinterpret_cast<float4 const*>(&left[s][down]),
                       b = *reinterpret_cast<float4 const*>(&right[s][across]);
          float const as[kOwn] = {a.x, a.y, a.z, a.w}, bs[kOwn] = {b.x, b.y, b.z, b.w};
#pragma unroll
          for (int i = 0; i < kOwn; ++i)
#pragma unroll
            for (int j = 0; j < kOwn; ++j) sums[i][j] = fmaf(as[i], bs[j], sums[i][j]);
        }
    }
    for (int i = 0; i < kOwn; ++i)
      for (int j = 0; j < kOwn; ++j) totals[i][j] += sums[i][j];
  }
  for (int i = 0; i < kOwn; ++i)
    for (int j = 0; j < kOwn; ++j)
      if (row + down + i < M && column + across + j < N)
        store(y[(row + down + i) * leading + column + across + j], totals[i][j]);
}

}  // namespace

template <bool kTransposed, class Y, class S>
void product(cudaStream_t stream, Y* y, int64_t leading, S const* x, S const* w, float const* bias, int64_t M,
             int64_t N, int64_t K) {
  if (M == 0 || N == 0) return;
  auto const grid = [&](int64_t columns, int64_t rows) {
    return dim3(unsigned(parts_of(N, columns)), unsigned(parts_of(M, rows)));
  };
  constexpr int kThreads = kWarps * kWarp;
  if (M == 1) {
    thin_product<1, kTransposed><<<grid(kWarp, 1), kThreads, 0, stream>>>(y, leading, x, w, bias, M, N, K);
  } else if (M <= 4) {
    thin_product<4, kTransposed><<<grid(kWarp, 4), kThreads, 0, stream>>>(y, leading, x, w, bias, M, N, K);
  } else if (M <= kThinRows) {
    thin_product<kRows, kTransposed><<<grid(kWarp, kRows), kThreads, 0, stream>>>(y, leading, x, w, bias, M, N, K);
  } else {
    tiled_product<kTransposed><<<grid(kTile, kTile), kTileThreads, 0, stream>>>(y, leading, x, w, bias, M, N, K);
  }
  launched("a product of inference: {}");
}

template void product<false>(cudaStream_t, float*, int64_t, float const*, float const*, float const*, int64_t, int64_t,
                             int64_t);
template void product<false>(cudaStream_t, bf16*, int64_t, bf16 const*, bf16 const*, float const*, int64_t, int64_t,
                             int64_t);
template void product<true>(cudaStream_t, float*, int64_t, float const*, float const*, float const*, int64_t, int64_t,
                            int64_t);
template void product<true>(cudaStream_t, float*, int64_t, bf16 const*, bf16 const*, float const*, int64_t, int64_t,
                            int64_t);

}  // namespace folio::cuda

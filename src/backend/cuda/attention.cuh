// Tiles of attention: 64 rows of 64 elements in shared memory, by float4, and products of them. Of the 16 fours of a
// row, number n lies at place n ^ (row / 4 % 8): so threads that read one column of every fourth row, or one row, find
// them in different banks.
#pragma once

#include "backend/cuda/dropout.cuh"
#include "backend/cuda/fours.cuh"

namespace folio::cuda {

inline constexpr int kTile = 64, kFours = kTile / 4, kTileFours = kTile * kFours;
inline constexpr int kRows = 8;  // of a thread, with four columns each
inline constexpr int kAttentionThreads = kTile / kRows * kFours;
using Sums = float[kRows][4];

struct AttentionSizes {
  int T, C, H, D;
  int heads, tiles, chunks;  // B·H; of T and of D by kTile
  float scale;               // 1/√D
};

struct Place {  // of a thread: rows kRows · y + i, columns 4x + j
  int x, y;
  __device__ Place() : x(int(threadIdx.x) % kFours), y(int(threadIdx.x) / kFours) {}
  __device__ int row(int i) const { return kRows * y + i; }
  __device__ int column(int j) const { return 4 * x + j; }
};
__device__ inline int place_of(int row, int four) { return row * kFours + (four ^ (row / 4 % 8)); }

// The same for every lane of the half: a row of elements lies with its 16 threads.
__device__ inline float half_warp_sum(float x) {
  for (int step = 8; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}
__device__ inline float half_warp_max(float x) {
  for (int step = 8; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  return x;
}

/// The `rows` × `columns` elements at x, whose rows are `leading` apart, as far as the tile reaches; else zeros.
template <class S>
__device__ void load_tile(float4* tile, S const* x, int64_t leading, int rows, int columns) {
  constexpr int kStep = kAttentionThreads / kFours;
  int const first = int(threadIdx.x) / kFours, four = int(threadIdx.x) % kFours, count = columns - 4 * four;
  x += first * leading + 4 * four;
  if (count >= 4 && leading % 4 == 0 && aligned_four(x)) {
#pragma unroll 4
    for (int n = 0; n < kTile; n += kStep)
      tile[place_of(first + n, four)] = first + n < rows ? load_aligned_four(x + n * leading) : float4{0, 0, 0, 0};
  } else {
#pragma unroll 1
    for (int n = 0; n < kTile; n += kStep)
      tile[place_of(first + n, four)] = load_four(x + n * leading, first + n < rows ? count : 0);
  }
}

/// sums += rows of a · rows of b
__device__ inline void add_products(Sums& sums, float4 const* a, float4 const* b, Place const& me) {
#pragma unroll 1
  for (int d = 0; d < kFours; ++d) {
    float4 v[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = b[place_of(me.column(j), d)];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      float4 const u = a[place_of(me.row(i), d)];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        sums[i][j] = fmaf(u.w, v[j].w, fmaf(u.z, v[j].z, fmaf(u.y, v[j].y, fmaf(u.x, v[j].x, sums[i][j]))));
    }
  }
}

__device__ inline void add_scaled(float (&sums)[4], float weight, float4 v) {
  sums[0] = fmaf(weight, v.x, sums[0]), sums[1] = fmaf(weight, v.y, sums[1]);
  sums[2] = fmaf(weight, v.z, sums[2]), sums[3] = fmaf(weight, v.w, sums[3]);
}
/// sums += weights · b
__device__ inline void add_weighted(Sums& sums, float4 const* weights, float4 const* b, Place const& me) {
#pragma unroll 1
  for (int k = 0; k < kFours; ++k) {
    float4 v[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = b[place_of(4 * k + e, me.x)];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      float4 const w = weights[place_of(me.row(i), k)];
      add_scaled(sums[i], w.x, v[0]), add_scaled(sums[i], w.y, v[1]);
      add_scaled(sums[i], w.z, v[2]), add_scaled(sums[i], w.w, v[3]);
    }
  }
}

__device__ inline void put_rows(float4* tile, Sums const& x, Place const& me) {
#pragma unroll
  for (int i = 0; i < kRows; ++i) tile[place_of(me.row(i), me.x)] = {x[i][0], x[i][1], x[i][2], x[i][3]};
}

}  // namespace folio::cuda

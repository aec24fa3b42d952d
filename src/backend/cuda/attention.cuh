// Tiles of attention: 64 rows of 64 elements in shared memory, by float4, and products of them. Of the 16 fours of a
// row, number n lies at place n ^ (row / 4 % 8): so threads that read one column of every fourth row, or one row, find
// them in different banks.
#pragma once

#include "backend/cuda/dropout.cuh"
#include "backend/cuda/fours.cuh"

namespace folio::cuda {

inline constexpr int kTile = 64, kFours = kTile / 4, kTileFours = kTile * kFours;
inline constexpr int kAttentionThreads = 256;

struct AttentionSizes {
  int64_t T, C, H, D;
  int64_t heads, tiles, chunks;  // B·H; of T and of D by kTile
  float scale;                   // 1/√D
};

struct Place {  // of a thread: rows 4y … 4y + 3, columns 4x … 4x + 3
  int x, y;
  __device__ Place() : x(int(threadIdx.x) % 16), y(int(threadIdx.x) / 16) {}
};

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
__device__ void load_tile(float4* tile, S const* x, int64_t leading, int64_t rows, int64_t columns) {
#pragma unroll
  for (int at = int(threadIdx.x); at < kTileFours; at += kAttentionThreads) {
    int const row = at / kFours, four = at % kFours;
    bool const there = row < rows && 4 * four < columns;
    tile[row * kFours + (four ^ (row / 4 % 8))] =
        there ? load_four(x + row * leading + 4 * four, columns - 4 * four) : float4{0, 0, 0, 0};
  }
}

/// sums += rows of a · rows of b
__device__ inline void add_products(float (&sums)[4][4], float4 const* a, float4 const* b, Place const& me) {
#pragma unroll 4
  for (int d = 0; d < kFours; ++d) {
    float4 u[4], v[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      u[i] = a[(4 * me.y + i) * kFours + (d ^ (me.y % 8))];
      v[i] = b[(4 * me.x + i) * kFours + (d ^ (me.x % 8))];
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        sums[i][j] = fmaf(u[i].w, v[j].w, fmaf(u[i].z, v[j].z, fmaf(u[i].y, v[j].y, fmaf(u[i].x, v[j].x, sums[i][j]))));
  }
}

__device__ inline void add_scaled(float (&sums)[4], float weight, float4 v) {
  sums[0] = fmaf(weight, v.x, sums[0]), sums[1] = fmaf(weight, v.y, sums[1]);
  sums[2] = fmaf(weight, v.z, sums[2]), sums[3] = fmaf(weight, v.w, sums[3]);
}
/// sums += weights · b
__device__ inline void add_weighted(float (&sums)[4][4], float4 const* weights, float4 const* b, Place const& me) {
#pragma unroll 4
  for (int k = 0; k < kFours; ++k) {
    float4 v[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = b[(4 * k + e) * kFours + (me.x ^ (k % 8))];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float4 const w = weights[(4 * me.y + i) * kFours + (k ^ (me.y % 8))];
      add_scaled(sums[i], w.x, v[0]), add_scaled(sums[i], w.y, v[1]);
      add_scaled(sums[i], w.z, v[2]), add_scaled(sums[i], w.w, v[3]);
    }
  }
}

__device__ inline void put_rows(float4* tile, float const (&x)[4][4], Place const& me) {
#pragma unroll
  for (int i = 0; i < 4; ++i)
    tile[(4 * me.y + i) * kFours + (me.x ^ (me.y % 8))] = {x[i][0], x[i][1], x[i][2], x[i][3]};
}

}  // namespace folio::cuda

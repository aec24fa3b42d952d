// Attention on a ragged batch. One kernel writes the new keys and values into the pool; in a second a block has one
// query of one head (and 128 of its channels). Its warps take the pool's blocks of 32 keys in turn from position 0, a
// lane each, and their sums are added in one order: a row's bits depend on its own text alone.
#include "backend/cuda/cuda.h"
#include "backend/cuda/fours.cuh"

namespace folio::cuda {
namespace {

constexpr int kWarps = 8, kChannels = 128, kOfLane = kChannels / kWarp;
static_assert(kBlock == kWarp);

struct Pool {  // and the tensors of a Ragged; sizes as in backend.h
  int32_t const *positions, *query_start, *table;
  int64_t N, S, M, blocks, H, D;

  /// Of token n: the last sequence that begins at n or before.
  __device__ int64_t sequence_of(int64_t n) const {
    int64_t low = 0, high = S;
    while (high - low > 1) {
      int64_t const middle = (low + high) / 2;
      (query_start[middle] <= n ? low : high) = middle;
    }
    return low;
  }
  /// The element before which key (0) or value (1) `slot` of this block and head begins; −1 outside the pool.
  __device__ int64_t at(int which, int64_t sequence, int64_t block, int64_t h, int64_t slot) const {
    int64_t const number = block >= 0 && block < M ? table[sequence * M + block] : -1;
    return number >= 0 && number < blocks ? (((which * blocks + number) * H + h) * kBlock + slot) * D : -1;
  }
};

template <class T>
__global__ void store_keys_and_values(T* pool, T const* qkv, Pool z) {
  int64_t const n = blockIdx.x, C = z.H * z.D, position = z.positions[n], sequence = z.sequence_of(n);
  if (position < 0) return;
  for (int64_t c = threadIdx.x; c < 2 * C; c += blockDim.x) {
    int const which = c >= C;
    int64_t const h = (c - which * C) / z.D, to = z.at(which, sequence, position / kBlock, h, position % kBlock);
    if (to >= 0) pool[to + (c - which * C) % z.D] = qkv[n * 3 * C + C + c];
  }
}

template <class T>
__global__ __launch_bounds__(kWarps* kWarp) void attend_cached(T* y, T const* qkv, T const* pool, Pool z,
                                                               int64_t chunks, float scale) {
  __shared__ float out[kWarps][kChannels], top[kWarps], sums[kWarps];
  int const lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int64_t const chunk = blockIdx.x % chunks, h = blockIdx.x / chunks % z.H, n = blockIdx.x / chunks / z.H;
  int64_t const C = z.H * z.D, own = z.positions[n], sequence = z.sequence_of(n), first = chunk * kChannels;
  T const* const q = qkv + n * 3 * C + h * z.D;

  float most = -INFINITY, sum = 0, value[kOfLane] = {};
  for (int64_t block = warp; block * kBlock <= own && block < z.M; block += kWarps) {
    int64_t const keys = min(kBlock, own + 1 - block * kBlock), from = z.at(0, sequence, block, h, 0),
                  values = z.at(1, sequence, block, h, 0);
    if (from < 0) {  // no such block: the row is not a number
      sum = NAN;
      break;
    }
    float score = -INFINITY;
    if (lane < keys) {
      T const* const k = pool + from + lane * z.D;
      score = 0;
      for (int64_t d = 0; d < z.D; d += 4) {
        float4 const a = load_four(q + d, z.D - d), b = load_four(k + d, z.D - d);
        score = fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, score))));
      }
      score *= scale;
    }
    float const before = most;
    most = fmaxf(most, warp_max(score));
    float const factor = expf(before - most), p = expf(score - most);
    sum = sum * factor + warp_sum(p);
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) value[i] *= factor;
    for (int64_t j = 0; j < keys; ++j) {
      float const weight = __shfl_sync(~0u, p, int(j));
      T const* const v = pool + values + j * z.D + first;
#pragma unroll
      for (int i = 0; i < kOfLane; ++i)
        if (int64_t const d = i * kWarp + lane; first + d < z.D) value[i] = fmaf(weight, widen(v[d]), value[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < kOfLane; ++i) out[warp][i * kWarp + lane] = value[i];
  if (lane == 0) top[warp] = most, sums[warp] = sum;
  __syncthreads();

  int64_t const d = threadIdx.x;
  if (d >= kChannels || first + d >= z.D) return;
  float greatest = -INFINITY, total = 0, x = 0;
  for (int w = 0; w < kWarps; ++w) greatest = fmaxf(greatest, top[w]);
  for (int w = 0; w < kWarps; ++w) {
    float const factor = expf(top[w] - greatest);
    total = fmaf(sums[w], factor, total), x = fmaf(out[w][d], factor, x);
  }
  bool const inside = own >= 0 && own < z.M * kBlock;
  store(y[n * C + h * z.D + first + d], inside ? x / total : NAN);
}

}  // namespace

void Cuda::do_cached_attention(Tensor y, Tensor qkv, Tensor pool, Ragged const& r) {
  Pool const z{.positions = r.positions.as<int32_t>(),
               .query_start = r.query_start.as<int32_t>(),
               .table = r.block_table.as<int32_t>(),
               .N = y.rows(),
               .S = r.block_table.shape[0],
               .M = r.block_table.shape[1],
               .blocks = pool.shape[1],
               .H = pool.shape[2],
               .D = pool.shape[4]};
  int64_t const chunks = parts_of(z.D, kChannels);
  with_storage(y.dtype, [&]<class T> {
    store_keys_and_values<T><<<unsigned(z.N), kWarps * kWarp, 0, stream()>>>(pool.as<T>(), qkv.as<T>(), z);
    launched("cached_attention: {}");
    attend_cached<T><<<unsigned(z.N * z.H * chunks), kWarps * kWarp, 0, stream()>>>(
        y.as<T>(), qkv.as<T>(), pool.as<T>(), z, chunks, float(1 / std::sqrt(double(z.D))));
    launched("cached_attention: {}");
  });
}

}  // namespace folio::cuda

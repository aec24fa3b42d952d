// Attention over tiles of 64 queries × 64 keys × 64 channels of a head in shared memory; a head of more channels is
// taken in chunks of 64, and each block gives one chunk of its outputs. A softmax is summed as its keys come (Dao et
// al. 2022, alg. 1). Sums are f32 whatever the activations are stored as, and taken in one order.
#include "backend/cuda/attention.cuh"

#include "backend/cuda/cuda.h"

namespace folio::cuda {
namespace {

// Which tile, head and chunk a block has. The tiles that see most come first, so that the last blocks are short ones.
struct Block {
  int chunk, head, b, h, rank;
  __device__ explicit Block(AttentionSizes const& z)
      : chunk(int(blockIdx.x) % z.chunks),
        head(int(blockIdx.x) / z.chunks % z.heads),
        b(head / z.H),
        h(head % z.H),
        rank(int(blockIdx.x) / z.chunks / z.heads) {}
};

// Where the parts of a head lie in qkv (B, T, 3, H, D) and y (B, T, H, D), from token t and channel 64·chunk on.
template <class S>
__device__ S* part_of(S* qkv, AttentionSizes const& z, Block const& at, int part, int t, int chunk) {
  return qkv + ((int64_t(at.b) * z.T + t) * 3 + part) * z.C + at.h * z.D + chunk * kTile;
}
template <class S>
__device__ S* row_of(S* y, AttentionSizes const& z, Block const& at, int t, int chunk) {
  return y + (int64_t(at.b) * z.T + t) * z.C + at.h * z.D + chunk * kTile;
}
__device__ uint64_t first_dropped(AttentionSizes const& z, DropoutKey const& key, Block const& at, int query,
                                  int first_key) {
  return uint64_t(((key.sequences[at.b] * z.H + at.h) * z.T + query) * z.T + first_key);
}

template <class S, bool drops>
__global__ __launch_bounds__(kAttentionThreads, 3) void attend(S* y, float* lse, S const* qkv, AttentionSizes z,
                                                               DropoutKey key) {
  extern __shared__ float4 shared[];
  float4 *const q = shared, *const k = q + kTileFours, *const v = k + kTileFours, *const p = v + kTileFours;
  Block const at(z);
  Place const me;
  int const first = (z.tiles - 1 - at.rank) * kTile;
  DropoutCounter const counter = drops ? counter_of(key) : DropoutCounter{};
  float sums[kRows] = {}, top[kRows];
  Sums out = {};
  for (float& x : top) x = -INFINITY;

  for (int from = 0; from <= first; from += kTile) {
    Sums s = {};
    for (int c = 0; c < z.chunks; ++c) {
      __syncthreads();  // the tiles before these have been read
      if (from == 0 || z.chunks > 1)
        load_tile(q, part_of(qkv, z, at, 0, first, c), 3 * z.C, z.T - first, z.D - c * kTile);
      load_tile(k, part_of(qkv, z, at, 1, from, c), 3 * z.C, z.T - from, z.D - c * kTile);
      if (c == 0) load_tile(v, part_of(qkv, z, at, 2, from, at.chunk), 3 * z.C, z.T - from, z.D - at.chunk * kTile);
      __syncthreads();
      add_products(s, q, k, me);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      int const query = first + me.row(i);
      float most = top[i], part = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = from + me.column(j) <= query ? s[i][j] * z.scale : -INFINITY;
        most = fmaxf(most, s[i][j]);
      }
      most = half_warp_max(most);
      float const factor = expf(top[i] - most);
#pragma unroll
      for (int j = 0; j < 4; ++j) part += s[i][j] = expf(s[i][j] - most), out[i][j] *= factor;
      sums[i] = sums[i] * factor + half_warp_sum(part), top[i] = most;
      if constexpr (drops) {
        float4 const f = dropout_factors(key, counter, first_dropped(z, key, at, query, from + 4 * me.x));
        s[i][0] *= f.x, s[i][1] *= f.y, s[i][2] *= f.z, s[i][3] *= f.w;
      }
    }
    put_rows(p, s, me);
    __syncwarp();  // a row of p is written and read by the same half of a warp
    add_weighted(out, p, v, me);
  }

#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    int const query = first + me.row(i);
    if (query >= z.T) break;
    float const share = 1 / sums[i];
    store_four(row_of(y, z, at, query, at.chunk) + 4 * me.x,
               {out[i][0] * share, out[i][1] * share, out[i][2] * share, out[i][3] * share},
               z.D - at.chunk * kTile - 4 * me.x);
    if (at.chunk == 0 && me.x == 0) lse[int64_t(at.head) * z.T + query] = top[i] + logf(sums[i]);
  }
}

// deltas (B, H, T) = dy·y of each head's row: a warp each.
template <class S>
__global__ void delta_kernel(float* deltas, S const* dy, S const* y, AttentionSizes z) {
  int64_t const row = (int64_t(blockIdx.x) * kAttentionThreads + threadIdx.x) / kWarp, t = row % z.T, head = row / z.T;
  if (head >= z.heads) return;
  int64_t const from = (head / z.H * z.T + t) * z.C + head % z.H * z.D;
  float sum = 0;
  for (int64_t d = threadIdx.x % kWarp; d < z.D; d += kWarp) sum = fmaf(widen(dy[from + d]), widen(y[from + d]), sum);
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) deltas[row] = sum;
}

// The rows of dy and q that a block of either kernel of the backward reads, times k and v: scores and dy·v. The block's
// own chunk comes last and stays in the tiles.
template <class S>
struct Tiles {
  float4 *q, *k, *v, *g;
  S const *qkv, *dy;
};
template <class S>
__device__ void load_chunk(Tiles<S> const& t, AttentionSizes const& z, Block const& at, int chunk, int queries,
                           int keys, bool load_queries, bool load_keys) {
  int const width = z.D - chunk * kTile;
  if (load_queries) {
    load_tile(t.q, part_of(t.qkv, z, at, 0, queries, chunk), 3 * z.C, z.T - queries, width);
    load_tile(t.g, row_of(t.dy, z, at, queries, chunk), z.C, z.T - queries, width);
  }
  if (load_keys) {
    load_tile(t.k, part_of(t.qkv, z, at, 1, keys, chunk), 3 * z.C, z.T - keys, width);
    load_tile(t.v, part_of(t.qkv, z, at, 2, keys, chunk), 3 * z.C, z.T - keys, width);
  }
}

// ds = p (mask · (dy·v) − dy·y) / √D, for y = Σ mask p v makes Σ p dp equal dy·y (Dao et al. 2022, app. B.2)
template <class S, bool drops>
__global__ __launch_bounds__(kAttentionThreads, 2) void attend_backward_queries(S* dqkv, S const* dy, float const* lse,
                                                                                float const* deltas, S const* qkv,
                                                                                AttentionSizes z, DropoutKey key) {
  extern __shared__ float4 shared[];
  Tiles<S> const tiles{shared, shared + kTileFours, shared + 2 * kTileFours, shared + 3 * kTileFours, qkv, dy};
  float4* const ds = shared + 4 * kTileFours;
  Block const at(z);
  Place const me;
  int const first = (z.tiles - 1 - at.rank) * kTile;
  DropoutCounter const counter = drops ? counter_of(key) : DropoutCounter{};
  float of_lse[kRows], delta[kRows];
  Sums dq = {};
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    int64_t const row = int64_t(at.head) * z.T + min(first + me.row(i), z.T - 1);
    of_lse[i] = lse[row], delta[i] = deltas[row];
  }
  for (int from = 0; from <= first; from += kTile) {
    Sums s = {}, dp = {};
    for (int c = 1; c <= z.chunks; ++c) {
      __syncthreads();
      load_chunk(tiles, z, at, (at.chunk + c) % z.chunks, first, from, from == 0 || z.chunks > 1, true);
      __syncthreads();
      add_products(s, tiles.q, tiles.k, me), add_products(dp, tiles.g, tiles.v, me);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      int const query = first + me.row(i);
      if constexpr (drops) {
        float4 const f = dropout_factors(key, counter, first_dropped(z, key, at, query, from + 4 * me.x));
        dp[i][0] *= f.x, dp[i][1] *= f.y, dp[i][2] *= f.z, dp[i][3] *= f.w;
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        bool const seen = from + me.column(j) <= query && query < z.T;
        s[i][j] = seen ? expf(s[i][j] * z.scale - of_lse[i]) * (dp[i][j] - delta[i]) * z.scale : 0;
      }
    }
    put_rows(ds, s, me);
    __syncwarp();
    add_weighted(dq, ds, tiles.k, me);
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i)
    if (int const query = first + me.row(i); query < z.T)
      store_four(part_of(dqkv, z, at, 0, query, at.chunk) + 4 * me.x, {dq[i][0], dq[i][1], dq[i][2], dq[i][3]},
                 z.D - at.chunk * kTile - 4 * me.x);
}

// The same with keys as rows and queries as columns.
template <class S, bool drops>
__global__ __launch_bounds__(kAttentionThreads, 2) void attend_backward_keys(S* dqkv, S const* dy, float const* lse,
                                                                             float const* deltas, S const* qkv,
                                                                             AttentionSizes z, DropoutKey key) {
  extern __shared__ float4 shared[];
  Tiles<S> const tiles{shared, shared + kTileFours, shared + 2 * kTileFours, shared + 3 * kTileFours, qkv, dy};
  float4* const weights = shared + 4 * kTileFours;
  Block const at(z);
  Place const me;
  int const first = at.rank * kTile;
  DropoutCounter const counter = drops ? counter_of(key) : DropoutCounter{};
  Sums dk = {}, dv = {};
  for (int from = first; from < z.T; from += kTile) {
    Sums p = {}, ds = {};
    for (int c = 1; c <= z.chunks; ++c) {
      __syncthreads();
      load_chunk(tiles, z, at, (at.chunk + c) % z.chunks, from, first, true, from == first || z.chunks > 1);
      __syncthreads();
      add_products(p, tiles.k, tiles.q, me), add_products(ds, tiles.v, tiles.g, me);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      int const query = from + me.column(j);
      int64_t const known = int64_t(at.head) * z.T + min(query, z.T - 1);
      float const of_lse = lse[known], delta = deltas[known];
      float f[kRows];
#pragma unroll
      for (int i = 0; i < kRows; i += 4) {
        float4 g = {1, 1, 1, 1};
        if constexpr (drops) g = dropout_factors(key, counter, first_dropped(z, key, at, query, first + me.row(i)));
        f[i] = g.x, f[i + 1] = g.y, f[i + 2] = g.z, f[i + 3] = g.w;
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        bool const seen = first + me.row(i) <= query && query < z.T;
        float const weight = seen ? expf(p[i][j] * z.scale - of_lse) : 0;
        ds[i][j] = weight * (f[i] * ds[i][j] - delta) * z.scale, p[i][j] = weight * f[i];
      }
    }
    put_rows(weights, p, me);
    __syncwarp();
    add_weighted(dv, weights, tiles.g, me);
    __syncwarp();
    put_rows(weights, ds, me);
    __syncwarp();
    add_weighted(dk, weights, tiles.q, me);
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i)
    if (int const t = first + me.row(i); t < z.T) {
      int const width = z.D - at.chunk * kTile - 4 * me.x;
      store_four(part_of(dqkv, z, at, 1, t, at.chunk) + 4 * me.x, {dk[i][0], dk[i][1], dk[i][2], dk[i][3]}, width);
      store_four(part_of(dqkv, z, at, 2, t, at.chunk) + 4 * me.x, {dv[i][0], dv[i][1], dv[i][2], dv[i][3]}, width);
    }
}

AttentionSizes sizes_of(Tensor y, Tensor lse) {
  int64_t const B = lse.shape[0], H = lse.shape[1], T = lse.shape[2], C = y.shape[2], D = C / H;
  int64_t const tiles = parts_of(T, kTile), chunks = parts_of(D, kTile);
  check(3 * C <= INT32_MAX && B * H * tiles * chunks <= INT32_MAX, "attention: {} heads of {} are too many", B * H,
        y.shape);
  return {.T = int(T),
          .C = int(C),
          .H = int(H),
          .D = int(D),
          .heads = int(B * H),
          .tiles = int(tiles),
          .chunks = int(chunks),
          .scale = float(1 / std::sqrt(double(D)))};
}

// A kernel over all tiles, heads and chunks, with so many tiles in shared memory.
template <class... Parameters, class... Arguments>
void launch_tiles(char const* what, cudaStream_t stream, AttentionSizes const& z, int tiles,
                  void (*kernel)(Parameters...), Arguments... arguments) {
  int const bytes = tiles * kTileFours * int(sizeof(float4));
  expect(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), what);
  kernel<<<unsigned(z.tiles * z.heads * z.chunks), kAttentionThreads, size_t(bytes), stream>>>(arguments...);
  launched(what);
}

}  // namespace

int64_t scratch_of_attention(Limits const& l) {  // attention_backward's deltas
  return round_up(l.rows * l.heads * int64_t(sizeof(float)), 256);
}

void Cuda::do_attention(Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  AttentionSizes const z = sizes_of(y, lse);
  with_storage(y.dtype, [&]<class S> {
    launch_tiles("attention: {}", stream(), z, 4, dropout.rate == 0 ? attend<S, false> : attend<S, true>, y.as<S>(),
                 lse.as<float>(), qkv.as<S>(), z, key_of(dropout));
  });
}

void Cuda::do_attention_backward(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  AttentionSizes const z = sizes_of(y, lse);
  float* const deltas = room("attention_backward").take<float>(lse.size());
  with_storage(y.dtype, [&]<class S> {
    delta_kernel<S><<<unsigned(parts_of(lse.size(), kAttentionThreads / kWarp)), kAttentionThreads, 0, stream()>>>(
        deltas, dy.as<S>(), y.as<S>(), z);
    launched("attention_backward: {}");
    bool const drops = dropout.rate != 0;
    auto const launch = [&](auto kernel) {
      launch_tiles("attention_backward: {}", stream(), z, 5, kernel, dqkv.as<S>(), dy.as<S>(), lse.as<float>(), deltas,
                   qkv.as<S>(), z, key_of(dropout));
    };
    launch(drops ? attend_backward_queries<S, true> : attend_backward_queries<S, false>);
    launch(drops ? attend_backward_keys<S, true> : attend_backward_keys<S, false>);
  });
}

}  // namespace folio::cuda

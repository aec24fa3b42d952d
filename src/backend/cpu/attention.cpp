// Attention. A thread works on one head of one sequence: it packs keys and values into panels (kernels.h) and goes
// through the queries a few rows at a time, whose scores against all keys so far lie in a strip of scratch. So memory
// grows with T, never with T², and the softmax of a row needs no second pass over the products.
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "backend/cpu/cpu.h"
#include "core/random.h"

namespace folio::cpu {
namespace {

constexpr int64_t kQueries = 24;          // rows of a strip, forward: whole tiles at every level
constexpr int64_t kQueriesBackward = 48;  // backward: longer sums for dk and dv
constexpr int64_t kCachedQueries = 16;    // of one sequence, that share the reading of keys

struct Sizes {
  Kernels<float> const& kernels;
  int64_t T, D, Tp, Dp;  // Tp, Dp: rounded up to whole panels
  Sizes(Kernels<float> const& k, int64_t T, int64_t D)
      : kernels(k), T(T), D(D), Tp(round_up(T, k.panel)), Dp(round_up(D, k.panel)) {}
  int64_t across() const { return Tp * D; }  // keys across a panel
  int64_t along() const { return T * Dp; }   // keys along a panel
  int64_t forward() const { return round_up(across() + along() + kQueries * Tp + kQueries * Dp, 16); }
  int64_t backward() const {
    return round_up(2 * across() + along() + 2 * Tp * Dp + 2 * kQueriesBackward * (Tp + Dp), 16);
  }
};

// panels (Tp / panel, D, panel) of the rows (T, D) at x: products x · rowsᵀ
void pack_across(float* to, float const* x, int64_t ld, Sizes const& z) {
  for (int64_t t = 0; t < z.T; t += z.kernels.panel)
    z.kernels.pack_panel_transposed(to + t * z.D, x + t * ld, ld, z.D, std::min(z.kernels.panel, z.T - t));
}
// panels (Dp / panel, rows, panel): products x · rows
void pack_along(float* to, float const* x, int64_t ld, int64_t rows, Sizes const& z) {
  z.kernels.pack_panels(to, rows * z.kernels.panel, x, ld, rows, z.D);
}
// strip (rows, Tp) = a (rows, D) · the panels of keys [0, keys)ᵀ
void scores(float* strip, float const* a, int64_t lda, float const* across, int64_t rows, int64_t keys,
            Sizes const& z) {
  for (int64_t t = 0; t < keys; t += z.kernels.panel)
    for (int64_t r = 0; r < rows; r += z.kernels.rows)
      z.kernels.tile(strip + r * z.Tp + t, z.Tp, false, a + r * lda, lda, 1, across + t * z.D,
                     std::min(z.kernels.rows, rows - r), z.kernels.panel, z.D);
}
// y (rows, D) = strip (rows, keys) · panels along; the last rows see `keys` keys, earlier ones fewer (the rest is 0)
void weigh(float* y, int64_t ldy, float const* strip, float const* along, int64_t rows, int64_t keys, Sizes const& z) {
  for (int64_t d = 0; d < z.D; d += z.kernels.panel)
    for (int64_t r = 0; r < rows; r += z.kernels.rows) {
      int64_t const some = std::min(z.kernels.rows, rows - r), seen = keys - (rows - r - some);
      z.kernels.tile(y + r * ldy + d, ldy, false, strip + r * z.Tp, z.Tp, 1, along + d * z.T, some,
                     std::min(z.kernels.panel, z.D - d), seen);
    }
}

struct Head {  // one head of one sequence in qkv (B, T, 3C)
  float const *q, *k, *v;
  int64_t ld;
};
Head head_of(float const* qkv, int64_t b, int64_t h, int64_t C, Sizes const& z) {
  float const* const q = qkv + b * z.T * 3 * C + h * z.D;
  return {q, q + C, q + 2 * C, 3 * C};
}

}  // namespace

void Cpu::do_attention(Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  int64_t const B = y.shape[0], C = y.shape[2], H = lse.shape[1];
  Kernels<float> const& kernels = table_.f32;
  Sizes const z(kernels, y.shape[1], C / H);
  float *const Y = y.as<float>(), *const L = lse.as<float>(), *const Q = qkv.as<float>();
  float const scale = float(1 / std::sqrt(double(z.D)));
  bool const drops = dropout.rate != 0;
  DropoutKey const key = drops ? key_of(dropout) : DropoutKey{};
  float* const memory = scratch("attention", threads_ * z.forward());

  // Few heads: the queries of one are shared by several threads, each with panels of its own.
  int64_t const blocks = (z.T + kQueries - 1) / kQueries;
  int64_t const splits = B * H >= 4 * threads_ ? 1 : std::min<int64_t>(blocks, (4 * threads_ + B * H - 1) / (B * H));
  each_task(B * H * splits, [&](int64_t task, int64_t thread) {
    int64_t const b = task / splits / H, h = task / splits % H;
    float* const across = memory + thread * z.forward();
    float *const along = across + z.across(), *const strip = along + z.along(), *const out = strip + kQueries * z.Tp;
    Head const head = head_of(Q, b, h, C, z);
    pack_across(across, head.k, head.ld, z), pack_along(along, head.v, head.ld, z.T, z);
    uint64_t const first_row = drops ? uint64_t(dropout.sequences.as<int64_t>()[b] * H + h) * uint64_t(z.T) : 0;
    for (int64_t block = task % splits; block < blocks; block += splits) {
      int64_t const first = block * kQueries, rows = std::min(kQueries, z.T - first), keys = first + rows;
      float sums[kQueries];
      scores(strip, head.q + first * head.ld, head.ld, across, rows, keys, z);
      for (int64_t r = 0; r < rows; ++r) {
        int64_t const i = first + r;
        float* const row = strip + r * z.Tp;
        float const top = kernels.softmax_row(row, i + 1, keys, scale, sums[r]);
        L[(b * H + h) * z.T + i] = top + std::log(sums[r]);
        if (drops) kernels.drop_row(row, i + 1, (first_row + uint64_t(i)) * uint64_t(z.T), key);
      }
      weigh(out, z.Dp, strip, along, rows, keys, z);
      for (int64_t r = 0; r < rows; ++r) {
        float* const to = Y + (b * z.T + first + r) * C + h * z.D;
        std::memcpy(to, out + r * z.Dp, size_t(z.D) * sizeof(float));
        kernels.scale(to, 1 / sums[r], z.D);
      }
    }
  });
}

// ds = p (mask · (dy·v) − dy·y) / √D, for y = Σ mask p v makes Σ p dp equal dy·y (Dao et al. 2022, app. B.2)
void Cpu::do_attention_backward(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  int64_t const B = y.shape[0], C = y.shape[2], H = lse.shape[1];
  Kernels<float> const& kernels = table_.f32;
  Sizes const z(kernels, y.shape[1], C / H);
  float *const dQ = dqkv.as<float>(), *const dY = dy.as<float>(), *const Y = y.as<float>(), *const L = lse.as<float>(),
               *const Q = qkv.as<float>();
  float const scale = float(1 / std::sqrt(double(z.D)));
  bool const drops = dropout.rate != 0;
  DropoutKey const key = drops ? key_of(dropout) : DropoutKey{};
  float* const memory = scratch("attention_backward", threads_ * z.backward());

  each_task(B * H, [&](int64_t task, int64_t thread) {
    int64_t const b = task / H, h = task % H;
    float* at = memory + thread * z.backward();
    auto const take = [&](int64_t n) { return std::exchange(at, at + n); };
    float *const k_across = take(z.across()), *const v_across = take(z.across()), *const k_along = take(z.along());
    float *const dk = take(z.Tp * z.Dp), *const dv = take(z.Tp * z.Dp);
    float *const p = take(kQueriesBackward * z.Tp), *const ds = take(kQueriesBackward * z.Tp);
    float *const q_along = take(kQueriesBackward * z.Dp), *const dy_along = take(kQueriesBackward * z.Dp);
    Head const head = head_of(Q, b, h, C, z);
    float *const dq_out = dQ + (head.q - Q), *const dk_out = dq_out + C, *const dv_out = dk_out + C;
    pack_across(k_across, head.k, head.ld, z), pack_across(v_across, head.v, head.ld, z);
    pack_along(k_along, head.k, head.ld, z.T, z);
    kernels.fill_rows(dk, z.Dp, nullptr, z.T, z.Dp), kernels.fill_rows(dv, z.Dp, nullptr, z.T, z.Dp);
    uint64_t const first_row = drops ? uint64_t(dropout.sequences.as<int64_t>()[b] * H + h) * uint64_t(z.T) : 0;

    for (int64_t first = 0; first < z.T; first += kQueriesBackward) {
      int64_t const rows = std::min(kQueriesBackward, z.T - first), keys = first + rows;
      float const* const q = head.q + first * head.ld;
      float const* const g = dY + (b * z.T + first) * C + h * z.D;
      scores(p, q, head.ld, k_across, rows, keys, z), scores(ds, g, C, v_across, rows, keys, z);
      for (int64_t r = 0; r < rows; ++r) {
        int64_t const i = first + r;
        float const delta = kernels.dot(g + r * C, Y + (b * z.T + i) * C + h * z.D, z.D);
        kernels.softmax_row_backward(p + r * z.Tp, ds + r * z.Tp, i + 1, keys, scale, L[(b * H + h) * z.T + i], delta,
                                     drops ? &key : nullptr, (first_row + uint64_t(i)) * uint64_t(z.T));
      }
      weigh(dq_out + first * head.ld, head.ld, ds, k_along, rows, keys, z);
      pack_along(q_along, q, head.ld, rows, z), pack_along(dy_along, g, C, rows, z);
      for (int64_t j = 0; j < keys; j += kernels.rows) {  // keys [j, j + some) are seen by queries from j on
        int64_t const some = std::min(kernels.rows, keys - j), from = std::max<int64_t>(0, j - first);
        for (int64_t d = 0; d < z.D; d += kernels.panel) {
          float const *const qs = q_along + d * rows + from * kernels.panel, *const gs = dy_along + d * rows +
                                                                                         from * kernels.panel;
          kernels.tile(dk + j * z.Dp + d, z.Dp, true, ds + from * z.Tp + j, 1, z.Tp, qs, some, kernels.panel,
                       rows - from);
          kernels.tile(dv + j * z.Dp + d, z.Dp, true, p + from * z.Tp + j, 1, z.Tp, gs, some, kernels.panel,
                       rows - from);
        }
      }
    }
    for (int64_t t = 0; t < z.T; ++t) {
      std::memcpy(dk_out + t * head.ld, dk + t * z.Dp, size_t(z.D) * sizeof(float));
      std::memcpy(dv_out + t * head.ld, dv + t * z.Dp, size_t(z.D) * sizeof(float));
    }
  });
}

// Keys are taken in blocks of the pool from position 0, whichever call brought them, and every query's sums are its
// own: a token's bits depend on its sequence alone.
void Cpu::do_cached_attention(Tensor y, Tensor qkv, Tensor pool, Ragged const& ragged) {
  int64_t const N = y.rows(), H = pool.shape[2], D = pool.shape[4], C = H * D, blocks = pool.shape[1];
  int64_t const S = ragged.block_table.shape[0], M = ragged.block_table.shape[1], context = M * kBlock;
  float *const Y = y.as<float>(), *const Q = qkv.as<float>(), *const P = pool.as<float>();
  int32_t const *start = ragged.query_start.as<int32_t>(), *table = ragged.block_table.as<int32_t>();
  int32_t const* position = ragged.positions.as<int32_t>();
  auto const cached = [&](int64_t which, int64_t s, int64_t block, int64_t h) {
    return P + ((which * blocks + table[s * M + block]) * H + h) * kBlock * D;
  };
  Kernels<float> const& kernels = table_.f32;
  struct Group {  // queries [first, last) of a sequence
    int64_t sequence, first, last;
  };
  std::vector<Group> groups;
  check_ragged(ragged, N, blocks);
  for (int64_t s = 0; s < S; ++s)
    for (int64_t n = start[s]; n < start[s + 1]; n += kCachedQueries)
      groups.push_back({s, n, std::min<int64_t>(start[s + 1], n + kCachedQueries)});
  for (int64_t s = 0; s < S; ++s)
    for (int64_t n = start[s]; n < start[s + 1]; ++n)
      for (int64_t k = 0; k < 2; ++k)
        for (int64_t h = 0; h < H; ++h)
          std::memcpy(cached(k, s, position[n] / kBlock, h) + position[n] % kBlock * D, Q + (n * 3 + k + 1) * C + h * D,
                      size_t(D) * sizeof(float));

  float const scale = float(1 / std::sqrt(double(D)));
  float* const memory = scratch("cached_attention", threads_ * kCachedQueries * context);
  each_task(int64_t(groups.size()) * H, [&](int64_t task, int64_t thread) {
    Group const& group = groups[size_t(task / H)];
    int64_t const h = task % H, s = group.sequence, most = position[group.last - 1] + 1;
    float* const strip = memory + thread * kCachedQueries * context;
    float sums[kCachedQueries];
    auto const each = [&](int64_t block, auto f) {  // f(row, query, keys of the block that it sees)
      for (int64_t n = group.first; n < group.last; ++n)
        if (int64_t const keys = std::min(kBlock, position[n] + 1 - block * kBlock); keys > 0)
          f(strip + (n - group.first) * context + block * kBlock, n, keys);
    };
    for (int64_t block = 0; block * kBlock < most; ++block)
      each(block, [&](float* row, int64_t n, int64_t keys) {
        kernels.score_keys(row, Q + n * 3 * C + h * D, cached(0, s, block, h), keys, D);
      });
    for (int64_t n = group.first; n < group.last; ++n) {
      kernels.softmax_row(strip + (n - group.first) * context, position[n] + 1, 0, scale, sums[n - group.first]);
      std::memset(Y + n * C + h * D, 0, size_t(D) * sizeof(float));
    }
    for (int64_t block = 0; block * kBlock < most; ++block)
      each(block, [&](float* row, int64_t n, int64_t keys) {
        kernels.add_values(Y + n * C + h * D, row, cached(1, s, block, h), keys, D);
      });
    for (int64_t n = group.first; n < group.last; ++n) kernels.scale(Y + n * C + h * D, 1 / sums[n - group.first], D);
  });
}

size_t Cpu::scratch_bytes(Limits const& l) const {
  check(l.dtype == DType::f32, Fault::value, "the cpu backend computes in f32, not {}", name_of(l.dtype));
  int64_t floats = product_floats() + threads_ * 2 * round_up(l.channels, 16);
  floats = std::max(floats, product_floats() + l.chunk * row_of(l.vocab));
  if (l.heads > 0) {
    Sizes const z(table_.f32, l.context, l.channels / l.heads);
    floats = std::max(floats, threads_ * std::max(z.forward(), z.backward()));
  }
  floats = std::max(floats, threads_ * kCachedQueries * round_up(l.context, kBlock));
  return size_t(floats) * sizeof(float);
}

}  // namespace folio::cpu

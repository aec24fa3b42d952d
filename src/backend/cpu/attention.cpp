// Attention. A thread works on one head of one sequence, or on some of its queries where heads are few: it packs keys
// and values into panels (kernels.h) and goes through the queries a few rows at a time, whose scores against all keys
// so far lie in a strip of scratch. So memory grows with T, never with T², and the softmax of a row needs no second
// pass over the products. Panels, strips and sums are f32 whatever the activations are stored as.
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "backend/cpu/cpu.h"
#include "core/error.h"
#include "core/random.h"

namespace folio::cpu {
namespace {

constexpr int64_t kQueries = 24;          // rows of a strip, forward: whole tiles at every level
constexpr int64_t kQueriesBackward = 48;  // backward: longer sums for dk and dv
constexpr int64_t kCachedQueries = 16;    // of one sequence, that share the reading of keys

struct Sizes {
  int64_t panel, rows;   // of the level
  int64_t T, D, Tp, Dp;  // Tp, Dp: rounded up to whole panels
  int64_t strip;  // from one row of a strip to the next: one cache line more than Tp, so that rows do not collide
  Sizes(LinearKernels<float> const& k, int64_t T, int64_t D)
      : panel(k.panel), rows(k.rows), T(T), D(D), Tp(round_up(T, panel)), Dp(round_up(D, panel)), strip(Tp + 16) {}
  int64_t across() const { return Tp * D; }  // keys across a panel
  int64_t along() const { return T * Dp; }   // keys along a panel
  int64_t forward() const { return round_up(across() + along() + kQueries * (strip + 2 * Dp), 16); }
  int64_t backward() const {
    return round_up(2 * across() + along() + 2 * Tp * Dp + kQueriesBackward * (2 * strip + 5 * Dp), 16);
  }
};

// The loops on one head, for activations stored as S.
template <class S>
struct Loops {
  Kernels<S> const& kernels;
  Sizes const& z;

  // panels (Tp / panel, D, panel) of the rows (T, D) at x: products x · rowsᵀ
  void pack_across(float* to, S const* x, int64_t ld) const {
    for (int64_t t = 0; t < z.T; t += z.panel)
      kernels.pack_panel_transposed(to + t * z.D, x + t * ld, ld, z.D, std::min(z.panel, z.T - t));
  }
  // panels (Dp / panel, rows, panel): products x · rows
  void pack_along(float* to, S const* x, int64_t ld, int64_t rows) const {
    kernels.pack_panels(to, rows * z.panel, x, ld, rows, z.D);
  }
  // strip (rows, Tp) = a (rows, D) · the panels of keysᵀ, as far as the last row of a tile sees them
  void scores(float* strip, float const* a, int64_t lda, float const* across, int64_t rows, int64_t keys) const {
    for (int64_t t = 0; t < keys; t += z.panel)
      for (int64_t r = 0; r < rows; r += z.rows)
        if (int64_t const some = std::min(z.rows, rows - r); t < keys - (rows - r - some))
          kernels.tile(strip + r * z.strip + t, z.strip, false, a + r * lda, lda, 1, across + t * z.D, some, z.panel,
                       z.D);
  }
  // y (rows, D) = strip (rows, keys) · panels along; the last rows see `keys` keys, earlier ones fewer (the rest is 0)
  void weigh(float* y, int64_t ldy, float const* strip, float const* along, int64_t rows, int64_t keys) const {
    for (int64_t d = 0; d < z.D; d += z.panel)
      for (int64_t r = 0; r < rows; r += z.rows) {
        int64_t const some = std::min(z.rows, rows - r), seen = keys - (rows - r - some);
        kernels.tile(y + r * ldy + d, ldy, false, strip + r * z.strip, z.strip, 1, along + d * z.T, some,
                     std::min(z.panel, z.D - d), seen);
      }
  }
  // sums (keys, Dp) += stripᵀ · the panels along of queries [first, first + rows), which see keys up to their own
  void add_to_keys(float* sums, float const* strip, float const* along, int64_t first, int64_t rows) const {
    for (int64_t j = 0; j < first + rows; j += z.rows) {
      int64_t const some = std::min(z.rows, first + rows - j), from = std::max<int64_t>(0, j - first);
      for (int64_t d = 0; d < z.D; d += z.panel)
        kernels.tile(sums + j * z.Dp + d, z.Dp, true, strip + from * z.strip + j, 1, z.strip,
                     along + d * rows + from * z.panel, some, z.panel, rows - from);
    }
  }

  // The rows (rows, D) at x in f32: where they lie, or in `room`, side by side.
  struct Rows {
    float const* data;
    int64_t ld;
  };
  Rows widened(S const* x, int64_t ld, int64_t rows, float* room) const {
    if constexpr (std::is_same_v<S, float>) return {x, ld};
    for (int64_t r = 0; r < rows; ++r) kernels.widen(room + r * z.D, x + r * ld, z.D);
    return {room, z.D};
  }
  void put(S* to, int64_t ld, float const* x, int64_t rows) const {  // x (rows, Dp)
    for (int64_t r = 0; r < rows; ++r) kernels.narrow(to + r * ld, x + r * z.Dp, z.D);
  }
};

template <class S>
struct Head {  // one head of one sequence in qkv (B, T, 3C)
  S *q, *k, *v;
  int64_t ld;
};
template <class S>
Head<S> head_of(S* qkv, int64_t b, int64_t h, int64_t C, Sizes const& z) {
  S* const q = qkv + b * z.T * 3 * C + h * z.D;
  return {q, q + C, q + 2 * C, 3 * C};
}

}  // namespace

template <class S>
void Cpu::attention_in(Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  int64_t const B = y.shape[0], C = y.shape[2], H = lse.shape[1];
  Sizes const z(table_.f32, y.shape[1], C / H);
  Loops<S> const loops{kernels<S>(), z};
  S *const Y = y.as<S>(), *const Q = qkv.as<S>();
  float* const L = lse.as<float>();
  float const scale = float(1 / std::sqrt(double(z.D)));
  bool const drops = dropout.rate != 0;
  DropoutKey const key = drops ? key_of(dropout) : DropoutKey{};
  float* const memory = room("attention").take(threads_ * z.forward());

  // Few heads: the queries of one are shared by several threads, each with panels of its own.
  int64_t const blocks = (z.T + kQueries - 1) / kQueries;
  int64_t const splits = B * H >= 4 * threads_ ? 1 : std::min<int64_t>(blocks, (4 * threads_ + B * H - 1) / (B * H));
  each_task(B * H * splits, [&](int64_t task, int64_t thread) {
    int64_t const b = task / splits / H, h = task / splits % H;
    float* const across = memory + thread * z.forward();
    float *const along = across + z.across(), *const strip = along + z.along(), *const out = strip + kQueries * z.strip,
                 *const wide = out + kQueries * z.Dp;
    Head<S> const head = head_of(Q, b, h, C, z);
    loops.pack_across(across, head.k, head.ld), loops.pack_along(along, head.v, head.ld, z.T);
    uint64_t const first_row = drops ? uint64_t(dropout.sequences.as<int64_t>()[b] * H + h) * uint64_t(z.T) : 0;
    for (int64_t block = task % splits; block < blocks; block += splits) {
      int64_t const first = block * kQueries, rows = std::min(kQueries, z.T - first), keys = first + rows;
      float sums[kQueries];
      auto const q = loops.widened(head.q + first * head.ld, head.ld, rows, wide);
      loops.scores(strip, q.data, q.ld, across, rows, keys);
      for (int64_t r = 0; r < rows; ++r) {
        int64_t const i = first + r;
        float* const row = strip + r * z.strip;
        float const top = table_.f32.softmax_row(row, i + 1, keys, scale, sums[r]);
        L[(b * H + h) * z.T + i] = top + std::log(sums[r]);
        if (drops) table_.f32.drop_row(row, i + 1, (first_row + uint64_t(i)) * uint64_t(z.T), key);
      }
      loops.weigh(out, z.Dp, strip, along, rows, keys);
      for (int64_t r = 0; r < rows; ++r) table_.f32.scale(out + r * z.Dp, 1 / sums[r], z.D);
      loops.put(Y + (b * z.T + first) * C + h * z.D, C, out, rows);
    }
  });
}
void Cpu::do_attention(Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  with_storage(y.dtype, [&]<class S> { attention_in<S>(y, lse, qkv, dropout); });
}

// ds = p (mask · (dy·v) − dy·y) / √D, for y = Σ mask p v makes Σ p dp equal dy·y (Dao et al. 2022, app. B.2)
template <class S>
void Cpu::attention_backward_in(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  int64_t const B = y.shape[0], C = y.shape[2], H = lse.shape[1];
  Kernels<float> const& kernels = table_.f32;
  Sizes const z(kernels, y.shape[1], C / H);
  Loops<S> const loops{this->kernels<S>(), z};
  S *const dQ = dqkv.as<S>(), *const dY = dy.as<S>(), *const Y = y.as<S>(), *const Q = qkv.as<S>();
  float* const L = lse.as<float>();
  float const scale = float(1 / std::sqrt(double(z.D)));
  bool const drops = dropout.rate != 0;
  DropoutKey const key = drops ? key_of(dropout) : DropoutKey{};
  float* const memory = room("attention_backward").take(threads_ * z.backward());
  auto const sums_at = [&](int64_t part) { return memory + part * z.backward(); };  // dk, then dv: (Tp, Dp) each
  int64_t const of_sum = z.Tp * z.Dp, blocks = (z.T + kQueriesBackward - 1) / kQueriesBackward;

  // dq of the blocks of queries first_block, first_block + splits, …, and what they add to dk and dv.
  auto const go_back = [&](int64_t head_number, int64_t part, int64_t first_block, int64_t splits) {
    int64_t const b = head_number / H, h = head_number % H;
    float* at = sums_at(part);
    auto const take = [&](int64_t n) { return std::exchange(at, at + n); };
    float *const dk = take(of_sum), *const dv = take(of_sum);
    float *const k_across = take(z.across()), *const v_across = take(z.across()), *const k_along = take(z.along());
    float *const p = take(kQueriesBackward * z.strip), *const ds = take(kQueriesBackward * z.strip);
    float *const q_along = take(kQueriesBackward * z.Dp), *const dy_along = take(kQueriesBackward * z.Dp);
    float *const wide_q = take(kQueriesBackward * z.Dp), *const wide_dy = take(kQueriesBackward * z.Dp);
    float* const dq = take(kQueriesBackward * z.Dp);
    Head<S> const head = head_of(Q, b, h, C, z), dhead = head_of(dQ, b, h, C, z);
    loops.pack_across(k_across, head.k, head.ld), loops.pack_across(v_across, head.v, head.ld);
    loops.pack_along(k_along, head.k, head.ld, z.T);
    kernels.fill_rows(dk, z.Dp, nullptr, 2 * z.Tp, z.Dp);
    uint64_t const first_row = drops ? uint64_t(dropout.sequences.as<int64_t>()[b] * H + h) * uint64_t(z.T) : 0;

    for (int64_t block = first_block; block < blocks; block += splits) {
      int64_t const first = block * kQueriesBackward, rows = std::min(kQueriesBackward, z.T - first),
                    keys = first + rows;
      S const *const q = head.q + first * head.ld, *const g = dY + (b * z.T + first) * C + h * z.D;
      auto const q_rows = loops.widened(q, head.ld, rows, wide_q), g_rows = loops.widened(g, C, rows, wide_dy);
      loops.scores(p, q_rows.data, q_rows.ld, k_across, rows, keys);
      loops.scores(ds, g_rows.data, g_rows.ld, v_across, rows, keys);
      for (int64_t r = 0; r < rows; ++r) {
        int64_t const i = first + r;
        float const delta = loops.kernels.dot(g + r * C, Y + (b * z.T + i) * C + h * z.D, z.D);
        kernels.softmax_row_backward(p + r * z.strip, ds + r * z.strip, i + 1, keys, scale, L[(b * H + h) * z.T + i],
                                     delta, drops ? &key : nullptr, (first_row + uint64_t(i)) * uint64_t(z.T));
      }
      loops.weigh(dq, z.Dp, ds, k_along, rows, keys);
      loops.put(dhead.q + first * dhead.ld, dhead.ld, dq, rows);
      loops.pack_along(q_along, q, head.ld, rows), loops.pack_along(dy_along, g, C, rows);
      loops.add_to_keys(dk, ds, q_along, first, rows), loops.add_to_keys(dv, p, dy_along, first, rows);
    }
  };
  auto const put_sums = [&](int64_t head_number, int64_t part) {
    Head<S> const dhead = head_of(dQ, head_number / H, head_number % H, C, z);
    loops.put(dhead.k, dhead.ld, sums_at(part), z.T), loops.put(dhead.v, dhead.ld, sums_at(part) + of_sum, z.T);
  };

  // A thread takes a head at a time, as long as there are as many as threads. The queries of a head that is left then
  // are shared by several threads, whose sums are added in order.
  int64_t const left = B * H % threads_, whole = B * H - left;
  int64_t const splits = left > 0 ? std::min(blocks, threads_ / left) : 1;
  each_task(whole, [&](int64_t task, int64_t thread) { go_back(task, thread, 0, 1), put_sums(task, thread); });
  each_task(left * splits, [&](int64_t task, int64_t) { go_back(whole + task / splits, task, task % splits, splits); });
  each_task(left, [&](int64_t task, int64_t) {
    for (int64_t s = 1; s < splits; ++s)
      kernels.add(sums_at(task * splits), sums_at(task * splits), sums_at(task * splits + s), 2 * of_sum);
    put_sums(whole + task, task * splits);
  });
}
void Cpu::do_attention_backward(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const& dropout) {
  with_storage(y.dtype, [&]<class S> { attention_backward_in<S>(dqkv, dy, y, lse, qkv, dropout); });
}

// Keys are taken in blocks of the pool from position 0, whichever call brought them, and every query's sums are its
// own: a token's bits depend on its sequence alone.
template <class S>
void Cpu::cached_attention_in(Tensor y, Tensor qkv, Tensor pool, Ragged const& ragged) {
  int64_t const N = y.rows(), H = pool.shape[2], D = pool.shape[4], C = H * D, blocks = pool.shape[1];
  int64_t const sequences = ragged.block_table.shape[0], M = ragged.block_table.shape[1], context = M * kBlock;
  S *const Y = y.as<S>(), *const Q = qkv.as<S>(), *const P = pool.as<S>();
  int32_t const *start = ragged.query_start.as<int32_t>(), *table = ragged.block_table.as<int32_t>();
  int32_t const* position = ragged.positions.as<int32_t>();
  auto const cached = [&](int64_t which, int64_t s, int64_t block, int64_t h) {
    return P + ((which * blocks + table[s * M + block]) * H + h) * kBlock * D;
  };
  Kernels<S> const& kernels = this->kernels<S>();
  struct Group {  // queries [first, last) of a sequence
    int64_t sequence, first, last;
  };
  std::vector<Group> groups;
  check_ragged(ragged, N, blocks);
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t n = start[s]; n < start[s + 1]; n += kCachedQueries)
      groups.push_back({s, n, std::min<int64_t>(start[s + 1], n + kCachedQueries)});
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t n = start[s]; n < start[s + 1]; ++n)
      for (int64_t k = 0; k < 2; ++k)
        for (int64_t h = 0; h < H; ++h)
          std::memcpy(cached(k, s, position[n] / kBlock, h) + position[n] % kBlock * D, Q + (n * 3 + k + 1) * C + h * D,
                      size_t(D) * sizeof(S));

  float const scale = float(1 / std::sqrt(double(D)));
  int64_t const of_thread = kCachedQueries * (context + D);
  float* const memory = room("cached_attention").take(threads_ * of_thread);
  each_task(int64_t(groups.size()) * H, [&](int64_t task, int64_t thread) {
    Group const& group = groups[size_t(task / H)];
    int64_t const h = task % H, s = group.sequence, most = position[group.last - 1] + 1;
    float *const strip = memory + thread * of_thread, *const out = strip + kCachedQueries * context;
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
      std::memset(out + (n - group.first) * D, 0, size_t(D) * sizeof(float));
    }
    for (int64_t block = 0; block * kBlock < most; ++block)
      each(block, [&](float* row, int64_t n, int64_t keys) {
        kernels.add_values(out + (n - group.first) * D, row, cached(1, s, block, h), keys, D);
      });
    for (int64_t n = group.first; n < group.last; ++n) {
      float* const row = out + (n - group.first) * D;
      kernels.scale(row, 1 / sums[n - group.first], D);
      kernels.narrow(Y + n * C + h * D, row, D);
    }
  });
}
void Cpu::do_cached_attention(Tensor y, Tensor qkv, Tensor pool, Ragged const& ragged) {
  with_storage(y.dtype, [&]<class S> { cached_attention_in<S>(y, qkv, pool, ragged); });
}

size_t Cpu::scratch_bytes(Limits const& l) const {
  check_type(l.dtype);
  int64_t const C = l.channels, D = l.heads > 0 ? C / l.heads : C;
  int64_t floats = product_floats() + threads_ * 2 * round_up(C, 16);
  if (l.dtype != DType::f32)  // a linear layer's input and output, of C and 4C
    floats = std::max(
        floats, product_floats() + 5 * l.rows * C + 64 + widening_floats(l.dtype, std::max(4 * C * C, 4 * l.rows * C)));
  floats = std::max(floats, floats_beside_tokens(l.dtype, l.vocab, C) + l.chunk * floats_of_token(l.dtype, l.vocab, C));
  if (l.heads > 0) {
    Sizes const z(table_.f32, l.context, D);
    floats = std::max(floats, threads_ * std::max(z.forward(), z.backward()));
  }
  floats = std::max(floats, threads_ * kCachedQueries * (round_up(l.context, kBlock) + D));
  if (l.muon) floats = std::max(floats, muon_floats(C));
  return size_t(round_up(floats, 16)) * sizeof(float);
}

}  // namespace folio::cpu

// Rows of scores, and the products of one query with cached keys and values.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/philox.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

float softmax_row(float* s, int64_t n, int64_t padded, float scale, float& total) {
  Vec top = all(s[0]);
  for (int64_t j = 0; j < n; j += kLanes) top = max(top, first_or(load(s + j, n - j), n - j, top));
  float const highest = largest(top) * scale;
  Vec sums = zero();
  for (int64_t j = 0; j < n; j += kLanes) {
    Vec const e = keep_first(exp(fma(load(s + j, n - j), all(scale), all(-highest))), n - j);
    store(s + j, e, n - j);
    sums = sums + e;
  }
  clear(s + n, s + padded);
  total = sum(sums);
  return highest;
}

void drop_row(float* s, int64_t n, uint64_t index, DropoutKey const& key) {
  each_kept(Philox(key), n, index,
            [&](int64_t j, int64_t left, Vec kept) { store(s + j, load(s + j, left) * kept, left); });
}

void softmax_row_backward(float* s, float* dp, int64_t n, int64_t padded, float scale, float lse, float delta,
                          DropoutKey const* key, uint64_t index) {
  auto const one = [&](int64_t j, int64_t left, Vec kept) {
    Vec const p = exp(fma(load(s + j, left), all(scale), all(-lse)));
    store(dp + j, p * fma(kept, load(dp + j, left), all(-delta)) * all(scale), left);
    store(s + j, p * kept, left);
  };
  if (key) each_kept(Philox(*key), n, index, one);
  else
    for (int64_t j = 0; j < n; j += kLanes) one(j, n - j, all(1.0f));
  clear(s + n, s + padded), clear(dp + n, dp + padded);
}

template <class S>
float dot(S const* a, S const* b, int64_t n) {
  Vec s = zero();
  for (int64_t i = 0; i < n; i += kLanes) s = fma(load(a + i, n - i), load(b + i, n - i), s);
  return sum(s);
}

template <class S>
void score_keys(float* scores, S const* q, S const* k, int64_t keys, int64_t D) {
  for (int64_t j = 0; j < keys; j += kLanes) {
    Vec sums[kLanes];
    for (Vec& s : sums) s = zero();
    S const* rows[kLanes];  // a block's last rows may not be written yet: the last valid one stands in
    for (int64_t i = 0; i < kLanes; ++i) rows[i] = k + least(j + i, keys - 1) * D;
    int64_t d = 0;
    for (; d + kLanes <= D; d += kLanes) {
      Vec const x = load(q + d);
      for (int64_t i = 0; i < kLanes; ++i) sums[i] = fma(x, load(rows[i] + d), sums[i]);
    }
    if (d < D) {
      Vec const x = load(q + d, D - d);
      for (int64_t i = 0; i < kLanes; ++i) sums[i] = fma(x, load(rows[i] + d, D - d), sums[i]);
    }
    transpose(sums);
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
      for (int64_t i = 0; i < half; ++i) sums[i] = sums[i] + sums[i + half];
    store(scores + j, sums[0], keys - j);
  }
}

template <class S>
void add_values(float* y, float const* p, S const* v, int64_t keys, int64_t D) {
  constexpr int64_t kSide = 8;  // vectors of y held in registers
  int64_t d = 0;
  for (; d + kSide * kLanes <= D; d += kSide * kLanes) {
    Vec sums[kSide];
    for (int64_t i = 0; i < kSide; ++i) sums[i] = load(y + d + i * kLanes);
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t i = 0; i < kSide; ++i) sums[i] = fma(all(p[j]), load(v + j * D + d + i * kLanes), sums[i]);
    for (int64_t i = 0; i < kSide; ++i) store(y + d + i * kLanes, sums[i]);
  }
  for (; d < D; d += kLanes) {
    Vec s = load(y + d, D - d);
    for (int64_t j = 0; j < keys; ++j) s = fma(all(p[j]), load(v + j * D + d, D - d), s);
    store(y + d, s, D - d);
  }
}

template <class S>
void fill_for(AttentionKernels<S>& k) {
  k = {.softmax_row = softmax_row,
       .drop_row = drop_row,
       .softmax_row_backward = softmax_row_backward,
       .dot = dot<S>,
       .score_keys = score_keys<S>,
       .add_values = add_values<S>};
}

}  // namespace

void fill_attention(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

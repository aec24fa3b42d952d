// GELU, dropout with Philox eight calls at a time, sums.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/philox.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

constexpr float kTwice = 2 * 0.7978845608028654f;  // 2 √(2/π)
constexpr float kCubic = 0.044715f;

// e = exp(−2u), u = √(2/π)(x + 0.044715 x³): then (1 + tanh u)/2 = 1/(1 + e)
inline Vec minus_twice(Vec x) {
  Vec const u = fma(all(kCubic) * x * x, x, x) * all(-kTwice);
  return exp(min(all(87.0f), u));
}
inline Vec gelu_of(Vec x) { return x / (all(1.0f) + minus_twice(x)); }
// With s = 1/(1 + e): s + x · s (1 − s) · 2u'
inline Vec slope_of(Vec v) {
  Vec const x = min(all(30.0f), max(all(-30.0f), v));  // constant beyond
  Vec const e = minus_twice(x), s = all(1.0f) / (all(1.0f) + e);
  Vec const du = fma(all(3 * kCubic * kTwice) * x, x, all(kTwice));
  return fma(x * du, e * s * s, s);
}

template <class S>
void gelu(S* y, S const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, gelu_of(load(x + i, n - i)), n - i);
}

template <class S>
void bias_gelu_rows(S* y, S* pre, float const* bias, int64_t rows, int64_t columns) {
  for (int64_t n = 0; n < rows; ++n, pre += columns, y += columns)
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec const x = load(pre + c, columns - c) + load(bias + c, columns - c);
      store(pre + c, x, columns - c), store(y + c, gelu_of(x), columns - c);
    }
}

template <class S>
void gelu_backward(S* dx, S const* dy, S const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(dx + i, load(dy + i, n - i) * slope_of(load(x + i, n - i)), n - i);
}

template <class S>
void gelu_backward_columns(S* dx, float* sums, S const* dy, S const* x, int64_t ld, int64_t rows, int64_t columns) {
  for (int64_t n = 0; n < rows; n += 8) {
    int64_t const end = least(rows, n + 8);
    for (int64_t c = 0; c < columns; c += kLanes) {
      int64_t const left = columns - c;
      Vec s = zero();
      for (int64_t i = n; i < end; ++i) {
        Vec const d = load(dy + i * ld + c, left) * slope_of(load(x + i * ld + c, left));
        store(dx + i * ld + c, d, left);
        s = s + d;
      }
      if (sums) store(sums + c, load(sums + c, left) + s, left);
    }
  }
}

template <class S>
void add(float* y, float const* a, S const* b, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(a + i, n - i) + load(b + i, n - i), n - i);
}

void scale(float* y, float factor, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(y + i, n - i) * all(factor), n - i);
}

double sum_of_squares(float const* x, int64_t n) {
  constexpr int64_t kHalf = kLanes / 2;
  WideVec s[4] = {};
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf)
    for (int64_t k = 0; k < 4; ++k) {
      WideVec const d = load_wide(x + i + k * kHalf);
      s[k] = s[k] + d * d;
    }
  double total = sum((s[0] + s[1]) + (s[2] + s[3]));
  for (; i < n; ++i) total += double(x[i]) * double(x[i]);
  return total;
}

template <class S>
void dropout_add(float* y, float const* x, S const* branch, int64_t n, uint64_t index, DropoutKey const& key) {
  each_kept(Philox(key), n, index, [&](int64_t i, int64_t left, Vec kept) {
    store(y + i, load(branch + i, left) * kept + load(x + i, left), left);
  });
}

template <class S>
void dropout(S* y, float const* x, int64_t n, uint64_t index, DropoutKey const& key) {
  each_kept(Philox(key), n, index,
            [&](int64_t i, int64_t left, Vec kept) { store(y + i, load(x + i, left) * kept, left); });
}

template <class S>
void widen(float* y, S const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(x + i, n - i), n - i);
}

template <class S>
void narrow(S* y, float const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(x + i, n - i), n - i);
}

template <class S>
void fill_for(ElementwiseKernels<S>& k) {
  k = {.gelu = gelu<S>,
       .gelu_backward = gelu_backward<S>,
       .gelu_backward_columns = gelu_backward_columns<S>,
       .bias_gelu_rows = bias_gelu_rows<S>,
       .add = add<S>,
       .scale = scale,
       .sum_of_squares = sum_of_squares,
       .widen = widen<S>,
       .narrow = narrow<S>,
       .dropout_add = dropout_add<S>,
       .dropout = dropout<S>};
}

}  // namespace

void fill_elementwise(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

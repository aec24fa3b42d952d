// GELU, dropout with Philox eight calls at a time, sums.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/philox.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::kernels {
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

}  // namespace

void gelu(float* y, float const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, gelu_of(load(x + i, n - i)), n - i);
}

void bias_gelu_rows(float* y, float* pre, float const* bias, int64_t rows, int64_t columns) {
  for (int64_t n = 0; n < rows; ++n, pre += columns, y += columns)
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec const x = load(pre + c, columns - c) + load(bias + c, columns - c);
      store(pre + c, x, columns - c), store(y + c, gelu_of(x), columns - c);
    }
}

void gelu_backward(float* dx, float const* dy, float const* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(dx + i, load(dy + i, n - i) * slope_of(load(x + i, n - i)), n - i);
}

void gelu_backward_columns(float* dx, float* sums, float const* dy, float const* x, int64_t ld, int64_t rows,
                           int64_t columns) {
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

void add(float* y, float const* a, float const* b, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(a + i, n - i) + load(b + i, n - i), n - i);
}

void scale(float* y, float factor, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load(y + i, n - i) * all(factor), n - i);
}

double sum_of_squares(float const* x, int64_t n) {
  __m256d s[4] = {};
  int64_t i = 0;
  auto const square = [](float const* p) {
    __m256d const d = _mm256_cvtps_pd(_mm_loadu_ps(p));
    return d * d;
  };
  for (; i + 16 <= n; i += 16)
    for (int64_t k = 0; k < 4; ++k) s[k] = s[k] + square(x + i + 4 * k);
  __m256d const t = (s[0] + s[1]) + (s[2] + s[3]);
  double total = (t[0] + t[1]) + (t[2] + t[3]);
  for (; i < n; ++i) total += double(x[i]) * double(x[i]);
  return total;
}

void dropout_add(float* y, float const* x, float const* branch, int64_t n, uint64_t index, DropoutKey const& key) {
  Philox const philox(key);
  each_kept(philox, n, index, [&](int64_t i, int64_t left, Vec kept) {
    Vec const v = load(branch + i, left) * kept;
    store(y + i, x ? v + load(x + i, left) : v, left);
  });
}

}  // namespace folio::cpu::kernels

// The vector of one instruction set, and the functions on it that kernels are written with. Only files of this
// folder include it: they are compiled with that set's flags, every name has internal linkage, and nothing of the
// standard library is called, so no function built for it can be picked up by code that runs anywhere.
//
// A loop's tail goes through the same code as its body, with a masked load and store: an element's bits do not
// depend on its place in the row.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace folio::cpu::kernels {
namespace {

using Vec = __m256;  // + − × / are the compiler's
constexpr int64_t kLanes = 8;

// In place of std's, whose copy compiled here the linker could give to code that runs anywhere.
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline void clear(float* from, float* to) {
  for (; from < to; ++from) *from = 0;
}

inline __m256i tail_mask(int64_t left) {
  alignas(32) static constexpr int32_t kOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256(reinterpret_cast<__m256i const*>(kOnes + (left >= kLanes ? 0 : kLanes - left)));
}
inline Vec load(float const* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline Vec load(float const* p, int64_t left) {  // lanes ≥ left are 0
  return left >= kLanes ? load(p) : _mm256_maskload_ps(p, tail_mask(left));
}
inline void store(float* p, Vec v, int64_t left) {
  if (left >= kLanes) store(p, v);
  else _mm256_maskstore_ps(p, tail_mask(left), v);
}
inline Vec all(float x) { return _mm256_set1_ps(x); }
inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return _mm256_fnmadd_ps(a, b, c); }  // c − a b
inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }                // b where either is NaN
inline Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }                // b where either is NaN
inline Vec sqrt(Vec a) { return _mm256_sqrt_ps(a); }
inline Vec keep_first(Vec v, int64_t left) {  // lanes ≥ left become 0
  return left >= kLanes ? v : _mm256_and_ps(v, _mm256_castsi256_ps(tail_mask(left)));
}
inline Vec first_or(Vec v, int64_t left, Vec other) {  // lanes ≥ left are taken from other
  return left >= kLanes ? v : _mm256_blendv_ps(other, v, _mm256_castsi256_ps(tail_mask(left)));
}

inline float sum(Vec v) {  // ((0+4)+(2+6)) + ((1+5)+(3+7))
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float largest(Vec v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
inline double wide_sum(Vec v) {  // in double, lanes in order of sum()
  __m256d const d =
      _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
  __m128d const s = _mm_add_pd(_mm256_castpd256_pd128(d), _mm256_extractf128_pd(d, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/// eˣ to about one unit in the last place: x = n ln 2 + r, |r| ≤ ln 2 / 2, and a polynomial of degree 6 in r that is
/// the best one in relative error (3e-9, by Remez' exchange with the first two coefficients held at 1). 0 below
/// −87.33; grows no further above 88; NaN stays NaN.
inline Vec exp(Vec x) {
  Vec const lowest = all(-87.33f), round = all(12582912.0f);  // 1.5 · 2²³: adding it leaves n in the low bits
  Vec const t = min(all(88.0f), max(lowest, x));
  Vec const shifted = fma(t, all(1.44269504f), round), n = shifted - round;
  Vec const r = fnma(n, all(-2.12194440e-4f), fnma(n, all(0.693359375f), t));  // ln 2 in two parts
  Vec const square = r * r, low = fma(all(0.166665206f), r, all(0.499999934f));
  Vec const high = fma(fma(all(0.00138145986f), r, all(0.00836871688f)), r, all(0.041668388f));
  Vec const p = fma(fma(high, square, low), square, r) + all(1.0f);
  __m256i const power = _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23),
                                         _mm256_castps_si256(all(1.0f)));  // 2ⁿ
  return _mm256_andnot_ps(_mm256_cmp_ps(x, lowest, _CMP_LT_OQ), p * _mm256_castsi256_ps(power));
}

/// Rows of an 8 × 8 block become its columns.
inline void transpose(Vec r[8]) {
  Vec a[8], b[8];
  for (int i = 0; i < 8; i += 2)
    a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]), a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; ++k) {
      b[i + 2 * k] = _mm256_shuffle_ps(a[i + k], a[i + 2 + k], 0x44);
      b[i + 2 * k + 1] = _mm256_shuffle_ps(a[i + k], a[i + 2 + k], 0xee);
    }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

}  // namespace
}  // namespace folio::cpu::kernels

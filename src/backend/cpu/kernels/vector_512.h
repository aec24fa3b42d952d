// vector.h for sixteen lanes: AVX-512 with F, BW, DQ and VL, and where the level has it BF16, whose rounding to bf16
// takes subnormal numbers for 0.
#pragma once

#include <immintrin.h>

#include "core/dtype.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

using Vec = __m512;  // + − × / are the compiler's
constexpr int64_t kLanes = 16;
constexpr int64_t kRows = 12, kPanel = 32;  // of tile(): 24 sums, two vectors of the panel and some elements in 32

inline __mmask16 first_lanes(int64_t left) { return __mmask16(_bzhi_u32(0xffff, unsigned(left))); }  // left < kLanes
inline Vec load(float const* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec load(float const* p, int64_t left) {  // lanes ≥ left are 0
  return left >= kLanes ? load(p) : _mm512_maskz_loadu_ps(first_lanes(left), p);
}
inline void store(float* p, Vec v, int64_t left) {
  if (left >= kLanes) store(p, v);
  else _mm512_mask_storeu_ps(p, first_lanes(left), v);
}

inline Vec widen(__m256i halves) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)); }
inline __m256i narrow(Vec v) {
#ifdef __AVX512BF16__
  return __m256i(_mm512_cvtneps_pbh(v));
#else
  __m512i const bits = _mm512_castps_si512(v), half = _mm512_srli_epi32(bits, 16);
  __m512i const odd = _mm512_and_si512(half, _mm512_set1_epi32(1));
  __m512i const rounded =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  __mmask16 const nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, half, _mm512_set1_epi32(0x40)));
#endif
}
inline Vec load(bf16 const* p) { return widen(_mm256_loadu_si256(reinterpret_cast<__m256i const*>(p))); }
inline void store(bf16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
inline Vec load(bf16 const* p, int64_t left) {
  return left >= kLanes ? load(p) : widen(_mm256_maskz_loadu_epi16(first_lanes(left), p));
}
inline void store(bf16* p, Vec v, int64_t left) {
  if (left >= kLanes) store(p, v);
  else _mm256_mask_storeu_epi16(p, first_lanes(left), narrow(v));
}
inline __m256i halves(Vec v) { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Vec load(f16 const* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<__m256i const*>(p))); }
inline void store(f16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves(v)); }
inline Vec load(f16 const* p, int64_t left) {
  return left >= kLanes ? load(p) : _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(left), p));
}
inline void store(f16* p, Vec v, int64_t left) {
  if (left >= kLanes) store(p, v);
  else _mm256_mask_storeu_epi16(p, first_lanes(left), halves(v));
}

inline Vec all(float x) { return _mm512_set1_ps(x); }
inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
inline Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c − a b
inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }                // b where either is NaN
inline Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }                // b where either is NaN
inline Vec sqrt(Vec a) { return _mm512_sqrt_ps(a); }
inline Vec keep_first(Vec v, int64_t left) {  // lanes ≥ left become 0
  return left >= kLanes ? v : _mm512_maskz_mov_ps(first_lanes(left), v);
}
inline Vec first_or(Vec v, int64_t left, Vec other) {  // lanes ≥ left are taken from other
  return left >= kLanes ? v : _mm512_mask_mov_ps(other, first_lanes(left), v);
}
inline unsigned greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline unsigned equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline Vec zero_where_less(Vec v, Vec a, Vec b) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ), v);
}
inline Vec power_of_two(Vec n) {  // 2ⁿ, n in the low bits of the number's own bits
  return _mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(n), 23), _mm512_castps_si512(all(1.0f))));
}

inline __m256 low(Vec v) { return _mm512_castps512_ps256(v); }
inline __m256 high(Vec v) { return _mm512_extractf32x8_ps(v, 1); }
inline float sum(Vec v) {  // halves onto each other until one is left
  __m256 const half = _mm256_add_ps(low(v), high(v));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float largest(Vec v) {
  __m256 const half = _mm256_max_ps(low(v), high(v));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

using WideVec = __m512d;
inline WideVec load_wide(float const* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }  // kLanes / 2 of them
inline double sum(WideVec v) {
  __m256d const half = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
  __m128d const s = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
inline WideVec wide_low(Vec v) { return _mm512_cvtps_pd(low(v)); }
inline WideVec wide_high(Vec v) { return _mm512_cvtps_pd(high(v)); }
inline double wide_sum(Vec v) { return sum(wide_low(v) + wide_high(v)); }  // in double, lanes in order of sum()

/// Rows of a square block become its columns.
inline void transpose(Vec r[kLanes]) {
  Vec a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2)
    a[i] = _mm512_unpacklo_ps(r[i], r[i + 1]), a[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4)  // b[i + k]: columns k, 4 + k, 8 + k and 12 + k of rows i … i + 3
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      b[i + 2 * k] = _mm512_shuffle_ps(a[i + k], a[i + 2 + k], 0x44);
      b[i + 2 * k + 1] = _mm512_shuffle_ps(a[i + k], a[i + 2 + k], 0xee);
    }
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    Vec const first = _mm512_shuffle_f32x4(b[k], b[4 + k], 0x88),
              second = _mm512_shuffle_f32x4(b[8 + k], b[12 + k], 0x88);
    Vec const third = _mm512_shuffle_f32x4(b[k], b[4 + k], 0xdd),
              fourth = _mm512_shuffle_f32x4(b[8 + k], b[12 + k], 0xdd);
    r[k] = _mm512_shuffle_f32x4(first, second, 0x88), r[8 + k] = _mm512_shuffle_f32x4(first, second, 0xdd);
    r[4 + k] = _mm512_shuffle_f32x4(third, fourth, 0x88), r[12 + k] = _mm512_shuffle_f32x4(third, fourth, 0xdd);
  }
}

// Words of random bits, for philox.h.
using Words = __m512i;
inline Words all_words(uint32_t x) { return _mm512_set1_epi32(int(x)); }
inline Words exclusive_or(Words a, Words b) { return _mm512_xor_si512(a, b); }
inline void count_from(Words& low, Words& high, uint64_t first) {  // first, first + 1, …, in 64 bits each
  Words const start = all_words(uint32_t(first)), before = all_words(uint32_t(first >> 32));
  low = _mm512_add_epi32(start, _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  high = _mm512_mask_add_epi32(before, _mm512_cmplt_epu32_mask(low, start), before, all_words(1));  // where it wrapped
}
inline void multiply(Words& low, Words& high, Words a, Words m) {  // 32 × 32 → 64 bits, each lane
  Words const even = _mm512_mul_epu32(a, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);
  low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
  high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}
inline void in_order(Words w[4]) {  // from word by word of all calls to call by call
  Words const t0 = _mm512_unpacklo_epi32(w[0], w[1]), t1 = _mm512_unpackhi_epi32(w[0], w[1]);
  Words const t2 = _mm512_unpacklo_epi32(w[2], w[3]), t3 = _mm512_unpackhi_epi32(w[2], w[3]);
  Words const u0 = _mm512_unpacklo_epi64(t0, t2), u1 = _mm512_unpackhi_epi64(t0, t2);  // calls 0 4 8 12, 1 5 9 13
  Words const u2 = _mm512_unpacklo_epi64(t1, t3), u3 = _mm512_unpackhi_epi64(t1, t3);  // calls 2 6 10 14, 3 7 11 15
  Words const a = _mm512_shuffle_i32x4(u0, u1, 0x44), b = _mm512_shuffle_i32x4(u2, u3, 0x44);  // 0 4 1 5, 2 6 3 7
  Words const c = _mm512_shuffle_i32x4(u0, u1, 0xee), d = _mm512_shuffle_i32x4(u2, u3, 0xee);  // 8 12 9 13, 10 14 11 15
  w[0] = _mm512_shuffle_i32x4(a, b, 0x88), w[1] = _mm512_shuffle_i32x4(a, b, 0xdd);
  w[2] = _mm512_shuffle_i32x4(c, d, 0x88), w[3] = _mm512_shuffle_i32x4(c, d, 0xdd);
}
inline Vec where_at_least(Words words, Words threshold, Vec v) {  // unsigned; 0 elsewhere
  return _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(words, threshold), v);
}

}  // namespace
}  // namespace folio::cpu::FOLIO_LEVEL

// vector.h for eight lanes: AVX2 with FMA and F16C.
#pragma once

#include <immintrin.h>

#include "core/dtype.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

using Vec = __m256;  // + − × / are the compiler's
constexpr int64_t kLanes = 8;
constexpr int64_t kRows = 6,
                  kPanel = 16;  // of tile(): 12 sums, two vectors of the panel and one element in 16 registers

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

inline Vec widen(__m128i halves) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16)); }
inline __m128i narrow(Vec v) {
  __m256i const bits = _mm256_castps_si256(v), half = _mm256_srli_epi32(bits, 16);
  __m256i const odd = _mm256_and_si256(half, _mm256_set1_epi32(1));
  __m256i const rounded =
      _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
  __m256i const quiet = _mm256_or_si256(half, _mm256_set1_epi32(0x40));
  __m256i const nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  __m256i const chosen = _mm256_blendv_epi8(rounded, quiet, nan);
  __m256i const packed = _mm256_packus_epi32(chosen, chosen);  // of each half
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
inline Vec load(bf16 const* p) { return widen(_mm_loadu_si128(reinterpret_cast<__m128i const*>(p))); }
inline void store(bf16* p, Vec v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(v)); }
inline Vec load(f16 const* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<__m128i const*>(p))); }
inline void store(f16* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
template <class S>
concept Narrow = sizeof(S) == 2;  // bf16, f16
template <Narrow S>
inline Vec load(S const* p, int64_t left) {
  if (left >= kLanes) return load(p);
  alignas(16) S some[kLanes] = {};
  for (int64_t i = 0; i < left; ++i) some[i] = p[i];
  return load(some);
}
template <Narrow S>
inline void store(S* p, Vec v, int64_t left) {
  if (left >= kLanes) return store(p, v);
  alignas(16) S some[kLanes];
  store(some, v);
  for (int64_t i = 0; i < left; ++i) p[i] = some[i];
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
inline unsigned greater(Vec a, Vec b) { return unsigned(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ))); }
inline unsigned equal(Vec a, Vec b) { return unsigned(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ))); }
inline Vec zero_where_less(Vec v, Vec a, Vec b) { return _mm256_andnot_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ), v); }
inline Vec power_of_two(Vec n) {  // 2ⁿ, n in the low bits of the number's own bits
  return _mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(n), 23), _mm256_castps_si256(all(1.0f))));
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

using WideVec = __m256d;
inline WideVec load_wide(float const* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }  // kLanes / 2 of them
inline double sum(WideVec d) {
  __m128d const s = _mm_add_pd(_mm256_castpd256_pd128(d), _mm256_extractf128_pd(d, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
inline WideVec wide_low(Vec v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
inline WideVec wide_high(Vec v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
inline double wide_sum(Vec v) { return sum(wide_low(v) + wide_high(v)); }  // in double, lanes in order of sum()

/// Rows of a square block become its columns.
inline void transpose(Vec r[kLanes]) {
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

// Words of random bits, for philox.h.
using Words = __m256i;
inline Words all_words(uint32_t x) { return _mm256_set1_epi32(int(x)); }
inline Words exclusive_or(Words a, Words b) { return _mm256_xor_si256(a, b); }
inline void count_from(Words& low, Words& high, uint64_t first) {  // first, first + 1, …, in 64 bits each
  Words const top = all_words(0x80000000u), start = all_words(uint32_t(first));
  low = _mm256_add_epi32(start, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  Words const wrapped = _mm256_cmpgt_epi32(_mm256_xor_si256(start, top), _mm256_xor_si256(low, top));  // −1 where so
  high = _mm256_sub_epi32(all_words(uint32_t(first >> 32)), wrapped);
}
inline void multiply(Words& low, Words& high, Words a, Words m) {  // 32 × 32 → 64 bits, each lane
  Words const even = _mm256_mul_epu32(a, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), m);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
inline void in_order(Words w[4]) {  // from word by word of all calls to call by call
  Words const t0 = _mm256_unpacklo_epi32(w[0], w[1]), t1 = _mm256_unpackhi_epi32(w[0], w[1]);
  Words const t2 = _mm256_unpacklo_epi32(w[2], w[3]), t3 = _mm256_unpackhi_epi32(w[2], w[3]);
  Words const u0 = _mm256_unpacklo_epi64(t0, t2), u1 = _mm256_unpackhi_epi64(t0, t2);  // calls 0 4, 1 5
  Words const u2 = _mm256_unpacklo_epi64(t1, t3), u3 = _mm256_unpackhi_epi64(t1, t3);  // calls 2 6, 3 7
  w[0] = _mm256_permute2x128_si256(u0, u1, 0x20), w[1] = _mm256_permute2x128_si256(u2, u3, 0x20);
  w[2] = _mm256_permute2x128_si256(u0, u1, 0x31), w[3] = _mm256_permute2x128_si256(u2, u3, 0x31);
}
inline Vec where_at_least(Words words, Words threshold, Vec v) {  // unsigned; 0 elsewhere
  Words const at_least = _mm256_cmpeq_epi32(_mm256_max_epu32(words, threshold), words);
  return _mm256_and_ps(_mm256_castsi256_ps(at_least), v);
}

}  // namespace
}  // namespace folio::cpu::FOLIO_LEVEL

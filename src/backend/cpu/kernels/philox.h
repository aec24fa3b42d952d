// Philox4x32-10 (core/random.h) for eight calls at a time, and the dropout factors made of its words.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::kernels {
namespace {

using Words = __m256i;

struct Philox {
  explicit Philox(DropoutKey const& key)
      : third(_mm256_set1_epi32(int(key.third))),
        fourth(_mm256_set1_epi32(int(key.fourth))),
        threshold(_mm256_set1_epi32(int(uint32_t(key.threshold)))),
        kept(all(key.threshold >> 32 ? 0.0f : key.kept)),
        seed(key.seed) {}
  Words third, fourth, threshold;
  Vec kept;
  uint64_t seed;
};

struct Product {
  Words low, high;
};
inline Product multiply(Words a, Words m) {  // 32 × 32 → 64 bits, each lane
  Words const even = _mm256_mul_epu32(a, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), m);
  return {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa),
          _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
}

/// words[0…3]: the 32 words of calls first … first + 7, in order.
inline void draw(Words words[4], Philox const& p, uint64_t first) {
  Words const top = _mm256_set1_epi32(int(0x80000000u)), low = _mm256_set1_epi32(int(uint32_t(first)));
  Words c0 = _mm256_add_epi32(low, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  Words const carry = _mm256_cmpgt_epi32(_mm256_xor_si256(low, top), _mm256_xor_si256(c0, top));  // −1 where it wrapped
  Words c1 = _mm256_sub_epi32(_mm256_set1_epi32(int(uint32_t(first >> 32))), carry);
  Words c2 = p.third, c3 = p.fourth;
  Words const m0 = _mm256_set1_epi32(int(0xD2511F53u)), m1 = _mm256_set1_epi32(int(0xCD9E8D57u));
  uint32_t k0 = uint32_t(p.seed), k1 = uint32_t(p.seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    Product const a = multiply(c0, m0), b = multiply(c2, m1);
    c0 = _mm256_xor_si256(_mm256_xor_si256(b.high, c1), _mm256_set1_epi32(int(k0)));
    c1 = b.low;
    c2 = _mm256_xor_si256(_mm256_xor_si256(a.high, c3), _mm256_set1_epi32(int(k1)));
    c3 = a.low;
  }
  // From word by word to call by call.
  Words const t0 = _mm256_unpacklo_epi32(c0, c1), t1 = _mm256_unpackhi_epi32(c0, c1);
  Words const t2 = _mm256_unpacklo_epi32(c2, c3), t3 = _mm256_unpackhi_epi32(c2, c3);
  Words const u0 = _mm256_unpacklo_epi64(t0, t2), u1 = _mm256_unpackhi_epi64(t0, t2);  // calls 0 4, 1 5
  Words const u2 = _mm256_unpacklo_epi64(t1, t3), u3 = _mm256_unpackhi_epi64(t1, t3);  // calls 2 6, 3 7
  words[0] = _mm256_permute2x128_si256(u0, u1, 0x20), words[1] = _mm256_permute2x128_si256(u2, u3, 0x20);
  words[2] = _mm256_permute2x128_si256(u0, u1, 0x31), words[3] = _mm256_permute2x128_si256(u2, u3, 0x31);
}

inline Vec factor_of(Words words, Philox const& p) {  // 1/(1 − p) or 0
  Words const at_least = _mm256_cmpeq_epi32(_mm256_max_epu32(words, p.threshold), words);
  return _mm256_and_ps(_mm256_castsi256_ps(at_least), p.kept);
}

/// f(i, left, factors) for i = 0, kLanes, … below n; element i has the dropout index `index + i`.
template <class F>
inline void each_kept(Philox const& p, int64_t n, uint64_t index, F f) {
  constexpr int64_t kWords = 4 * kLanes;
  if (index % 4 == 0) {
    for (int64_t i = 0; i < n; i += kWords) {
      Words words[4];
      draw(words, p, (index + uint64_t(i)) / 4);
      for (int64_t k = 0; k < 4 && i + k * kLanes < n; ++k)
        f(i + k * kLanes, n - i - k * kLanes, factor_of(words[k], p));
    }
    return;
  }
  // A row that begins inside a call: the factors go through memory, shifted by the words before it.
  alignas(32) float factors[kWords + kLanes] = {};
  int64_t const skip = int64_t(index % 4), fresh = kWords - 4;  // each draw begins at a call, so four words overlap
  for (int64_t i = 0; i < n; i += fresh) {
    Words words[4];
    draw(words, p, (index + uint64_t(i)) / 4);
    for (int64_t k = 0; k < 4; ++k) store(factors + k * kLanes, factor_of(words[k], p));
    int64_t const end = n - i < fresh ? n - i : fresh;
    for (int64_t k = 0; k < end; k += kLanes) f(i + k, end - k, load(factors + skip + k));
  }
}

}  // namespace
}  // namespace folio::cpu::kernels

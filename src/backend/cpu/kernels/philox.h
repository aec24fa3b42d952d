// Philox4x32-10 (core/random.h) for as many calls at a time as there are lanes, and the dropout factors made of its
// words.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

struct Philox {
  explicit Philox(DropoutKey const& key)
      : third(all_words(key.third)),
        fourth(all_words(key.fourth)),
        threshold(all_words(uint32_t(key.threshold))),
        kept(all(key.threshold >> 32 ? 0.0f : key.kept)),
        seed(key.seed) {}
  Words third, fourth, threshold;
  Vec kept;
  uint64_t seed;
};

/// words[0…3]: the 4 · kLanes words of calls first, first + 1, …, in order.
inline void draw(Words words[4], Philox const& p, uint64_t first) {
  Words c0, c1, c2 = p.third, c3 = p.fourth;
  count_from(c0, c1, first);
  Words const m0 = all_words(0xD2511F53u), m1 = all_words(0xCD9E8D57u);
  uint32_t k0 = uint32_t(p.seed), k1 = uint32_t(p.seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    Words low_0, high_0, low_1, high_1;
    multiply(low_0, high_0, c0, m0), multiply(low_1, high_1, c2, m1);
    c0 = exclusive_or(exclusive_or(high_1, c1), all_words(k0)), c1 = low_1;
    c2 = exclusive_or(exclusive_or(high_0, c3), all_words(k1)), c3 = low_0;
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
  in_order(words);
}

inline Vec factor_of(Words words, Philox const& p) {  // 1/(1 − p) or 0
  return where_at_least(words, p.threshold, p.kept);
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
  alignas(64) float factors[kWords + kLanes] = {};
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
}  // namespace folio::cpu::FOLIO_LEVEL

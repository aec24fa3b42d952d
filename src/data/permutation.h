// A permutation of 0 … n − 1 that is computed, not stored: a Feistel network over the smallest even number of bits
// that holds n (8 at least), whose round function is Philox; a value beyond n is put in again until it falls below
// (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
#pragma once

#include <bit>
#include <cstdint>

#include "core/error.h"
#include "core/random.h"

namespace folio::data {

class Permutation {
 public:
  Permutation(uint64_t n, uint64_t seed, uint32_t epoch) : n_(n), seed_(seed), epoch_(epoch) {
    check(n > 0 && n <= uint64_t{1} << 62, "a permutation of {}", n);
    int const bits = std::bit_width(n - 1);
    half_ = bits < 8 ? 4 : (bits + 1) / 2;
  }
  uint64_t operator()(uint64_t i) const {  // i < n
    do i = network(i);
    while (i >= n_);
    return i;
  }

 private:
  static constexpr uint32_t kRounds = 8;

  uint64_t network(uint64_t i) const {
    uint32_t const mask = static_cast<uint32_t>((uint64_t{1} << half_) - 1);
    uint32_t left = static_cast<uint32_t>(i >> half_), right = static_cast<uint32_t>(i) & mask;
    for (uint32_t round = 1; round <= kRounds; ++round) {
      // The second word of the counter is 0 in random_below's draws of one epoch (core/random.h): no word is shared.
      auto const words = philox({right, round, epoch_, static_cast<uint32_t>(Domain::data) << 24}, seed_);
      uint32_t const mixed = left ^ (words[0] & mask);
      left = right;
      right = mixed;
    }
    return uint64_t{left} << half_ | right;
  }

  uint64_t n_, seed_;
  uint32_t epoch_;
  int half_;  // bits
};

}  // namespace folio::data

// Philox4x32-10: a counter in, four random words out; no state (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Counter = {call low, call high, third, domain·2²⁴ + layer·2⁸ + site}, so
// draws of different domains never share a word.
//
//   domain     third word                  index
//   dropout    attempted step              element of the global batch (backend.h, Dropout)
//   init       place in for_each           2 · element of the tensor
//   sampling   position                    4 · number of the sample
//   data       epoch or step               the batcher's own
#pragma once

#include <array>
#include <cstdint>

namespace folio {

enum class Domain : uint32_t { dropout = 1, init = 2, sampling = 3, data = 4 };

constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    uint64_t const a = uint64_t{0xD2511F53u} * c[0], b = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
  }
  return c;
}

/// Word (index mod 4) of call (index div 4). layer and site are 0 outside dropout.
constexpr uint32_t random_word(uint64_t key, Domain domain, uint32_t third, uint32_t layer, uint32_t site,
                               uint64_t index) {
  uint64_t const call = index / 4;
  return philox({static_cast<uint32_t>(call), static_cast<uint32_t>(call >> 32), third,
                 static_cast<uint32_t>(domain) << 24 | layer << 8 | site},
                key)[index % 4];
}

/// Uniform in [0, n): a 64-bit draw, taken again where it would favour the low numbers. Uses words 4·index … 4·index
/// + 3.
uint64_t random_below(uint64_t key, Domain domain, uint32_t third, uint64_t index, uint64_t n);

}  // namespace folio

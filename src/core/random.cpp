#include "core/random.h"

#include "core/error.h"

namespace folio {

uint64_t random_below(uint64_t key, Domain domain, uint32_t third, uint64_t index, uint64_t n) {
  check(n > 0, "random_below: an empty range");
  auto const words = philox(
      {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), third, static_cast<uint32_t>(domain) << 24},
      key);
  uint64_t const limit = UINT64_MAX - UINT64_MAX % n;  // a multiple of n
  for (int pair : {0, 2}) {
    uint64_t const draw = uint64_t{words[pair]} << 32 | words[pair + 1];
    if (draw < limit) return draw % n;
  }
  // Two refusals, as rare as n² / 2¹²⁸: the remainder of all 128 bits.
  unsigned __int128 all = 0;
  for (uint32_t word : words) all = all << 32 | word;
  return static_cast<uint64_t>(all % n);
}

}  // namespace folio

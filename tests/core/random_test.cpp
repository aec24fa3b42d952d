// Philox against its published known answers (Random123 1.14, kat_vectors), and the draws made of it.
#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "tests/support/files.h"

using namespace folio;
using Words = std::array<uint32_t, 4>;

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomWord, IsTheWordOfItsCounter) {
  uint64_t const key = 0x123456789abcdef0, index = (uint64_t{7} << 34) + 13;  // call 7·2³² + 3, word 1
  Words const words = philox({3, 7, 42, 1u << 24 | 5u << 8 | 2u}, key);
  EXPECT_EQ(random_word(key, Domain::dropout, 42, 5, 2, index), words[1]);
}

TEST(RandomWord, DomainsLayersAndSitesShareNoDraw) {
  std::set<uint32_t> seen;
  size_t draws = 0;
  for (Domain domain : {Domain::dropout, Domain::init, Domain::sampling, Domain::data})
    for (uint32_t layer : {0u, 1u, 47u})
      for (uint32_t site : {0u, 1u, 3u})
        for (uint64_t index = 0; index < 8; ++index, ++draws)
          seen.insert(random_word(1, domain, 9, layer, site, index));
  EXPECT_EQ(seen.size(), draws);
}

TEST(RandomBelow, IsInRangeAndUniform) {
  for (uint64_t n : {1u, 2u, 10u, 63u}) {
    std::vector<double> counts(n);
    double const draws = 20'000.0 * static_cast<double>(n) / 10;
    for (uint64_t i = 0; i < static_cast<uint64_t>(draws); ++i) {
      uint64_t const x = random_below(1337, Domain::data, 3, i, n);
      ASSERT_LT(x, n);
      ++counts[x];
    }
    double chi = 0;
    double const expected = std::floor(draws) / static_cast<double>(n);
    for (double c : counts) chi += (c - expected) * (c - expected) / expected;
    double const freedom = static_cast<double>(n - 1);
    EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom) + 1) << n;  // 5 standard deviations
    if (n > 2) {
      EXPECT_GT(chi, freedom - 5 * std::sqrt(2 * freedom) - 1) << n;
    }
  }
}

TEST(RandomBelow, ReachesTheTopOfALargeRangeWithoutFavour) {
  uint64_t const n = (uint64_t{1} << 63) + 1;  // half of all draws must be taken again
  int upper = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    uint64_t const x = random_below(7, Domain::data, 0, i, n);
    ASSERT_LT(x, n);
    upper += x >= n / 2;
  }
  EXPECT_NEAR(upper, 2000, 400);
  folio::test::expect_fault(Fault::bug, {"empty range"}, [] { random_below(1, Domain::data, 0, 0, 0); });
}

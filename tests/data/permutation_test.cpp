#include "data/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace folio::data {
namespace {

std::vector<uint64_t> order(uint64_t n, uint64_t seed, uint32_t epoch) {
  Permutation const p(n, seed, epoch);
  std::vector<uint64_t> out(n);
  for (uint64_t i = 0; i < n; ++i) out[i] = p(i);
  return out;
}

TEST(Permutation, TakesEachNumberOnce) {
  for (uint64_t n : {1, 2, 3, 4, 5, 7, 15, 16, 17, 97, 255, 256, 257, 1000, 4099, 65536, 65537, 300007}) {
    auto got = order(n, 42, 3);
    std::ranges::sort(got);
    for (uint64_t i = 0; i < n; ++i) ASSERT_EQ(got[i], i) << "of " << n;
  }
}

TEST(Permutation, AlsoOfMoreThan32Bits) {
  uint64_t const n = (uint64_t{1} << 33) + 7;
  Permutation const p(n, 1, 0);
  std::vector<uint64_t> got;
  for (uint64_t i = 0; i < 20000; ++i) got.push_back(p(i * 429'496));
  for (uint64_t value : got) ASSERT_LT(value, n);
  std::ranges::sort(got);
  EXPECT_EQ(std::ranges::adjacent_find(got), got.end());
  EXPECT_GT(got.back(), n / 10 * 9) << "the high half is reached";
}

TEST(Permutation, DependsOnSeedAndEpoch) {
  EXPECT_EQ(order(100, 1, 0), order(100, 1, 0));
  EXPECT_NE(order(100, 1, 0), order(100, 1, 1));
  EXPECT_NE(order(100, 1, 0), order(100, 2, 0));
  EXPECT_NE(order(100, 1, 0), order(100, 1 + (uint64_t{1} << 32), 0)) << "all 64 bits of the seed count";
}

// Every order of a few is as likely as any other: chi-square over the n! orders, 5 sigma wide.
TEST(Permutation, OrdersOfAFewAreEquallyLikely) {
  for (uint64_t n : {2, 3, 4, 5}) {
    uint64_t orders = 1;
    for (uint64_t i = 2; i <= n; ++i) orders *= i;
    uint32_t const draws = static_cast<uint32_t>(orders) * 200;
    std::map<std::vector<uint64_t>, uint64_t> seen;
    for (uint32_t epoch = 0; epoch < draws; ++epoch) ++seen[order(n, 7, epoch)];
    EXPECT_EQ(seen.size(), orders);
    double chi = 0;
    for (auto const& [which, times] : seen) chi += (times - 200.0) * (times - 200.0) / 200;
    double const freedom = static_cast<double>(orders) - 1;
    EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom)) << n;
  }
}

TEST(Permutation, NeighboursDoNotStayNeighbours) {
  uint64_t const n = 10'000;
  auto const got = order(n, 5, 0);
  int together = 0;
  for (size_t i = 1; i < n; ++i) together += got[i] == got[i - 1] + 1;
  EXPECT_LT(together, 10);  // one is expected
}

}  // namespace
}  // namespace folio::data

// Counts and recurring windows of small splits against a search of every place.
#include "data/statistics.h"

#include <gtest/gtest.h>

#include <random>

namespace folio::data {
namespace {

Split split_of(std::vector<int32_t> const& ids, int64_t vocab) {
  std::vector<Shard> shards;
  size_t const half = ids.size() / 2;  // windows cross the border of two shards
  shards.push_back(Shard::of({ids.begin(), ids.begin() + int64_t(half)}, vocab));
  shards.push_back(Shard::of({ids.begin() + int64_t(half), ids.end()}, vocab));
  return Split("train", std::move(shards));
}

std::vector<int32_t> random_ids(size_t n, int32_t vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = int32_t(random() % uint32_t(vocab));
  return ids;
}

int64_t search(std::vector<int32_t> const& needles, std::vector<int32_t> const& hay, int64_t W, bool same) {
  int64_t found = 0;
  for (int64_t n = 0; n + W <= int64_t(needles.size()); n += W) {
    int64_t places = 0;
    for (int64_t h = 0; h + W <= int64_t(hay.size()); ++h)
      places += std::equal(needles.begin() + n, needles.begin() + n + W, hay.begin() + h);
    found += places >= (same ? 2 : 1);
  }
  return found;
}

TEST(Statistics, WindowsAreFoundWhereTheyOccurAndNowhereElse) {
  int64_t seen = 0;
  for (unsigned seed = 0; seed < 20; ++seed)
    for (int64_t const W : {1, 3, 5, 8}) {
      auto const a = random_ids(300, 3, seed), b = random_ids(180, 3, seed + 100);
      Split const train = split_of(a, 3), val = split_of(b, 3);
      Recurrence const own = find_windows(train, train, W), other = find_windows(val, train, W);
      EXPECT_EQ(own.windows, 300 / W);
      EXPECT_EQ(own.found, search(a, a, W, true)) << W << ", " << seed;
      EXPECT_EQ(other.windows, 180 / W);
      EXPECT_EQ(other.found, search(b, a, W, false)) << W << ", " << seed;
      seen += other.found > 0 && other.found < other.windows;
    }
  EXPECT_GT(seen, 10);  // neither none nor all, often
}

TEST(Statistics, OfTooManyWindowsSomeAreLookedFor) {
  Split const flat = split_of(std::vector<int32_t>(1000, 1), 3);
  Recurrence const r = find_windows(flat, flat, 10, 7);
  EXPECT_EQ(r.windows, 7);
  EXPECT_EQ(r.found, 7);
  Split const tiny = split_of({0, 1, 2}, 3);
  EXPECT_EQ(find_windows(tiny, tiny, 10).windows, 0);
}

TEST(Statistics, IdsAreCounted) {
  auto const counts = count_ids(split_of({2, 0, 2, 2, 1}, 5));
  EXPECT_EQ(counts, (std::vector<int64_t>{1, 1, 3, 0, 0}));
}

}  // namespace
}  // namespace folio::data

#include "data/windows.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/data/data_support.h"
#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::counting_split;

TEST(EvalWindows, CountEachTargetOnce) {
  for (int64_t tokens : {2, 3, 8, 9, 10, 64, 65, 66, 997})
    for (int64_t B : {1, 3, 8})
      for (int64_t T : {1, 2, 8, 64, 2000}) {
        Split const split = counting_split(tokens);
        EvalWindows const windows(split, B, T);
        EXPECT_TRUE(windows.whole());
        std::map<int32_t, int> targets;
        double weight = 0;
        HostBatch batch;
        for (int64_t i = 0; i < windows.batches(); ++i) {
          windows.batch(i, batch);
          ASSERT_EQ(batch.tokens.size(), static_cast<size_t>(B * T));
          ASSERT_GT(batch.total_weight, 0);
          weight += batch.total_weight;
          for (size_t k = 0; k < batch.targets.size(); ++k) {
            ASSERT_EQ(batch.token_weights[k], batch.targets[k] >= 0 ? 1.0f : 0.0f);
            if (batch.targets[k] < 0) continue;
            ++targets[batch.targets[k]];
            ASSERT_EQ(batch.tokens[k], batch.targets[k] - 1);
          }
        }
        ASSERT_EQ(static_cast<int64_t>(targets.size()), tokens - 1) << tokens << " by " << B << " × " << T;
        for (auto const& [target, times] : targets) ASSERT_EQ(times, 1) << target;
        ASSERT_EQ(weight, static_cast<double>(tokens - 1));
      }
}

TEST(EvalWindows, AFewAreSpreadOverTheSplitAndAlwaysTheSame) {
  Split const split = counting_split(10'000);
  EvalWindows const windows(split, 4, 10, 5);
  EXPECT_EQ(windows.batches(), 5);
  EXPECT_FALSE(windows.whole());
  std::vector<int32_t> starts;
  HostBatch batch, again;
  for (int64_t i = 0; i < 5; ++i) {
    windows.batch(i, batch);
    EvalWindows(split, 4, 10, 5).batch(i, again);
    ASSERT_EQ(batch.tokens, again.tokens);
    for (size_t row = 0; row < 4; ++row) starts.push_back(batch.tokens[row * 10]);
  }
  ASSERT_EQ(starts.size(), 20u);
  EXPECT_EQ(starts[0], 0);
  for (size_t i = 1; i < starts.size(); ++i) {
    EXPECT_EQ(starts[i] % 10, 0);
    EXPECT_NEAR(starts[i] - starts[i - 1], 500, 10);
  }
}

TEST(EvalWindows, AsManyAsThereAreIsAll) {
  Split const split = counting_split(101);  // 10 windows of 10
  EXPECT_TRUE(EvalWindows(split, 4, 10, 3).whole());
  EXPECT_EQ(EvalWindows(split, 4, 10, 3).batches(), 3);
  EXPECT_TRUE(EvalWindows(split, 4, 10, 1'000'000'000'000).whole());
  EXPECT_EQ(EvalWindows(split, 4, 10, 2).windows(), 8);
  EXPECT_TRUE(EvalWindows(split, 5, 10, 2).whole());
}

TEST(EvalWindows, TheMaskIsKeptTo) {
  std::vector<uint8_t> mask(50, 1);
  for (size_t i : {0, 7, 8, 49}) mask[i] = 0;
  Split const split = counting_split(50, mask);
  EvalWindows const windows(split, 2, 8);
  std::set<int32_t> targets;
  HostBatch batch;
  double weight = 0;
  for (int64_t i = 0; i < windows.batches(); ++i) {
    windows.batch(i, batch);
    weight += batch.total_weight;
    for (int32_t target : batch.targets)
      if (target >= 0) targets.insert(target);
  }
  EXPECT_EQ(targets.size(), 46u);
  EXPECT_EQ(weight, 46);
  for (int32_t masked : {7, 8, 49}) EXPECT_FALSE(targets.contains(masked));
}

TEST(EvalWindows, OneTokenCannotBeJudged) {
  Split const split = counting_split(1);
  test::expect_fault(Fault::content, {"1 token"}, [&] { EvalWindows(split, 1, 8); });
}

}  // namespace
}  // namespace folio::data

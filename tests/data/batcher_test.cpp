#include "data/batcher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "tests/data/data_support.h"
#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::counting_split;

bool same(HostBatch const& a, HostBatch const& b) {
  return a.tokens == b.tokens && a.targets == b.targets && a.token_weights == b.token_weights &&
         a.sequences == b.sequences && a.total_weight == b.total_weight;
}

void expect_windows(HostBatch const& b, int64_t rows, int64_t T) {  // of a counting split
  ASSERT_EQ(b.tokens.size(), static_cast<size_t>(rows * T));
  ASSERT_EQ(b.targets.size(), b.tokens.size());
  ASSERT_EQ(b.token_weights.size(), b.tokens.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t t = 0; t < T; ++t) {
      auto const i = static_cast<size_t>(r * T + t);
      ASSERT_EQ(b.tokens[i], b.tokens[static_cast<size_t>(r * T)] + t);
      ASSERT_EQ(b.targets[i], b.tokens[i] + 1);
      ASSERT_EQ(b.token_weights[i], 1.0f);
    }
}

TEST(Batcher, AnEpochTakesEachWindowOnce) {
  for (int64_t tokens : {2, 3, 5, 17, 64, 65, 101, 997})
    for (int64_t T : {1, 2, 3, 7, 16, 31, 64}) {
      if (tokens <= T) continue;
      Split const split = counting_split(tokens);
      Batcher batcher(split, {.batch = 1, .context = T, .seed = 11});
      HostBatch batch;
      for (int64_t epoch = 0; epoch < 4; ++epoch) {
        ASSERT_EQ(batcher.state(), (Batcher::State{epoch, 0}));
        int64_t const windows = batcher.windows_in_epoch(epoch);
        ASSERT_GE(windows, 1);
        std::set<int32_t> starts;
        for (int64_t w = 0; w < windows; ++w) {
          batcher.next(batch);
          expect_windows(batch, 1, T);
          starts.insert(batch.tokens[0]);
        }
        ASSERT_EQ(static_cast<int64_t>(starts.size()), windows) << tokens << " by " << T;
        ASSERT_EQ((*starts.rbegin() - *starts.begin()) / T, windows - 1) << "side by side, no gap";
        for (int32_t start : starts) ASSERT_EQ((start - *starts.begin()) % T, 0);
        ASSERT_LT(*starts.begin(), T) << "nothing lost in front";
        ASSERT_GE(*starts.rbegin() + 2 * T + 1, tokens) << "nor behind";
        ASSERT_LE(*starts.rbegin() + T, tokens - 1);
      }
    }
}

TEST(Batcher, AStepMaySpanTwoEpochs) {
  Split const split = counting_split(101);
  Batcher one(split, {.batch = 1, .context = 10, .seed = 3}), four(split, {.batch = 4, .context = 10, .seed = 3});
  HostBatch single, many;
  for (int step = 0; step < 30; ++step) {
    four.next(many);
    for (size_t row = 0; row < 4; ++row) {
      one.next(single);
      ASSERT_EQ(single.tokens[0], many.tokens[row * 10]);
    }
    ASSERT_EQ(one.state(), four.state());
  }
  EXPECT_GT(four.state().epoch, 10);
}

TEST(Batcher, WindowBordersMoveBetweenEpochs) {
  Split const split = counting_split(10'001);
  Batcher batcher(split, {.batch = 1, .context = 100, .seed = 1});
  std::map<int64_t, int> borders;
  HostBatch batch;
  for (int64_t epoch = 0; epoch < 60; ++epoch) {
    batcher.restore({epoch, 0});
    batcher.next(batch);
    ++borders[batch.tokens[0] % 100];
  }
  EXPECT_GT(borders.size(), 35u);
}

TEST(Batcher, ResumesAnywhereBitForBit) {
  Split const split = counting_split(1009);
  for (Windows const windows : {Windows::shuffled, Windows::random}) {
    BatcherOptions const o{.batch = 3, .accumulate = 2, .context = 16, .windows = windows, .seed = 9};
    Batcher whole(split, o);
    HostBatch expected, got;
    for (int step = 0; step < 40; ++step) {
      Batcher::State const state = whole.state();
      whole.next(expected);
      Batcher resumed(split, o);
      resumed.restore(state);
      resumed.next(got);
      ASSERT_TRUE(same(expected, got)) << step;
      ASSERT_EQ(resumed.state(), whole.state());
    }
    if (windows == Windows::shuffled) {
      EXPECT_GT(whole.state().epoch, 2) << "the steps cross epochs";
    }
  }
}

TEST(Batcher, AStateOfOtherDataIsRefused) {
  Split const split = counting_split(101);
  Batcher shuffled(split, {.context = 10});
  Batcher random(split, {.context = 10, .windows = Windows::random});
  for (Batcher::State const s : {Batcher::State{0, 10}, {0, 1000}, {-1, 0}, {0, -1}, {int64_t{1} << 40, 0}})
    test::expect_fault(Fault::content, {"position in the data"}, [&] { shuffled.restore(s); });
  for (Batcher::State const s : {Batcher::State{1, 0}, {0, -1}, {0, int64_t{1} << 40}})
    test::expect_fault(Fault::content, {"position in the data"}, [&] { random.restore(s); });
  EXPECT_EQ(shuffled.state(), Batcher::State{});
}

// Chi-square over all 91 starts, within 5 sigma; the first and the last are among them.
TEST(Batcher, RandomWindowsBeginAnywhereWithEqualChance) {
  int64_t const tokens = 101, T = 10, starts = tokens - T, draws = 91'000;
  Split const split = counting_split(tokens);
  Batcher batcher(split, {.batch = 100, .context = T, .windows = Windows::random, .seed = 2});
  std::vector<int64_t> seen(static_cast<size_t>(starts));
  HostBatch batch;
  for (int64_t step = 0; step < draws / 100; ++step) {
    batcher.next(batch);
    expect_windows(batch, 100, T);
    for (size_t row = 0; row < 100; ++row) ++seen.at(static_cast<size_t>(batch.tokens[row * T]));
  }
  double chi = 0;
  for (int64_t times : seen) chi += (times - 1000.0) * (times - 1000.0) / 1000;
  EXPECT_LT(chi, 90 + 5 * std::sqrt(180.0));
  EXPECT_GT(chi, 90 - 5 * std::sqrt(180.0)) << "drawn with replacement, not dealt out";
}

TEST(Batcher, MicroBatchesAndRanksAreTheSameStep) {
  Split const split = counting_split(5003);
  for (Windows const windows : {Windows::shuffled, Windows::random}) {
    auto const make = [&](int64_t B, int64_t A, int64_t rank, int64_t ranks) {
      return Batcher(
          split,
          {.batch = B, .accumulate = A, .context = 8, .windows = windows, .seed = 4, .rank = rank, .ranks = ranks});
    };
    Batcher whole = make(12, 1, 0, 1), parts = make(3, 4, 0, 1), first = make(3, 2, 0, 2), second = make(3, 2, 1, 2);
    HostBatch a, b, c, d;
    for (int step = 0; step < 60; ++step) {
      whole.next(a), parts.next(b), first.next(c), second.next(d);
      ASSERT_TRUE(same(a, b));
      c.tokens.insert(c.tokens.end(), d.tokens.begin(), d.tokens.end());
      c.sequences.insert(c.sequences.end(), d.sequences.begin(), d.sequences.end());
      ASSERT_EQ(a.tokens, c.tokens);
      ASSERT_EQ(a.sequences, c.sequences);
      ASSERT_EQ(a.total_weight, c.total_weight);
      ASSERT_EQ(a.total_weight, d.total_weight) << "the weight is that of all ranks";
      ASSERT_EQ(whole.state(), second.state());
    }
    EXPECT_EQ(a.sequences, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  }
}

TEST(Batcher, MaskedIdsAreNoTargets) {
  int64_t const tokens = 400, T = 9;
  std::vector<uint8_t> mask(tokens);
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 3 != 0;
  Split const split = counting_split(tokens, mask);
  Batcher whole(split, {.batch = 4, .context = T, .seed = 1});
  Batcher half(split, {.batch = 2, .context = T, .seed = 1, .rank = 1, .ranks = 2});
  HostBatch batch, of_half;
  for (int step = 0; step < 30; ++step) {
    whole.next(batch), half.next(of_half);
    double weight = 0;
    for (size_t i = 0; i < batch.tokens.size(); ++i) {
      int32_t const next = batch.tokens[i] + 1;
      ASSERT_EQ(batch.targets[i], next % 3 != 0 ? next : -1);
      ASSERT_EQ(batch.token_weights[i], next % 3 != 0 ? 1.0f : 0.0f);
      weight += batch.token_weights[i];
    }
    ASSERT_EQ(batch.total_weight, weight);
    ASSERT_EQ(of_half.total_weight, weight);
  }
}

TEST(Batcher, ATextShorterThanTheContextSaysWhatToDo) {
  Split const split = counting_split(64);
  EXPECT_NO_THROW(Batcher(split, {.context = 63}));
  test::expect_fault(Fault::content, {"64 tokens", "context 64", "--context 63"},
                     [&] { Batcher(split, {.context = 64}); });
  Split const one = counting_split(1);
  test::expect_fault(Fault::content, {"1 tokens"}, [&] { Batcher(one, {.context = 1}); });
}

}  // namespace
}  // namespace folio::data

// Where a run goes back to, what its log says of it, and what is read back of a run that did.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"
#include "tests/support/scratch_folder.h"
#include "train/history.h"

namespace folio::train {
namespace {

Rollback rollback(int64_t step, int64_t to, int64_t in_a_row = 1) {
  return {.step = step, .to = to, .why = "spike", .in_a_row = in_a_row, .skipped = step - to, .data = {0, 8 * step}};
}

TEST(Retreat, IsToTheNewestCheckpointBeforeTheStep) {
  EXPECT_FALSE(retreat_from(40, {}, {}));
  EXPECT_FALSE(retreat_from(40, {}, {40, 60}));
  EXPECT_EQ(retreat_from(40, {}, {10, 20, 30})->to, 30);
  EXPECT_EQ(retreat_from(31, {}, {10, 20, 30})->to, 30);
  EXPECT_EQ(retreat_from(30, {}, {10, 20, 30})->to, 20);
  EXPECT_EQ(retreat_from(40, {}, {10, 20, 30})->in_a_row, 1);
}

TEST(Retreat, SoonBehindACheckpointThatWasGoneBackToIsToOneBefore) {
  auto const again = retreat_from(33, {rollback(40, 30)}, {10, 20, 30});
  EXPECT_EQ(again->to, 20);
  EXPECT_EQ(again->in_a_row, 2);
  // Made anew with other data, checkpoint 30 led to the same: before all that were tried.
  auto const third = retreat_from(33, {rollback(40, 30), rollback(33, 20, 2)}, {10, 20, 30});
  EXPECT_EQ(third->to, 10);
  EXPECT_EQ(third->in_a_row, 3);
  // The oldest there is is tried again.
  EXPECT_EQ(retreat_from(12, {rollback(40, 10)}, {10})->to, 10);
}

TEST(Retreat, CloseToWhereItFailedCountsAndGoesBackToTheSame) {
  for (int64_t const step : {60, 70, 80}) {
    auto const again = retreat_from(step, {rollback(70, 30)}, {10, 20, 30});
    EXPECT_EQ(again->to, 30);
    EXPECT_EQ(again->in_a_row, 2) << step;
  }
  // … and a newer checkpoint that no step behind it was gone back to is gone back to.
  auto const other = retreat_from(52, {rollback(70, 50), rollback(51, 30, 2)}, {10, 30, 40});
  EXPECT_EQ(other->to, 40);
  EXPECT_EQ(other->in_a_row, 3);
}

TEST(Retreat, ElsewhereBehindTheSameCheckpointItIsOtherDataAndDoesNotCount) {
  for (int64_t const step : {41, 59, 81, 500}) {
    auto const other = retreat_from(step, {rollback(70, 30)}, {10, 20, 30});
    EXPECT_EQ(other->to, 30);
    EXPECT_EQ(other->in_a_row, 1) << step;
  }
  EXPECT_EQ(retreat_from(500, {rollback(70, 30), rollback(72, 30, 2), rollback(300, 30, 2)}, {30})->in_a_row, 2);
  EXPECT_EQ(retreat_from(76, {rollback(70, 30), rollback(300, 30)}, {30})->in_a_row, 2) << "any of the row";
}

TEST(Retreat, BehindANewerCheckpointThanAllItBeginsAnew) {
  std::vector<Rollback> const before = {rollback(70, 50), rollback(52, 30, 2)};
  EXPECT_EQ(retreat_from(71, before, {30, 50})->in_a_row, 3);
  for (int64_t const step : {61, 71}) {
    auto const later = retreat_from(step, before, {30, 50, 60});
    EXPECT_EQ(later->in_a_row, 1);
    EXPECT_EQ(later->to, 60);
  }
}

/// As a run does: checkpoints every `every` steps, the newest four kept; `fails` says whether a step does.
/// The rollbacks until `steps` are done, or until the limit ends it.
std::vector<Rollback> lived_through(int64_t steps, int64_t every, std::function<bool(int64_t)> const& fails) {
  std::vector<Rollback> all;
  std::vector<int64_t> checkpoints;
  for (int64_t step = 1; step <= steps; ++step) {
    if (fails(step) && !checkpoints.empty()) {
      Retreat const to = *retreat_from(step, all, checkpoints);
      all.push_back(rollback(step, to.to, to.in_a_row));
      if (to.in_a_row > kMostRollbacks) return all;
      std::erase_if(checkpoints, [&](int64_t c) { return c > to.to; });
      step = to.to;
    } else if (step % every == 0) {
      checkpoints.push_back(step);
      if (checkpoints.size() > 4) checkpoints.erase(checkpoints.begin());
    }
  }
  return all;
}

TEST(Retreat, ManyBadBatchesOfANightEndNoRun) {
  for (int64_t const every : {50, 250, 1000})
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      uint64_t x = seed;
      auto const one_of_a_thousand = [&](int64_t) {
        return (x = x * 6364136223846793005u + 1442695040888963407u) >> 33 < (uint64_t{1} << 31) / 1000;
      };
      auto const all = lived_through(200'000, every, one_of_a_thousand);
      EXPECT_GT(all.size(), 150u) << every;
      EXPECT_LE(all.back().in_a_row, kMostRollbacks) << every << " ended at step " << all.back().step;
    }
}

TEST(Retreat, WhatFailsWhateverTheDataEnds) {
  struct {
    char const* what;
    std::function<bool(int64_t)> fails;
    size_t at_most;
  } const kinds[] = {
      {"each step behind one", [](int64_t n) { return n > 5'000; }, 9},
      {"one step", [](int64_t n) { return n == 5'900; }, 9},
      {"some steps about one", [i = 0](int64_t n) mutable { return n == 5'900 + 7 * (i % 5) && ++i > 0; }, 20},
      {"steps all over the place", [i = 0](int64_t n) mutable { return n == 5'020 + 97 * (i % 10) && ++i > 0; }, 40},
  };
  for (auto const& kind : kinds) {
    auto const all = lived_through(100'000, 1000, kind.fails);
    EXPECT_GT(all.back().in_a_row, kMostRollbacks) << kind.what;
    EXPECT_LE(all.size(), kind.at_most) << kind.what;
  }
}

TEST(Retreat, PassesOverMoreEachTime) {
  EXPECT_EQ(passed_over_besides(1), 0);
  EXPECT_EQ(passed_over_besides(2), 1);
  EXPECT_EQ(passed_over_besides(5), 15);
  EXPECT_EQ(passed_over_besides(kMostRollbacks), 15);
}

class LoggedRollbacks : public testing::Test {
 protected:
  void line(Json const& json) { text_ += dump(json) + "\n"; }
  void step(int64_t n, double loss) { line(to_json(StepReport{.step = n, .loss = loss, .norm = 1})); }
  Path file() const {
    write_file(folder_ / "metrics.jsonl", text_);
    return folder_ / "metrics.jsonl";
  }
  test::ScratchFolder folder_;
  std::string text_;
};

TEST_F(LoggedRollbacks, AreFoundBehindWhatACheckpointKnows) {
  auto const has = [](data::Batcher::State const& at) { return at.position < 99; };
  line(metrics_header());
  for (int64_t n = 1; n <= 10; ++n) step(n, 3);
  uint64_t const at_ten = text_.size();
  EXPECT_FALSE(rollback_behind(file(), at_ten, 10, has));
  step(11, 9);
  line(to_json(rollback(11, 10)));
  uint64_t const first = text_.size();
  step(11, 3);
  line(to_json(Rollback{.step = 11, .to = 5, .why = "spike", .in_a_row = 2, .skipped = 7, .data = {1, 4}}));
  uint64_t const second = text_.size();
  line(
      to_json(Rollback{.step = 11, .to = 5, .why = "spike", .in_a_row = 3, .skipped = 7, .data = {1, 99}}));  // damaged
  text_ += "{\"type\":\"rollback\",\"step\":1";                                                               // torn
  auto const found = rollback_behind(file(), at_ten, 10, has);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->metrics_bytes, second);
  ASSERT_EQ(found->all.size(), 2u);
  EXPECT_EQ(found->all[1].to, 5);
  EXPECT_EQ(found->all[1].skipped, 7);
  EXPECT_EQ(found->all[1].data, (data::Batcher::State{1, 4}));
  EXPECT_FALSE(rollback_behind(file(), second, 10, has));
  EXPECT_FALSE(rollback_behind(file(), at_ten, 4, has)) << "of a checkpoint that is gone";
  EXPECT_EQ(rollback_behind(file(), first, 10, has)->all.size(), 1u);
}

TEST_F(LoggedRollbacks, LeaveThePathThatWasTakenInTheHistory) {
  line(metrics_header());
  for (int64_t n = 1; n <= 6; ++n) step(n, 3);
  line(to_json(EvalReport{.step = 6, .train = 2, .val = 2, .val_bits_per_byte = NAN}));
  step(7, 30);
  line(to_json(Spike{.step = 7, .score = 50, .accepted = false}));
  line(to_json(rollback(7, 4)));
  step(5, 2.5), step(6, 2.4);
  line(to_json(Spike{.step = 6, .score = 9, .accepted = true}));
  History const h = read_history(file());
  EXPECT_EQ(h.damage, "");
  std::vector<double> losses;
  for (StepReport const& s : h.steps) losses.push_back(s.loss);
  EXPECT_EQ(losses, (std::vector<double>{3, 3, 3, 3, 2.5, 2.4}));
  EXPECT_TRUE(h.evals.empty());
  ASSERT_EQ(h.spikes.size(), 1u);
  EXPECT_EQ(h.spikes[0].step, 6);
  EXPECT_TRUE(h.spikes[0].accepted);
  ASSERT_EQ(h.rollbacks.size(), 1u);
  EXPECT_EQ(h.rollbacks[0].step, 7);
  EXPECT_EQ(h.rollbacks[0].to, 4);
  EXPECT_EQ(h.rollbacks[0].why, "spike");
}

}  // namespace
}  // namespace folio::train

// Where a run goes back to, what its log says of it, and what is read back of a run that did.
#include <gtest/gtest.h>

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

TEST(Retreat, WhereACheckpointLedToTheSameIsToOneBefore) {
  auto const again = retreat_from(33, {rollback(40, 30)}, {10, 20, 30});
  EXPECT_EQ(again->to, 20);
  EXPECT_EQ(again->in_a_row, 2);
  auto const third = retreat_from(21, {rollback(40, 30), rollback(33, 20, 2)}, {10, 20});
  EXPECT_EQ(third->to, 10);
  EXPECT_EQ(third->in_a_row, 3);
  // The oldest there is is tried again.
  EXPECT_EQ(retreat_from(12, {rollback(40, 10)}, {10})->to, 10);
}

TEST(Retreat, FarFromTheCheckpointItIsTheDataAgain) {
  auto const again = retreat_from(60, {rollback(70, 30)}, {10, 20, 30, 50});
  EXPECT_EQ(again->to, 50);
  EXPECT_EQ(again->in_a_row, 2);
}

TEST(Retreat, BeginsAnewWhereTheRunHasGotPastWhereItFailed) {
  std::vector<Rollback> const before = {rollback(70, 30), rollback(40, 20, 2)};
  EXPECT_EQ(retreat_from(70 + 32, before, {50, 100})->in_a_row, 3) << "just behind it";
  auto const later = retreat_from(70 + 33, before, {50, 100});
  EXPECT_EQ(later->in_a_row, 1);
  EXPECT_EQ(later->to, 100);
}

TEST(Retreat, PassesOverMoreEachTime) {
  EXPECT_EQ(passed_over_besides(1), 0);
  EXPECT_EQ(passed_over_besides(2), 1);
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
  line(metrics_header());
  for (int64_t n = 1; n <= 10; ++n) step(n, 3);
  uint64_t const at_ten = text_.size();
  EXPECT_FALSE(rollback_behind(file(), at_ten, 10));
  step(11, 9);
  line(to_json(rollback(11, 10)));
  uint64_t const first = text_.size();
  step(11, 3);
  line(to_json(Rollback{.step = 11, .to = 5, .why = "spike", .in_a_row = 2, .skipped = 7, .data = {1, 4}}));
  uint64_t const second = text_.size();
  text_ += "{\"type\":\"rollback\",\"step\":1";  // torn
  auto const found = rollback_behind(file(), at_ten, 10);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->metrics_bytes, second);
  ASSERT_EQ(found->all.size(), 2u);
  EXPECT_EQ(found->all[1].to, 5);
  EXPECT_EQ(found->all[1].skipped, 7);
  EXPECT_EQ(found->all[1].data, (data::Batcher::State{1, 4}));
  EXPECT_FALSE(rollback_behind(file(), second, 10));
  EXPECT_FALSE(rollback_behind(file(), at_ten, 4)) << "of a checkpoint that is gone";
  EXPECT_EQ(rollback_behind(file(), first, 10)->all.size(), 1u);
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

// Runs that are interrupted where something was still to be done: in an evaluation, and while steps are refused.
#include "tests/support/files.h"
#include "tests/support/planted.h"

namespace folio::test {
namespace {

class Interrupted : public testing::Test {
 protected:
  Interrupted() {
    prepare(speeches(), folder / "data");
    drill.config = {.layers = 2, .heads = 2, .channels = 32, .vocab = 1, .context = 48, .dropout = {}};
    train::RunOptions& o = drill.options;
    o.steps = o.eval_every = 60, o.batch = 1, o.checkpoint_every = 10, o.stats_every = 7;
    o.schedule.lr = 3e-3, o.schedule.min_lr = 3e-4, o.schedule.warmup = 10;
  }
  DrillRun go(std::string const& out, Planted const& plan = {}) {
    return DrillRun(drill, folder / "data", folder / out, plan);
  }
  std::vector<int64_t> saved(std::string const& out) const { return train::checkpoint_steps(folder / out); }
  train::RunState newest(std::string const& out) const {
    Path const state = train::checkpoint_path(folder / out, saved(out).back()) / "state.json";
    return train::run_state_from(read_json(state), state.string());
  }

  ScratchFolder folder;
  Drill drill;
};

TEST_F(Interrupted, AnEvaluationThatIsCutShortIsMadeAgainWithTheSameBits) {
  drill.options.steps = 30, drill.options.eval_every = 15, drill.options.eval_batches = "6";
  constexpr int64_t kLooks = 12;  // of an evaluation: train and val
  (void)go("whole");
  for (int64_t const look : {1, 2, 7, 13, 18, 25, 36}) {
    std::string const name = fmt::format("cut-{}", look);
    DrillRun const cut = go(name, {.cut_evaluation = look});
    EXPECT_EQ(cut.outcome, train::Outcome::stopped);
    EXPECT_EQ(cut.state.step, (look - 1) / kLooks * 15);
    EXPECT_EQ(saved(name).back(), cut.state.step);
    EXPECT_TRUE(newest(name).evaluation_due);
    EXPECT_EQ(go(name).outcome, train::Outcome::finished);
    expect_same_run(folder / "whole", folder / name);
  }
  for (int64_t const step : {15, 30}) {  // cut in the next evaluation each time
    EXPECT_EQ(go("often", {.cut_evaluation = kLooks + 2}).outcome, train::Outcome::stopped);
    EXPECT_EQ(newest("often").step, step);
  }
  for (int i = 0; i < 2; ++i) EXPECT_EQ(go("often", {.cut_evaluation = 3}).outcome, train::Outcome::stopped);
  EXPECT_EQ(go("often").outcome, train::Outcome::finished);
  expect_same_run(folder / "whole", folder / "often");
}

TEST_F(Interrupted, AResumedCallKnowsWhatTheLastOneFoundLong) {
  drill.options.eval_every = 15;
  EXPECT_TRUE(go("run", {.stop_after = 20}).first.has_value());
  train::Longest const longest = newest("run").longest;
  EXPECT_GT(longest.step, 0);
  EXPECT_GT(longest.evaluation, 0);
  EXPECT_GT(longest.save, 0);
  EXPECT_EQ(longest.sample, 0);
  EXPECT_EQ(go("run", {.stop_after = 1}).first->next, longest.step + 2 * longest.save);
}

TEST_F(Interrupted, WhileStepsAreRefusedNoSoundCheckpointGoes) {
  drill.options.checkpoint_every = 1;
  (void)go("run", {.poison_after = 25, .stop_after = 27});
  EXPECT_EQ(saved("run"), (std::vector<int64_t>{24, 25, 27})) << "25 holds the fault already";
  Thrown const ended = thrown_by([&] { go("run"); });
  EXPECT_EQ(ended.fault, int(Fault::diverged));
  EXPECT_NE(ended.sentence.find("--resume --on-nonfinite rollback"), std::string::npos) << ended.sentence;
  drill.options.on_nonfinite = "rollback";
  DrillRun const cured = go("run");
  EXPECT_EQ(cured.outcome, train::Outcome::finished);
  EXPECT_EQ(cured.rollbacks.back().to, 24);
  EXPECT_TRUE(std::isfinite(cured.val));
}

TEST_F(Interrupted, InF16ALossThatIsNotFiniteIsJudgedAtOnce) {
  drill.dtype = DType::f16;
  Planted const poisoned = {.poison_after = 25};
  Thrown const skipped = thrown_by([&] { go("skipped", poisoned); });
  EXPECT_EQ(skipped.fault, int(Fault::diverged));
  EXPECT_NE(skipped.sentence.find("in 5 steps in a row, up to step 30"), std::string::npos) << skipped.sentence;
  EXPECT_EQ(saved("skipped"), (std::vector<int64_t>{10, 20}));
  drill.options.on_nonfinite = "abort";
  Thrown const aborted = thrown_by([&] { go("aborted", poisoned); });
  EXPECT_NE(aborted.sentence.find("step 26 is not finite"), std::string::npos) << aborted.sentence;
  drill.options.on_nonfinite = "rollback";
  DrillRun const cured = go("cured", poisoned);
  ASSERT_EQ(cured.rollbacks.size(), 1u);
  EXPECT_EQ(cured.rollbacks[0].step, 26);
  EXPECT_EQ(cured.rollbacks[0].to, 20);
  EXPECT_TRUE(std::isfinite(cured.val));
}

}  // namespace
}  // namespace folio::test

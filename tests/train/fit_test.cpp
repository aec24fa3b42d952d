// The ladder of --fit: what each rung must leave as it is, and the order of the rungs. And how a run's evaluations and
// saves are counted for its end.
#include "train/fit.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/room.h"
#include "train/step_time.h"

namespace folio::train {
namespace {

RunOptions run_of(int64_t batch, int64_t accumulate) {
  RunOptions o;
  o.batch = batch, o.accumulate = accumulate;
  return o;
}

int64_t windows(RunOptions const& o) { return o.batch * evaluation_batches(o); }

TEST(Ladder, KeepsTheSequencesOfAStepAndTheWindowsOfAnEvaluation) {
  for (auto const& [batch, accumulate] : {std::pair<int64_t, int64_t>{12, 1}, {12, 5}, {7, 2}, {1, 3}, {64, 2}}) {
    RunOptions const run = run_of(batch, accumulate);
    for (Rung const& r : ladder(run, 256, Ladder::same_context)) {
      EXPECT_EQ(r.run.batch * r.run.accumulate, batch * accumulate);
      EXPECT_EQ(windows(r.run), windows(run));
      EXPECT_EQ(r.context, 256);
    }
  }
  RunOptions all = run_of(12, 1);
  all.eval_batches = "all";
  for (Rung const& r : ladder(all, 64, Ladder::same_context)) EXPECT_EQ(r.run.eval_batches, "all");
}

TEST(Ladder, BeginsWithTheRunItselfAndClimbsFromWhatCostsLeast) {
  RunOptions const run = run_of(6, 2);
  std::vector<std::string> flags;
  for (Rung const& r : ladder(run, 256, Ladder::same_context)) flags.push_back(flags_of(r, run, 256));
  EXPECT_EQ(flags, (std::vector<std::string>{
                       "",
                       "--batch 3 --accumulate 4 --eval-batches 40",
                       "--batch 2 --accumulate 6 --eval-batches 60",
                       "--batch 1 --accumulate 12 --eval-batches 120",
                       "--recompute mlp",
                       "--batch 3 --accumulate 4 --eval-batches 40 --recompute mlp",
                       "--batch 2 --accumulate 6 --eval-batches 60 --recompute mlp",
                       "--batch 1 --accumulate 12 --eval-batches 120 --recompute mlp",
                       "--recompute block",
                       "--batch 3 --accumulate 4 --eval-batches 40 --recompute block",
                       "--batch 2 --accumulate 6 --eval-batches 60 --recompute block",
                       "--batch 1 --accumulate 12 --eval-batches 120 --recompute block",
                   }));
}

TEST(Ladder, NeverTakesBackARecomputationThatWasAskedFor) {
  RunOptions run = run_of(2, 1);
  run.recompute = "mlp";
  for (Rung const& r : ladder(run, 64, Ladder::same_context)) EXPECT_NE(r.run.recompute, "none");
}

TEST(Ladder, OfARunThatIsThereChangesRecomputationAlone) {
  RunOptions const run = run_of(12, 3);
  auto const rungs = ladder(run, 64, Ladder::recompute_only);
  ASSERT_EQ(rungs.size(), 3u);
  for (Rung const& r : rungs) EXPECT_EQ(r.run.batch, 12);
  EXPECT_EQ(rungs.back().run.recompute, "block");
}

TEST(Ladder, ShortensTheContextOnlyWhereAskedAndKeepsTheTokensOfAStep) {
  RunOptions const run = run_of(4, 1);
  auto const rungs = ladder(run, 256, Ladder::shorter_context);
  std::set<int64_t> contexts;
  for (Rung const& r : rungs) {
    contexts.insert(r.context);
    EXPECT_EQ(r.run.batch * r.run.accumulate * r.context, 4 * 256);
  }
  EXPECT_EQ(contexts, (std::set<int64_t>{32, 64, 128, 256}));
  EXPECT_EQ(rungs.front().context, 256);
  EXPECT_TRUE(std::ranges::is_sorted(rungs, std::greater{}, &Rung::context)) << "the context is the last to go";
}

TEST(Largest, IsTheLastThatFits) {
  for (int64_t most : {1, 2, 7, 64, 1000})
    for (int64_t last = 0; last <= most; last += 1 + most / 50)
      EXPECT_EQ(largest(most, [&](int64_t n) { return n <= last; }), last) << most;
  EXPECT_EQ(largest(100, [](int64_t) { return true; }), 100);
}

TEST(RunTime, CountsEvaluationsAndSavesAsTheLoopMakesThem) {
  StepTimes const times{.step = 2, .evaluation_batch = 0.5};
  for (int64_t const steps : {1, 249, 250, 1000, 1100, 1650})
    for (int64_t const from : {0, 100, 250, 300})
      for (int64_t const checkpoint : {300, 550, 5000}) {
        if (from >= steps) continue;
        RunOptions o;
        o.steps = steps, o.eval_every = 250, o.checkpoint_every = checkpoint;
        int64_t evaluations = from == 0, saves = 0;
        for (int64_t s = from + 1; s <= steps; ++s) {
          bool const evaluates = s == steps || s % 250 == 0;
          evaluations += evaluates, saves += evaluates || s % checkpoint == 0;
        }
        RunTime const r = run_time(o, from, times, 40, 3);
        EXPECT_EQ(r.evaluations, evaluations) << from << " to " << steps;
        EXPECT_EQ(r.saves, saves) << from << " to " << steps << ", every " << checkpoint;
        EXPECT_EQ(r.total(), 2.0 * double(steps - from) + 0.5 * 40 * double(evaluations) + 3.0 * double(saves));
      }
}

TEST(StepTime, IsMeasuredOnOneBlockWithoutWhatItLacks) {
  auto const backend = make_reference_backend();
  TrainerOptions o{.config = {.layers = 3,
                              .heads = 2,
                              .channels = 8,
                              .vocab = 13,
                              .context = 6,
                              .bias = true,
                              .tied = true,
                              .dropout = {}},
                   .dtype = DType::f64,
                   .batch = 2,
                   .accumulate = 3,
                   .length = 6,
                   .chunk = 5,
                   .optimizer = {},
                   .groups = {group_from("h.2.*: rate 0.5")},
                   .decide = {},
                   .classifier = {}};
  TrainerOptions const small = measured_options(*backend, o);
  EXPECT_EQ(small.config.layers, 1);
  EXPECT_LT(bytes_of(Trainer::plan(*backend, small)), bytes_of(Trainer::plan(*backend, o)));
  StepTimes const t = measure_step(*backend, o, 0.01);
  EXPECT_GE(t.steps, 1);
  EXPECT_GT(t.step, 0);
  EXPECT_GT(t.evaluation_batch, 0);
  EXPECT_LT(t.evaluation_batch, t.step) << "a forward pass against three of forward and backward";
}

}  // namespace
}  // namespace folio::train

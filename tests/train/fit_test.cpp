// The ladder of --fit: what each rung must leave as it is, and the order of the rungs. And how a run's evaluations and
// saves are counted for its end.
#include "train/fit.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/room.h"
#include "model/sizes.h"
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
  RunOptions run = run_of(6, 2);
  run.save = "foreground";
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

std::vector<std::string> flags_of_rungs(RunOptions const& run, Ladder kind) {
  std::vector<std::string> flags;
  for (Rung const& r : ladder(run, 64, kind)) flags.push_back(flags_of(r, run, 64));
  return flags;
}

TEST(Ladder, GivesUpTheSnapshotBeforeAnythingElse) {
  EXPECT_EQ(flags_of_rungs(run_of(2, 1), Ladder::same_context),
            (std::vector<std::string>{
                "",
                "--save foreground",
                "--batch 1 --accumulate 2 --eval-batches 40",
                "--batch 1 --accumulate 2 --eval-batches 40 --save foreground",
                "--recompute mlp",
                "--save foreground --recompute mlp",
                "--batch 1 --accumulate 2 --eval-batches 40 --recompute mlp",
                "--batch 1 --accumulate 2 --eval-batches 40 --save foreground --recompute mlp",
                "--recompute block",
                "--save foreground --recompute block",
                "--batch 1 --accumulate 2 --eval-batches 40 --recompute block",
                "--batch 1 --accumulate 2 --eval-batches 40 --save foreground --recompute block",
            }));
}

TEST(Ladder, OfARunThatIsThereChangesWhatKeepsItsBitsAlone) {
  EXPECT_EQ(flags_of_rungs(run_of(12, 3), Ladder::same_bits),
            (std::vector<std::string>{"", "--save foreground", "--recompute mlp", "--save foreground --recompute mlp",
                                      "--recompute block", "--save foreground --recompute block"}));
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
        RunTime const r = run_time(o, from, times, 40, {.held_up = 3});
        EXPECT_EQ(r.evaluations, evaluations) << from << " to " << steps;
        EXPECT_EQ(r.saves, saves) << from << " to " << steps << ", every " << checkpoint;
        EXPECT_EQ(r.total(), 2.0 * double(steps - from) + 0.5 * 40 * double(evaluations) + 3.0 * double(saves));
      }
}

TEST(RunTime, CountsStatisticsSamplesAndVerifiedSteps) {
  StepTimes const times{.step = 2, .statistics = 0.25, .sample = 5};
  RunOptions o;
  o.steps = 1000, o.stats_every = 300, o.sample_every = 400, o.verify_step = 90;
  for (int64_t const from : {0, 100, 400, 999}) {
    int64_t statistics = 0, samples = 0, verified = 0;
    for (int64_t s = from + 1; s <= o.steps; ++s)
      statistics += s % 300 == 0, samples += s % 400 == 0, verified += s % 90 == 0;
    RunTime const r = run_time(o, from, times, 0, {});
    EXPECT_EQ(r.statistics, statistics);
    EXPECT_EQ(r.samples, samples);
    EXPECT_EQ(r.total(), 2.0 * double(o.steps - from + verified) + 0.25 * double(statistics) + 5.0 * double(samples));
  }
  o.stats_every = 0;
  EXPECT_EQ(run_time(o, 0, times, 0, {}).statistics, 0) << "never";
}

TEST(RunTime, ASaveInTheBackgroundHoldsUpWhatItCopiesAndTheLastAllOfIt) {
  StepTimes const times{.step = 2};
  RunOptions o;
  o.steps = 1000, o.eval_every = 250, o.checkpoint_every = 250;  // four saves, 500 s from each to the next
  EXPECT_EQ(run_time(o, 0, times, 0, {.held_up = 3, .behind = 60}).in_saves, 4 * 3 + 60);
  EXPECT_EQ(run_time(o, 0, times, 0, {.held_up = 3, .behind = 600}).in_saves, 4 * 3 + 3 * 100 + 600)
      << "each of the others waits for the one before";
  EXPECT_EQ(run_time(o, 0, times, 0, {.held_up = 60}).in_saves, 4 * 60) << "in the foreground";
}

TEST(StepTime, IsMeasuredOnAsManyBlocksAsLittleMemoryHolds) {
  auto const backend = make_cpu_backend();
  RunOptions run;
  auto const blocks = [&](char const* size, int64_t vocab, int64_t batch) {
    model::Config const config = model::ModelOptions{.size = size}.config(vocab);
    run.batch = batch, run.verify_step = 10;
    TrainerOptions const o = trainer_options(run, config, config.context), small = measured_options(*backend, o);
    EXPECT_EQ(small.batch, batch) << "no more than 4,096 tokens";
    EXPECT_FALSE(small.verify);
    size_t const bytes = bytes_of(Trainer::plan(*backend, small));
    EXPECT_LT(bytes, bytes_of(Trainer::plan(*backend, o)));
    EXPECT_TRUE(small.config.layers == 1 || bytes <= size_t{512} << 20) << bytes;
    return small.config.layers;
  };
  EXPECT_EQ(blocks("124M", 50257, 4), 1) << "the embedding alone is larger";
  EXPECT_GT(blocks("baby", 65, 12), 1);
  EXPECT_LT(blocks("baby", 65, 12), 6);
}

TEST(StepTime, IsMeasuredOnFewerSequencesWhereAPassIsLong) {
  auto const backend = make_cpu_backend();
  auto const sequences = [&](char const* size, int64_t batch) {
    model::Config const config = model::ModelOptions{.size = size}.config(50257);
    RunOptions run;
    run.batch = batch;
    return measured_options(*backend, trainer_options(run, config, config.context)).batch;
  };
  EXPECT_EQ(sequences("baby", 64), 16) << "4,096 tokens";
  EXPECT_EQ(sequences("124M", 8), 4) << "10^12 operations";
  EXPECT_EQ(sequences("1558M", 8), 1);
}

TEST(StepTime, IsMeasuredWithoutWhatFewerBlocksLack) {
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
  EXPECT_EQ(small.config.layers, 3) << "a small model, all of it";
  EXPECT_TRUE(small.groups.empty());
  RunOptions run;
  int64_t asked = 0, written = 0;
  auto const writer = [&](model::Weights const& weights, int64_t tokens) {
    EXPECT_EQ(weights.blocks.size(), 3u);
    asked = tokens;
    return [&] { ++written; };
  };
  StepTimes const t = measure_step(*backend, run, o, writer, 0.01);
  EXPECT_EQ(written, 0) << "a run without samples";
  run.sample_every = 5, run.sample_tokens = 20;
  EXPECT_GE(measure_step(*backend, run, o, writer, 0.01).sample, 0);
  EXPECT_GT(written, 0);
  EXPECT_EQ(asked, 20);
  EXPECT_EQ(t.blocks, 3);
  EXPECT_GE(t.statistics, 0);
  EXPECT_GT(t.copy_rate, 0);
  EXPECT_GE(t.steps, 1);
  EXPECT_GT(t.step, 0);
  EXPECT_GT(t.evaluation_batch, 0);
  auto const evaluates_sooner = [&] {
    StepTimes const again = measure_step(*backend, run, o, writer, 0.01);
    return again.evaluation_batch < again.step;
  };
  bool sooner = t.evaluation_batch < t.step;
  for (int tries = 0; !sooner && tries < 20; ++tries)
    sooner = evaluates_sooner();  // the machine may pause in so little
  EXPECT_TRUE(sooner) << "a forward pass against three of forward and backward";
}

}  // namespace
}  // namespace folio::train

// Bad steps planted in short runs: each is caught, which policy cures what, and a run that went back is the same
// however often it was stopped or killed. planted_long_test is the drill whose figures docs/numerics.md has.
#include "tests/support/planted.h"

#include <fstream>

#include "tests/support/failing_calls.h"
#include "tests/support/files.h"

namespace folio::test {
namespace {

constexpr int64_t kSteps = 260;

// A checkpoint is removed under another name.
int no_removal(std::string_view what, Path const& to) {
  return what == "rename" && to.filename().string().starts_with(".step-") ? EIO : 0;
}

class PlantedRun : public testing::Test {
 protected:
  PlantedRun() {
    prepare(speeches(), folder / "clean");
    prepare(with_garbage(speeches(), {9000, 17000, 21000}, 120), folder / "garbage");
    drill.config = {.layers = 2, .heads = 2, .channels = 32, .vocab = 1, .context = 48, .dropout = {}};
    train::RunOptions& o = drill.options;
    o.steps = o.eval_every = kSteps, o.batch = 1, o.checkpoint_every = 40, o.stats_every = 0;
    o.schedule.lr = 3e-3, o.schedule.min_lr = 3e-4, o.schedule.warmup = 20;
  }
  DrillRun go(std::string const& out, std::string const& data = "clean", Planted const& plan = {}) {
    return DrillRun(drill, folder / data, folder / out, plan);
  }
  void expect_same(std::string const& a, std::string const& b) {
    Path const one = last_checkpoint(folder / a), two = last_checkpoint(folder / b);
    ASSERT_EQ(one.filename(), two.filename());
    for (char const* file : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(read_file(one / file) == read_file(two / file)) << file << " of " << a << " and " << b;
    Json states[2] = {read_json(one / "state.json"), read_json(two / "state.json")};
    for (Json& state : states)
      for (char const* key : {"seconds", "longest", "metrics_bytes"}) state.erase(key);
    EXPECT_TRUE(states[0] == states[1]) << "state.json of " << a << " and " << b;
    EXPECT_TRUE(log_of(folder / a) == log_of(folder / b)) << "metrics.jsonl of " << a << " and " << b;
  }
  std::vector<int64_t> garbage(int64_t batches) {
    data::Dataset const planted(folder / "garbage"), clean(folder / "clean");
    auto found = garbage_batches(planted, clean, batcher_options(drill.options, drill.config.context), batches);
    std::erase_if(found, [](int64_t n) { return n < kLeastScored; });  // nothing is called a spike yet
    EXPECT_GE(found.size(), 2u);
    return found;
  }

  ScratchFolder folder;
  Drill drill;
};

TEST_F(PlantedRun, GarbageIsRefusedByItsScoreAndNothingElseIs) {
  drill.options.on_spike = "skip";
  DrillRun const clean = go("clean-run"), run = go("run", "garbage");
  EXPECT_TRUE(clean.spikes.empty()) << "a false alarm at step " << clean.spikes[0].step;
  auto const planted = garbage(kSteps);
  for (int64_t const n : planted) {
    EXPECT_NE(std::ranges::find(run.spike_batches, n), run.spike_batches.end()) << "batch " << n << " was taken";
  }
  for (train::Spike const& s : run.spikes) EXPECT_FALSE(s.accepted);
  EXPECT_EQ(run.state.step_state.accepted, kSteps - int64_t(run.spikes.size()));
  EXPECT_EQ(run.state.step_state.non_finite, 0);
  EXPECT_TRUE(run.rollbacks.empty());
  EXPECT_NEAR(run.val, clean.val, 0.1);
}

TEST_F(PlantedRun, WarnedOfItIsTakenAndTheNextIsStillSeen) {
  DrillRun const run = go("run", "garbage");
  auto const planted = garbage(kSteps);
  for (int64_t const n : planted)
    EXPECT_NE(std::ranges::find(run.spike_batches, n), run.spike_batches.end()) << "batch " << n;
  for (train::Spike const& s : run.spikes) EXPECT_TRUE(s.accepted);
  EXPECT_EQ(run.state.step_state.accepted, kSteps);
}

TEST_F(PlantedRun, GoesBackOverGarbageTheSameHoweverOftenItEnds) {
  drill.options.on_spike = "rollback";
  DrillRun const run = go("run", "garbage");
  ASSERT_FALSE(run.rollbacks.empty());
  EXPECT_EQ(run.rollbacks.size(), run.spikes.size());
  EXPECT_EQ(run.state.step, kSteps);
  EXPECT_EQ(run.state.step_state.accepted, kSteps) << "a step that was not taken is left on the path";
  EXPECT_EQ(run.state.rollbacks.size(), run.rollbacks.size());
  for (train::Rollback const& r : run.rollbacks) {
    EXPECT_EQ(r.to % 40, 0);
    EXPECT_GE(r.skipped, r.step - r.to);
  }
  (void)go("again", "garbage");
  expect_same("run", "again");
  for (int64_t const after : {70, 130, 200}) (void)go("stopped", "garbage", {.stop_after = after});
  (void)go("stopped", "garbage");
  expect_same("run", "stopped");
  EXPECT_THROW(go("seen", "garbage", {.leave_at_spike = true}), DrillRun::Left);
  (void)go("seen", "garbage");
  expect_same("run", "seen");
  for (size_t i = 0; i < run.rollbacks.size(); ++i)  // some steps behind each, which are made again
    EXPECT_THROW(go("on-its-way", "garbage", {.leave_behind = 7}), DrillRun::Left) << i;
  (void)go("on-its-way", "garbage");
  expect_same("run", "on-its-way");
  // Stopped just before a bad step, the run has a checkpoint there that the others have not.
  (void)go("asked", "garbage", {.stop_after = run.rollbacks[0].step - 1});
  (void)go("asked", "garbage");
  expect_same("run", "asked");
  for (size_t i = 0; i < run.rollbacks.size(); ++i)  // killed behind each rollback, before another checkpoint
    EXPECT_THROW(go("killed", "garbage", {.leave_at_rollback = true}), DrillRun::Left) << i;
  (void)go("killed", "garbage");
  expect_same("run", "killed");
}

TEST_F(PlantedRun, KilledWithinARollbackGoesBackAllTheSame) {
  drill.options.on_nonfinite = "rollback";
  drill.options.checkpoint_every = 20, drill.options.keep = 4;
  Planted const poisoned = {.poison_after = 100};  // before step 100 is saved: that checkpoint is poisoned too
  DrillRun const run = go("run", "clean", poisoned);
  ASSERT_EQ(run.rollbacks.size(), 2u);
  EXPECT_EQ(run.rollbacks[0].to, 100);
  EXPECT_EQ(run.rollbacks[1].to, 80) << "the checkpoint held what made the step bad";
  EXPECT_EQ(run.rollbacks[1].in_a_row, 2);
  EXPECT_TRUE(std::isfinite(run.val));
  set_io_hook([&](std::string_view what, Path const& to) {  // what is removed gets another name first
    return what == "rename" && to.filename().string().starts_with(".step-00000100.tmp") ? EIO : 0;
  });
  EXPECT_THROW(go("killed", "clean", poisoned), Error);
  set_io_hook({});
  EXPECT_TRUE(std::filesystem::exists(folder / "killed" / "checkpoints" / "step-00000100"));
  (void)go("killed");  // the weight is poisoned in step 100 alone, which it goes back over
  expect_same("run", "killed");
}

TEST_F(PlantedRun, APoisonedWeightIsCuredByGoingBackAlone) {
  DrillRun const clean = go("clean-run");
  drill.options.checkpoint_every = 1;
  Thrown const ended = thrown_by([&] { go("skipped", "clean", {.poison_after = 110}); });
  drill.options.checkpoint_every = 40;
  EXPECT_EQ(ended.fault, int(Fault::diverged));
  EXPECT_NE(ended.sentence.find("in 5 steps in a row, up to step 115: h.0.attn.c_attn.weight holds"), std::string::npos)
      << ended.sentence;
  EXPECT_EQ(train::checkpoint_steps(folder / "skipped"), (std::vector<int64_t>{109, 110}))
      << "what was refused takes the place of what may be sound";
  drill.options.on_nonfinite = "abort";
  Thrown const aborted = thrown_by([&] { go("aborted", "clean", {.poison_after = 110}); });
  EXPECT_EQ(aborted.fault, int(Fault::diverged));
  EXPECT_NE(aborted.sentence.find("step 111 is not finite, and --on-nonfinite abort"), std::string::npos);
  drill.options.on_nonfinite = "rollback";
  DrillRun const cured = go("cured", "clean", {.poison_after = 110});
  ASSERT_EQ(cured.rollbacks.size(), 1u);
  EXPECT_EQ(cured.rollbacks[0].step, 111);
  EXPECT_EQ(cured.rollbacks[0].to, 80);
  EXPECT_EQ(cured.rollbacks[0].why, "not-finite");
  EXPECT_EQ(cured.rollbacks[0].skipped, 31);
  EXPECT_NEAR(cured.val, clean.val, 0.1);
}

TEST_F(PlantedRun, BrokenWeightsThatWriteNoSampleAreLeftToThePolicy) {
  drill.options.on_nonfinite = "rollback";
  DrillRun const without = go("without", "clean", {.poison_after = 110});
  drill.options.sample_every = 1;
  DrillRun const cured = go("cured", "clean", {.poison_after = 110});
  ASSERT_EQ(cured.rollbacks.size(), 1u);
  EXPECT_EQ(cured.samples, 109 + kSteps - 80) << "after each step but the one that broke the weights";
  for (char const* file : {"model.safetensors", "optimizer.safetensors"})
    EXPECT_TRUE(read_file(Path(last_checkpoint(folder / "without")) / file) ==
                read_file(Path(last_checkpoint(folder / "cured")) / file));
  drill.options.on_nonfinite = "skip";
  Thrown const ended = thrown_by([&] { go("skipped", "clean", {.poison_after = 110}); });
  EXPECT_EQ(ended.fault, int(Fault::diverged)) << ended.sentence;
}

TEST_F(PlantedRun, AFullDiskThatHasNoRoomForTheBadStepDoesNotEndTheRun) {
  drill.options.on_nonfinite = "rollback";
  set_io_hook([&](std::string_view, Path const& to) {
    return to.filename().string().find("not-finite") != std::string::npos ? ENOSPC : 0;
  });
  DrillRun const cured = go("cured", "clean", {.poison_after = 110});
  set_io_hook({});
  EXPECT_EQ(cured.rollbacks.size(), 1u);
  EXPECT_TRUE(std::isfinite(cured.val));
  for (auto const& entry : std::filesystem::directory_iterator(folder / "cured"))
    EXPECT_EQ(entry.path().filename().string().find("not-finite"), std::string::npos) << entry.path();
}

TEST_F(PlantedRun, TheBestThatWasRotatedAwayBeforeTheRunWentBackIsForgotten) {
  drill.options.on_spike = "rollback";
  drill.options.spike_score = 2;
  drill.options.eval_every = drill.options.checkpoint_every = 5;
  drill.options.schedule.lr = drill.options.schedule.min_lr = 0.02;
  for (uint64_t const seed : {1, 3}) {
    std::string const name = "run-" + std::to_string(seed);
    drill.options.seed = seed;
    try {
      (void)go(name);
    } catch (Error const& e) {  // it may come no further
      ASSERT_EQ(e.fault, Fault::diverged);
    }
    auto const state = read_json(Path(last_checkpoint(folder / name)) / "state.json");
    ASSERT_FALSE(state["rollbacks"].empty());
    if (state["best"].is_null()) continue;
    EXPECT_TRUE(is_directory(train::checkpoint_path(folder / name, state["best"]["step"].get<int64_t>())))
        << name << " " << state["best"].dump();
  }
}

TEST_F(PlantedRun, WhatASaveThatWasKilledDidNotRotateGoesWhenTheRunGoesOn) {
  drill.options.checkpoint_every = 20, drill.options.keep = 4;
  (void)go("run", "clean", {.stop_after = 80});
  EXPECT_EQ(train::checkpoint_steps(folder / "run"), (std::vector<int64_t>{20, 40, 60, 80}));
  std::filesystem::copy(folder / "run", folder / "held", std::filesystem::copy_options::recursive);
  drill.options.keep = 2;
  (void)go("run", "clean", {.stop_after = 1});
  EXPECT_EQ(train::checkpoint_steps(folder / "run"), (std::vector<int64_t>{60, 80, 81}));
  set_io_hook(no_removal);
  EXPECT_EQ(go("held", "clean", {.stop_after = 1}).state.step, 81) << "as within a run: said, and tried again";
  set_io_hook({});
  EXPECT_EQ(train::checkpoint_steps(folder / "held"), (std::vector<int64_t>{20, 40, 60, 80, 81}));
}

TEST_F(PlantedRun, KilledBeforeItsNewerCheckpointsWereRemovedItGoesBackWhateverItKeepsNow) {
  drill.options.checkpoint_every = 5, drill.options.keep = 8;
  (void)go("run", "clean", {.stop_after = 100});
  std::ofstream(folder / "run/metrics.jsonl", std::ios::app)
      << dump(to_json(
             train::Rollback{.step = 101, .to = 80, .why = "spike", .in_a_row = 1, .skipped = 21, .data = {0, 110}}))
      << "\n";
  for (char const* copy : {"less", "without", "cut", "damaged"})
    std::filesystem::copy(folder / "run", folder / copy, std::filesystem::copy_options::recursive);
  EXPECT_EQ(go("run").state.rollbacks.size(), 1u);
  drill.options.keep = 2;
  DrillRun const less = go("less");
  EXPECT_EQ(less.state.rollbacks.size(), 1u);
  for (char const* file : {"model.safetensors", "optimizer.safetensors"})
    EXPECT_TRUE(read_file(Path(last_checkpoint(folder / "run")) / file) ==
                read_file(Path(last_checkpoint(folder / "less")) / file));
  for (int64_t const step : train::checkpoint_steps(folder / "without"))
    if (step <= 80) std::filesystem::remove_all(train::checkpoint_path(folder / "without", step));
  DrillRun const on = go("without");
  EXPECT_TRUE(on.state.rollbacks.empty()) << "nothing is there to go back to";
  EXPECT_EQ(on.state.step, kSteps);

  // The one it had gone back to alone is not there: to the one before, and what lies behind is of a path that was left.
  write_file(train::checkpoint_path(folder / "cut", 80) / "model.safetensors", "cut");
  (void)go("cut", "clean", {.stop_after = 1});
  EXPECT_EQ(train::checkpoint_steps(folder / "cut"), (std::vector<int64_t>{65, 70, 75, 76}));
  for (int64_t const step : {65, 70, 75, 80})
    write_file(train::checkpoint_path(folder / "damaged", step) / "model.safetensors", "cut");
  EXPECT_EQ(go("damaged", "clean", {.stop_after = 1}).state.step, 101) << "none is whole: on from the newest";
}

TEST_F(PlantedRun, WhereNoDueCheckpointIsWholeTheStepIsPassedOver) {
  drill.options.on_spike = "rollback", drill.options.keep = 8;
  (void)go("run", "clean", {.stop_after = 149});
  for (int64_t const step : {40, 80, 120})
    write_file(train::checkpoint_path(folder / "run", step) / "model.safetensors", "cut");
  DrillRun const run = go("run", "clean", {.burst_after = 150});
  EXPECT_FALSE(run.spikes.empty());
  EXPECT_TRUE(run.rollbacks.empty());
  EXPECT_EQ(run.state.step, kSteps);
}

TEST_F(PlantedRun, ACallThatIsRefusedWhenItHasLoadedLeavesTheRunAsItWas) {
  drill.options.checkpoint_every = 5, drill.options.keep = 8;
  (void)go("run", "clean", {.stop_after = 53});
  auto const before = tree_of(folder / "run");
  drill.options.keep = 2;
  EXPECT_EQ(thrown_by([&] { go("run", "clean", {.refuse = true}); }).sentence, "refused");
  EXPECT_EQ(tree_of(folder / "run"), before);
}

TEST_F(PlantedRun, WhereTheDueCheckpointIsDamagedItGoesBackToTheDueOneBefore) {
  drill.options.on_nonfinite = "rollback", drill.options.keep = 8;
  (void)go("run", "clean", {.stop_after = 60});
  (void)go("run", "clean", {.stop_after = 30});
  ASSERT_EQ(train::checkpoint_steps(folder / "run"), (std::vector<int64_t>{40, 60, 80, 90}));
  write_file(train::checkpoint_path(folder / "run", 80) / "model.safetensors", "damaged");
  DrillRun const run = go("run", "clean", {.poison_after = 110});
  ASSERT_EQ(run.rollbacks.size(), 1u);
  EXPECT_EQ(run.rollbacks[0].to, 40) << "60 was asked for";
}

TEST_F(PlantedRun, ABurstOfTheRateIsCuredByGoingBack) {
  DrillRun const clean = go("clean-run");
  drill.options.on_spike = "rollback";
  DrillRun const cured = go("cured", "clean", {.burst_after = 150});
  ASSERT_FALSE(cured.rollbacks.empty());
  EXPECT_EQ(cured.rollbacks[0].to, 120);
  EXPECT_LE(cured.rollbacks[0].step, 156);
  EXPECT_NEAR(cured.val, clean.val, 0.1);
}

TEST_F(PlantedRun, ABurstIsSeenUnderEveryPolicyAndTheRunGoesOn) {
  for (char const* policy : {"warn", "skip"}) {
    drill.options.on_spike = policy;
    DrillRun const run = go(policy, "clean", {.burst_after = 150});
    ASSERT_FALSE(run.spikes.empty()) << policy;
    EXPECT_GT(run.spikes[0].step, 151);
    EXPECT_LE(run.spikes[0].step, 156);
    EXPECT_TRUE(run.rollbacks.empty());
    EXPECT_EQ(run.state.step, kSteps);
    EXPECT_EQ(run.state.step_state.accepted, kSteps - std::ranges::count(run.spikes, false, &train::Spike::accepted));
    EXPECT_EQ(run.spikes[0].accepted, std::string(policy) == "warn");
  }
}

TEST_F(PlantedRun, WhereTheOnlyCheckpointIsPoisonedItEndsAndSaysWhy) {
  drill.options.on_nonfinite = "rollback", drill.options.checkpoint_every = 100;
  Thrown const ended = thrown_by([&] { go("run", "clean", {.poison_after = 100}); });
  EXPECT_EQ(ended.fault, int(Fault::diverged));
  EXPECT_NE(ended.sentence.find("step 101 failed at about the place"), std::string::npos) << ended.sentence;
  EXPECT_NE(ended.sentence.find("h.0.attn.c_attn.weight holds values that are not finite"), std::string::npos)
      << ended.sentence;
}

TEST_F(PlantedRun, WithoutACheckpointYetTheStepIsSkipped) {
  drill.options.on_nonfinite = "rollback";
  EXPECT_EQ(thrown_by([&] { go("run", "clean", {.poison_after = 10}); }).fault, int(Fault::diverged))
      << "a weight that stays poisoned, and nothing to go back to";
  drill.options.on_nonfinite = "skip", drill.options.on_spike = "rollback";
  drill.options.checkpoint_every = 1000;
  DrillRun const run = go("skipped", "garbage");
  EXPECT_FALSE(run.spikes.empty());
  EXPECT_TRUE(run.rollbacks.empty());
  EXPECT_EQ(run.state.step_state.accepted, kSteps - int64_t(run.spikes.size()));
}

// It has a checkpoint then that the run left alone has not, and must not go back to it.
TEST_F(PlantedRun, StoppedBeforeItsFirstDueCheckpointItIsTheRunLeftAlone) {
  drill.options.on_spike = "rollback", drill.options.checkpoint_every = 1000;
  DrillRun const never = go("never", "garbage");
  ASSERT_GE(never.spikes.size(), 2u);
  ASSERT_LT(never.spikes[0].step, never.spikes[1].step - 5);
  for (int64_t const every : {int64_t{1000}, never.spikes[1].step - 5}) {  // later spikes go back, the first does not
    drill.options.checkpoint_every = every;
    DrillRun const run = go(fmt::format("run-{}", every), "garbage");
    EXPECT_EQ(run.rollbacks.empty(), every == 1000);
    std::string const cut = fmt::format("cut-{}", every), asked = fmt::format("asked-{}", every);
    (void)go(cut, "garbage", {.cut_evaluation = 1});
    ASSERT_EQ(train::checkpoint_steps(folder / cut), std::vector<int64_t>{0});
    (void)go(cut, "garbage");
    expect_same(fmt::format("run-{}", every), cut);
    (void)go(asked, "garbage", {.stop_after = never.spikes[0].step - 1});
    (void)go(asked, "garbage");
    expect_same(fmt::format("run-{}", every), asked);
  }
}

TEST_F(PlantedRun, StoppedBeforeItsFirstDueCheckpointAPoisonedWeightEndsItAllTheSame) {
  drill.options.on_nonfinite = "rollback", drill.options.checkpoint_every = 1000;
  Planted const poisoned = {.poison_after = 110};
  Thrown const alone = thrown_by([&] { go("run", "clean", poisoned); });
  (void)go("asked", "clean", {.stop_after = 100});
  Thrown const ended = thrown_by([&] { go("asked", "clean", poisoned); });
  EXPECT_EQ(ended.fault, int(Fault::diverged));
  EXPECT_EQ(ended.sentence, alone.sentence);
  EXPECT_NE(ended.sentence.find("up to step 115: h.0.attn.c_attn.weight holds values that are not finite, and no later "
                                "step mends a weight; no checkpoint was due before that"),
            std::string::npos)
      << ended.sentence;
  EXPECT_EQ(train::checkpoint_steps(folder / "asked"), std::vector<int64_t>{100});
}

// One that was asked for while steps are refused lies at a multiple of the period, and would not be there either.
TEST_F(PlantedRun, WhatWasAskedForWhileStepsAreRefusedIsNotGoneBackTo) {
  drill.options.checkpoint_every = 40;
  (void)go("run", "clean", {.poison_after = 77, .stop_after = 80});
  auto directory = train::RunDirectory::open(folder / "run");
  EXPECT_EQ(train::checkpoint_steps(folder / "run"), (std::vector<int64_t>{40, 80}));
  EXPECT_TRUE(train::was_due(directory, 40, 40));
  EXPECT_FALSE(train::was_due(directory, 80, 40));
  EXPECT_TRUE(train::was_due(directory, 40, 1000)) << "when it was saved";
}

TEST_F(PlantedRun, EndsWhereGoingBackBringsItNoFurther) {
  drill.options.on_spike = "rollback";
  drill.options.spike_score = 0.5;  // ordinary noise
  Thrown const ended = thrown_by([&] { go("run"); });
  EXPECT_EQ(ended.fault, int(Fault::diverged));
  EXPECT_NE(ended.sentence.find("where 8 rollbacks had gone back from before"), std::string::npos) << ended.sentence;
}

}  // namespace
}  // namespace folio::test

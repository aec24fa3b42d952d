// The drill of docs/durability.md: ten runs, each with garbage in its text, a weight that is poisoned and a burst of
// the rate, beside the same runs without. All is caught, nothing else is, each ends where the clean one does, and each
// has the same bits when it is repeated, stopped once and killed once.
#include "tests/support/planted.h"
#include "train/history.h"

namespace folio::test {
namespace {

constexpr int64_t kSteps = 1500, kRuns = 10, kWithin = 10;

class PlantedLong : public testing::Test {
 protected:
  Drill drill(uint64_t seed, char const* on_spike) const {
    Drill d;
    d.config = {.layers = 2, .heads = 2, .channels = 64, .vocab = 1, .context = 256, .dropout = {}};
    d.options.steps = kSteps, d.options.batch = 1, d.options.seed = seed;
    d.options.schedule.lr = 2e-3, d.options.schedule.min_lr = 2e-4, d.options.schedule.warmup = 50;
    d.options.eval_every = kSteps, d.options.eval_batches = "all", d.options.stats_every = 0;
    d.options.checkpoint_every = 50, d.options.keep = 4;
    d.options.on_spike = on_spike, d.options.on_nonfinite = "rollback";
    return d;
  }
  // The same run, stopped once and killed behind its first rollback. What is planted happens once, in whatever process.
  void interrupted(Drill const& d, Path const& out, Planted plan, int64_t stop) const {
    Planted stopped = plan, killed = plan;
    stopped.stop_after = stop, killed.leave_at_rollback = true;
    EXPECT_EQ(DrillRun(d, folder / "garbage", out, stopped).outcome, train::Outcome::stopped);
    EXPECT_THROW(DrillRun(d, folder / "garbage", out, killed), DrillRun::Left);
    if (train::read_history(out / "metrics.jsonl").rollbacks.back().why == "not-finite") plan.poison_after = 0;
    EXPECT_EQ(DrillRun(d, folder / "garbage", out, plan).state.step, kSteps);
  }
  static double score_at(DrillRun const& run, train::Rollback const& burst) {
    double score = 0;
    for (train::Spike const& s : run.spikes)
      if (s.step == burst.step) score = s.score;
    return score;
  }
  ScratchFolder folder;
};

TEST_F(PlantedLong, EveryBadStepOfTenRunsIsCaughtAndNothingIsLost) {
  auto const all = plays();
  if (!all) GTEST_SKIP() << "the plays of set-up are not there: scripts/bootstrap places them";
  std::string const text = all->substr(0, 400'000);
  prepare(text, folder / "clean"), prepare(with_garbage(text, {60'000, 200'000, 340'000}, 520), folder / "garbage");
  data::Dataset const planted(folder / "garbage"), clean_data(folder / "clean");
  fmt::print(
      "| run | batches of garbage: caught, least score | weight is NaN after, caught at, back to | burst after, caught "
      "at, "
      "score, back to | rollbacks | loss | clean | difference |\n");
  fmt::print("|---|---|---|---|---|---|---|---|\n");
  double worst = 0;
  for (int64_t n = 0; n < kRuns; ++n) {
    auto const at = [&](char const* what) { return folder / fmt::format("{}-{}", what, n); };
    Planted const plan = {.poison_after = 420 + 37 * n, .burst_after = 900 + 41 * n};
    DrillRun const clean(drill(uint64_t(n + 1), "warn"), folder / "clean", at("clean"), {});
    EXPECT_TRUE(clean.spikes.empty()) << "a false alarm in run " << n << " at step " << clean.spikes[0].step;
    DrillRun const run(drill(uint64_t(n + 1), "rollback"), folder / "garbage", at("run"), plan);
    ASSERT_EQ(run.state.step, kSteps);

    auto const batches =
        garbage_batches(planted, clean_data, batcher_options(drill(uint64_t(n + 1), "warn").options, 256), run.read());
    int64_t caught = 0, to_catch = 0;
    double least = INFINITY;
    for (int64_t const batch : batches) {
      if (batch < kLeastScored || run.passed_over.contains(batch)) continue;
      ++to_catch;
      auto const seen = std::ranges::find(run.spike_batches, batch);
      if (seen == run.spike_batches.end()) continue;
      ++caught, least = std::min(least, run.spikes[size_t(seen - run.spike_batches.begin())].score);
    }
    EXPECT_EQ(caught, to_catch) << "run " << n;
    EXPECT_GE(to_catch, 2) << "run " << n;
    train::Rollback const *poisoned = nullptr, *burst = nullptr, *last = nullptr;  // the last that the burst led to
    for (train::Rollback const& r : run.rollbacks) {
      if (r.why == "not-finite") poisoned = &r;
      else if (plan.burst_after < r.step && r.step <= plan.burst_after + kWithin) burst = burst ? burst : &r, last = &r;
    }
    ASSERT_TRUE(poisoned) << "run " << n;
    ASSERT_TRUE(burst) << "run " << n;
    EXPECT_EQ(poisoned->step, plan.poison_after + 1);
    EXPECT_LE(last->to, plan.burst_after) << "what the burst has harmed was kept";
    EXPECT_LE(std::abs(run.val - clean.val), 0.03) << "run " << n;
    worst = std::max(worst, std::abs(run.val - clean.val));

    interrupted(drill(uint64_t(n + 1), "rollback"), at("again"), plan, 211 + 13 * n);
    for (char const* file : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(read_file(Path(last_checkpoint(at("run"))) / file) ==
                  read_file(Path(last_checkpoint(at("again"))) / file))
          << file << " of run " << n;
    EXPECT_TRUE(log_of(at("run")) == log_of(at("again"))) << "run " << n;
    fmt::print("| {} | {} of {}, {:.0f} | {}, {}, {} | {}, {}, {:.0f}, {} | {} | {:.4f} | {:.4f} | {:+.4f} |\n", n + 1,
               caught, to_catch, least, plan.poison_after, poisoned->step, poisoned->to, plan.burst_after, burst->step,
               score_at(run, *burst), last->to, run.rollbacks.size(), run.val, clean.val, run.val - clean.val);
    std::fflush(stdout);
    for (char const* what : {"clean", "run", "again"}) std::filesystem::remove_all(at(what));
  }
  fmt::print("the largest difference is {:.4f}\n", worst);
}

}  // namespace
}  // namespace folio::test

// The analysis of a run in numbers, and its phases, on curves whose answers are known.
#include <gtest/gtest.h>

#include "tests/support/logs.h"
#include "train/phases.h"
#include "train/summary.h"

namespace folio::train {
namespace {

EvalReport eval(int64_t step, double train, double val = NAN) {
  return {.step = step, .train = train, .val = val, .val_bits_per_byte = NAN};
}
StepReport step(int64_t n, double loss) { return {.step = n, .loss = loss, .norm = 1}; }

// A loss that falls by `gain` of itself with each tenth more steps.
std::vector<EvalReport> falling(double gain) {
  std::vector<EvalReport> evals = {eval(0, 10)};
  for (int64_t s = 100; s <= 2000; s += 100)
    evals.push_back(eval(s, 3 * std::pow(1.1, -gain * std::log(double(s) / 100) / std::log(1.1) / std::log(1.1))));
  return evals;
}

TEST(Phases, AreNamedByTheGainOfATenthMoreSteps) {
  struct Case {
    double gain;
    Phase phase;
  };
  for (Case const c : {Case{0.03, Phase::fast}, Case{0.01, Phase::steady}, Case{0.002, Phase::converging},
                       Case{0.0005, Phase::converged}, Case{-0.01, Phase::converged}}) {
    auto const phases = phases_of(falling(c.gain), NAN);
    ASSERT_EQ(phases.size(), 21u);
    EXPECT_EQ(phases[0].phase, Phase::start);
    EXPECT_EQ(phases.back().phase, c.phase) << c.gain << ", measured " << phases.back().gain;
    EXPECT_NEAR(phases.back().gain, c.gain, 0.15 * std::abs(c.gain));
  }
}

TEST(Phases, StartLastsWhileTheLossIsNearTheFirst) {
  auto const phases = phases_of({eval(0, 4), eval(10, 3.9), eval(20, 3), eval(30, 2)}, std::log(50.0));
  EXPECT_EQ(phases[1].phase, Phase::start);
  EXPECT_EQ(phases[2].phase, Phase::fast);
}

TEST(Phases, TheFirstFallIsFastAndNoneComesBack) {
  std::vector<EvalReport> evals = {eval(0, 4.18), eval(50, 3.09), eval(100, 2.73)};
  for (int64_t s = 150; s <= 400; s += 50) evals.push_back(eval(s, 2.73 - 0.3 * std::log(double(s) / 100)));
  auto const phases = phases_of(evals, std::log(65.0));
  EXPECT_EQ(phases[0].phase, Phase::start);
  EXPECT_EQ(phases[1].phase, Phase::fast);
  EXPECT_EQ(phases.back().phase, Phase::steady);
  for (size_t i = 1; i < phases.size(); ++i) EXPECT_GE(int(phases[i].phase), int(phases[i - 1].phase)) << evals[i].step;
}

TEST(Phases, ARunThatBeginsFarBelowGuessingHasNoStart) {
  std::vector<EvalReport> evals;
  for (int64_t s = 0; s <= 400; s += 40) evals.push_back(eval(s, 2.5));
  for (PhaseAt const& p : phases_of(evals, std::log(65.0))) EXPECT_EQ(p.phase, Phase::converged) << p.step;
  for (PhaseAt const& p : phases_of(evals, 2.5)) EXPECT_EQ(p.phase, Phase::start) << p.step;
}

TEST(Phases, PassOverWhatIsNotFiniteOrNotInOrder) {
  auto const phases = phases_of({eval(0, 4), eval(10, NAN), eval(20, 3), eval(20, 3), eval(5, 2)}, NAN);
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(phases[1].step, 20);
  EXPECT_TRUE(phases_of({}, NAN).empty());
}

TEST(RunSummary, CountsFromTheFirstEvaluationToTheBestAndTheLast) {
  History h;
  h.evals = {eval(0, 4, 4), eval(100, 2, 2.2), eval(200, 1.5, 2), eval(300, 1, 2.5)};
  for (int64_t s = 1; s <= 300; ++s) h.steps.push_back(step(s, 4 - 0.02 * double(std::min<int64_t>(s, 100))));
  Summary const s = summary_of(h);
  EXPECT_TRUE(s.judged_by_val);
  EXPECT_DOUBLE_EQ(s.first, 4);
  EXPECT_DOUBLE_EQ(s.best, 2);
  EXPECT_EQ(s.best_step, 200);
  EXPECT_DOUBLE_EQ(s.final, 2.5);
  EXPECT_DOUBLE_EQ(s.gap, 1.5);
  EXPECT_DOUBLE_EQ(s.removed, 0.5);
  // Half of the way is 3.0, which the steps pass at 50; their mean over ten steps 4.5 steps later.
  EXPECT_EQ(s.half_step, 55);
  EXPECT_EQ(s.last_step, 300);
}

TEST(RunSummary, WithoutValidationTheTrainingLossIsJudged) {
  History h;
  h.evals = {eval(0, 4), eval(100, 1)};
  Summary const s = summary_of(h);
  EXPECT_FALSE(s.judged_by_val);
  EXPECT_DOUBLE_EQ(s.best, 1);
  EXPECT_TRUE(std::isnan(s.gap));
  EXPECT_EQ(s.half_step, 100) << "without steps the evaluation says it";
}

TEST(RunSummary, NamesTheStepThatBroke) {
  History h;
  h.steps = {step(1, 4), step(2, 3), step(3, NAN), step(4, NAN)};
  h.steps[2].accepted = h.steps[3].accepted = false;
  Summary const s = summary_of(h);
  EXPECT_EQ(s.broken_step, 3);
  EXPECT_EQ(s.refused, 2);
  EXPECT_EQ(summary_of({}).broken_step, -1);
  EXPECT_EQ(summary_of({}).half_step, -1);
}

TEST(RunSummary, WhatTheScalerSkippedIsNoFault) {
  History h;
  for (int64_t s = 1; s <= 4; ++s) h.steps.push_back({.step = s, .loss = 4, .norm = 1, .loss_scale = 65536});
  h.steps[1].norm = NAN, h.steps[1].accepted = false;                    // an overflow
  h.steps[3].loss = h.steps[3].norm = NAN, h.steps[3].accepted = false;  // broken at any scale
  Summary const s = summary_of(h);
  EXPECT_EQ(s.overflowed, 1);
  EXPECT_EQ(s.refused, 1);
  EXPECT_EQ(s.broken_step, 4);
  h.steps[1].loss_scale = 1;  // no scale below it: not the scaler's
  EXPECT_EQ(summary_of(h).broken_step, 2);
}

TEST(RunSummary, TheClippedShareIsOfAStretchOfSteps) {
  std::vector<StepReport> steps;
  for (int64_t s = 1; s <= 10; ++s) steps.push_back({.step = s, .norm = s <= 5 ? 2.0 : 0.5});
  EXPECT_DOUBLE_EQ(clipped_share(steps, 1, 0, 10), 0.5);
  EXPECT_DOUBLE_EQ(clipped_share(steps, 1, 0, 5), 1);
  EXPECT_DOUBLE_EQ(clipped_share(steps, 1, 5, 10), 0);
  EXPECT_DOUBLE_EQ(clipped_share(steps, 0, 0, 10), 0) << "0 never clips";
}

}  // namespace
}  // namespace folio::train

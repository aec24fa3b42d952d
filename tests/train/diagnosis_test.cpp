// Each rule on curves drawn by a formula: what it says, what it must not say, and where it begins. That the states of
// real runs are found is tools/diagnosis_figures' to show.
#include "train/diagnosis.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/drawn_run.h"
#include "train/live_diagnosis.h"

namespace folio::train {
namespace {

using test::Curve;
using test::Drawn;
using test::drawn;
using test::kSteps;
using test::usual;

Finding main_of(Drawn const& run) {
  auto const all = diagnose(run.history, run.facts);
  EXPECT_FALSE(all.empty());
  return all.at(0);
}

void expect_state(Drawn const& run, State expected) {
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, expected) << line_of(found);
}

TEST(Diagnosis, ARunThatLearnsIsHealthyAtEachOfItsSteps) {
  for (int64_t until = 0; until <= kSteps; until += 10) expect_state(drawn(usual, {}, until), State::healthy);
}

TEST(Diagnosis, AnEmptyLogIsHealthy) { expect_state(Drawn{{}, drawn(usual).facts}, State::healthy); }

TEST(Diagnosis, ValThatRisesWhileTrainFallsIsOverfittingInFourGrades) {
  struct Row {
    char const* grade;
    double rise;  // of val, from step 400 to the last
  };
  for (Row const& row : {Row{"", 0.01}, {"slight", 0.03}, {"moderate", 0.08}, {"strong", 0.2}, {"severe", 0.4}}) {
    double const best = usual(400);
    Drawn const run =
        drawn(usual, [&](double x) { return x <= 400 ? usual(x) : best * (1 + row.rise * (x - 400) / 600); });
    Finding const found = main_of(run);
    EXPECT_EQ(found.grade, row.grade) << row.rise;
    if (row.rise < 0.015) continue;
    EXPECT_EQ(found.state, State::overfitting);
    EXPECT_EQ(found.evidence.at(0), fmt::format("val +{:.3f} over its best {:.3f} (400)", best * row.rise, best));
    EXPECT_GT(found.since, 400);
    bool const more = row.rise > 0.05;
    EXPECT_EQ(found.flags, more ? "--dropout 0.2 --weight-decay 0.2 --patience 5" : "--dropout 0.1 --weight-decay 0.2");
    Drawn other = run;
    other.facts.options.decay = "none", other.facts.options.patience = 9;
    EXPECT_EQ(main_of(other).flags, more ? "--dropout 0.2" : "--dropout 0.1") << "what counts, and is not there";
  }
}

TEST(Diagnosis, ValThatRisesTogetherWithTrainIsNotOverfitting) {
  auto const rises = [](double x) { return x < 400 ? usual(x) : usual(400) + (x - 400) / 400; };
  Drawn const run = drawn(rises, [&](double x) { return rises(x) + 0.02; });
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::rate_too_high);
  EXPECT_EQ(found.grade, "diverged");
  EXPECT_NEAR(double(found.since), 400, 60);
}

TEST(Diagnosis, ALossAboveItsBeginningHasDiverged) {
  Finding const found = main_of(drawn([](double x) { return x < 60 ? 4.17 - x / 100 : 3.6 + (x - 60) / 20; }, {}, 200));
  EXPECT_EQ(found.state, State::rate_too_high);
  EXPECT_EQ(found.grade, "diverged");
  EXPECT_EQ(found.flags.substr(0, 5), "--lr ");
}

TEST(Diagnosis, AHighRateThatHoldsTheLossAtTheFrequenciesOfTokensIsTooHigh) {
  Drawn run = drawn([](double) { return 3.2; }, {}, 200);
  run.facts.options.schedule.lr = 0.1;
  for (StepReport& s : run.history.steps) s.rate = 0.1;
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::rate_too_high);
  EXPECT_EQ(found.grade, "stuck");
}

TEST(Diagnosis, ALossThatHardlyFallsHasARateTooLow) {
  Drawn run = drawn([](double x) { return 4.17 - 0.0005 * x; }, {}, 250);
  for (StepReport& s : run.history.steps) s.rate = 1e-6;
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::rate_too_low);
  EXPECT_EQ(found.flags, "--lr 1.2e-3");
  run.history.findings = {found};
  EXPECT_EQ(main_of(run).evidence, found.evidence) << "what is usual, and not what it takes to leave the state";
}

TEST(Diagnosis, ALossThatStaysAtLnVIsNotLearning) {
  struct Row {
    char const* cause;
    double loss, rate, first;
  };
  for (Row const& row : {Row{"because of the rate", 4.17, 1e-9, 4.17},
                         {"because of the data", 4.17, 1e-3, 4.17},
                         {"because of the data", 3.3, 1e-3, 4.17},
                         {"because of the initial weights", 4.2, 1e-3, 9}}) {
    Drawn run = drawn([&](double x) { return x < 1 ? row.first : row.loss; }, {}, 250);
    for (StepReport& s : run.history.steps) s.rate = row.rate;
    Finding const found = main_of(run);
    EXPECT_EQ(found.state, State::not_learning) << line_of(found);
    EXPECT_EQ(found.grade, row.cause);
  }
}

// What is said while a run goes on, as its loop asks.
std::vector<std::string> said_during(Drawn const& run) {
  LiveDiagnosis live(run.facts);
  live.begin(*run.history.data);
  std::vector<std::string> said;
  for (StepReport const& s : run.history.steps) {
    live.add(s);
    for (Statistics const& one : run.history.statistics)
      if (one.step == s.step) live.add(one);
    for (EvalReport const& e : run.history.evals)
      if (e.step == s.step) live.add(e);
    if (auto const found = s.step % 10 == 0 ? live.changed() : std::nullopt) said.push_back(title_of(*found));
  }
  return said;
}

// The losses of its steps, but not its evaluations, as far apart as those of a small batch.
Drawn noisy(Curve const& train, int64_t until, double height) {
  Drawn run = drawn(train, {}, until);
  for (StepReport& s : run.history.steps) s.loss += s.step % 2 ? height : -height;
  return run;
}

TEST(Diagnosis, AFallThatNoisyStepsHideIsSeenInTheEvaluations) {
  for (double slope : {0.0, 0.0002, 0.0003}) {
    Drawn run = noisy([=](double x) { return x < 10 ? 4.17 : 3.4 - slope * x; }, 250, 0.1);
    expect_state(run, slope > 0 ? State::healthy : State::not_learning);
    std::erase_if(run.history.evals, [](EvalReport const& e) { return e.step == 150; });
    expect_state(run, State::healthy);
  }
  auto const settles = [](double x) { return x < 10 ? 4.17 : 3.26 + 0.11 * std::pow(1 - x / 300, 2); };
  expect_state(noisy(settles, 300, 0.1), State::healthy);  // the last two evaluations differ by 0.1 %
}

TEST(Diagnosis, OneBlockOfNoisyStepsBringsNoOrder) {
  Drawn run = noisy([](double x) { return x < 10 ? 4.17 : 3.3; }, kSteps, 0.3);
  for (StepReport& s : run.history.steps) {
    s.rate = 1e-3;
    if (s.step > 600 && s.step <= 620) s.loss -= 0.3;
  }
  EXPECT_EQ(said_during(run), std::vector<std::string>{"not learning, because of the data"});
}

TEST(Diagnosis, ARiseOfNoisyStepsNeedsOneOfTheEvaluations) {
  for (bool rises : {false, true}) {
    Drawn run = drawn([=](double x) { return rises && x >= 400 ? 1.2 * usual(x) : usual(x); }, {}, 460);
    for (StepReport& s : run.history.steps)
      if (!rises && s.step > 400) s.loss *= 1.2;
    expect_state(run, rises ? State::rate_too_high : State::healthy);
  }
}

TEST(Diagnosis, AtTheFrequenciesALowRateIsNotTheOnlyCause) {
  Drawn run = drawn([](double x) { return std::max(3.32, 4.17 - x / 60); }, {}, 300);
  for (StepReport& s : run.history.steps) s.rate = 1e-5;
  Finding const found = main_of(run);
  EXPECT_EQ(title_of(found), "not learning, because of the rate or of the data");
  EXPECT_EQ(found.evidence.at(1), "the frequencies of the tokens alone would give 3.300");
  EXPECT_EQ(found.flags, "--lr 1e-4");
  Drawn falls = drawn([](double x) { return std::max(3.3, 4.17 - x / 60) - x / 4000; }, {}, 300);
  for (StepReport& s : falls.history.steps) s.rate = 1e-5;
  expect_state(falls, State::healthy);
}

TEST(Diagnosis, ALossThatStaysInTheMiddleIsAPlateauUnlessTheRateHasFallenAway) {
  auto const flat = [](double x) { return std::max(usual(x), usual(300)); };
  Drawn run = drawn(flat, {}, 600);
  expect_state(run, State::plateau);
  for (StepReport& s : run.history.steps) s.rate = s.step > 300 ? 1e-5 : 1e-3;
  expect_state(run, State::healthy);
}

// As the loop does: at each block, with what was said before.
TEST(Diagnosis, APlateauStandsBetweenTwoEvaluationsToo) {
  auto const flat = [](double x) { return std::max(usual(x), usual(300)); };
  for (int64_t eval_every : {50, 100}) {
    std::vector<Finding> said;
    for (int64_t until = 550; until <= kSteps; until += 10) {
      Drawn run = drawn(flat, {}, until);
      run.facts.options.eval_every = eval_every;
      std::erase_if(run.history.evals, [&](EvalReport const& e) { return e.step % eval_every != 0; });
      run.history.findings = said;
      Finding const found = main_of(run);
      EXPECT_EQ(found.state, State::plateau) << until << ": " << line_of(found);
      if (!said.empty()) {
        EXPECT_EQ(found.since, said[0].since) << until;
      }
      said.push_back(found);
    }
  }
}

TEST(Diagnosis, AFlatRunThatBeganWithAModelIsGivenNoOtherShape) {
  auto const flat = [](double x) { return std::max(usual(x), usual(300)); };
  Drawn run = drawn(flat, {}, 600);
  for (StepReport& s : run.history.steps) s.rate *= 0.1;
  EXPECT_NE(main_of(run).flags.find("--embd"), std::string::npos);
  run.facts.from_model = true;
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::plateau);
  EXPECT_EQ(found.flags, "--lr 5e-4 --schedule cosine --min-lr 5e-5");
}

Drawn by_sgd(double rate, Curve const& train, int64_t until) {
  Drawn run = drawn(train, {}, until);
  run.facts.options.optimizer = "sgd";
  run.facts.options.weight_decay = kCoupledDecay;
  run.facts.options.schedule.lr = rate;
  for (StepReport& s : run.history.steps) s.rate = rate;
  return run;
}

TEST(Diagnosis, OfSgdNoRateIsTooHighOrTooLowByItself) {
  auto const near_frequencies = [](double x) { return 3.19 - x / 1e5; };
  expect_state(by_sgd(0.1, near_frequencies, 200), State::healthy);
  auto const hardly_falls = [](double x) { return 4.17 - 0.0005 * x; };
  expect_state(by_sgd(1e-6, hardly_falls, 250), State::healthy);
  for (char const* optimizer : {"adam", "adamw"}) {
    Drawn high = by_sgd(0.1, near_frequencies, 200), low = by_sgd(1e-6, hardly_falls, 250);
    high.facts.options.optimizer = low.facts.options.optimizer = optimizer;
    expect_state(high, State::rate_too_high);
    expect_state(low, State::rate_too_low);
  }
}

TEST(Diagnosis, AdviceForSgdStartsFromTheRunsOwnRate) {
  Finding const diverged = main_of(by_sgd(
      0.5, [](double x) { return x < 60 ? 4.17 - x / 100 : 3.6 + (x - 60) / 20; }, 200));
  EXPECT_EQ(diverged.grade, "diverged");
  EXPECT_EQ(diverged.flags, "--lr 0.05");
  auto const nothing = [](double) { return 4.17; };
  expect_state(by_sgd(0.02, nothing, 250), State::healthy);  // slow to begin, at good rates too
  Finding const unmoved = main_of(by_sgd(0.02, nothing, 450));
  EXPECT_EQ(unmoved.grade, "because of the rate or of the data");
  EXPECT_EQ(unmoved.flags, "--lr 0.2");
  Drawn flat = by_sgd(
      0.3, [](double x) { return std::max(usual(x), usual(300)); }, 600);
  expect_state(flat, State::plateau);
  EXPECT_EQ(main_of(flat).flags, "--lr 0.1 --schedule cosine");
  flat.facts.options.schedule.schedule = "cosine";
  EXPECT_EQ(main_of(flat).flags, "--layers 6 --embd 1536 --lr 0.3");
  flat.facts.from_model = true;
  EXPECT_EQ(main_of(flat).flags, "--lr 1.5");
}

TEST(Diagnosis, WhatHasDivergedHasNotComeBackUntilItKnowsMoreThanTheFrequencies) {
  for (double end : {3.6, 3.25, 2.8}) {
    Drawn run = by_sgd(
        3, [=](double x) { return x < 40 ? 4.17 : std::max(end, 9 - (x - 40) / 40); }, kSteps);
    auto const said = said_during(run);
    ASSERT_GE(said.size(), 1u);
    EXPECT_EQ(said[0], "rate too high, diverged");
    if (end > 0.9 * 3.3) EXPECT_EQ(said.size(), 1u) << said.back();
    else EXPECT_EQ(said.at(1), "healthy");
  }
}

TEST(Diagnosis, NoHigherRateIsAdvisedToARunThatStoodAboveItsBeginning) {
  auto const bump = [](double height, double end) {
    return [=](double x) { return x > 20 && x < 45 ? height : x <= 20 ? 4.17 : end; };
  };
  Finding const flat = main_of(by_sgd(0.5, bump(5, 3.5), kSteps));
  EXPECT_EQ(title_of(flat), "not learning, because of the rate");
  EXPECT_EQ(flat.flags, "--lr 0.05");
  Drawn unmoved = by_sgd(0.5, bump(4.17, 3.5), kSteps);
  EXPECT_EQ(main_of(unmoved).flags, "--lr 5");
  unmoved.history.findings = {{.state = State::rate_too_high, .grade = "diverged"}, {.state = State::not_finite}};
  EXPECT_EQ(main_of(unmoved).flags, "--lr 0.05");
  Drawn low = by_sgd(1e-5, bump(5, 4.1), kSteps);
  low.facts.options.optimizer = "adamw";
  EXPECT_EQ(main_of(low).flags, "--lr 1e-6");
  Drawn resumed = by_sgd(
      0.3, [=](double x) { return x < 60 ? bump(5, 4)(x) : std::max(usual(x), usual(300)); }, 600);
  resumed.facts.from_model = true, resumed.facts.options.schedule.schedule = "cosine";
  EXPECT_EQ(main_of(resumed).flags, "--lr 0.1");
}

TEST(Diagnosis, AdviceRaisesWhatItNames) {
  auto const rises = [](double x) { return x <= 400 ? usual(x) : usual(400) * (1 + 0.4 * (x - 400) / 600); };
  Drawn run = drawn(usual, rises);
  run.facts.config.dropout = {.embedding = 0, .attention = 0.2, .attention_residual = 0.6, .mlp_residual = 0.6};
  run.facts.options.weight_decay = 1;
  EXPECT_EQ(main_of(run).flags, "--attention-dropout 0.3 --patience 5");
  run.facts.config.dropout.attention = 0.5, run.facts.options.patience = 5;
  EXPECT_EQ(main_of(run).flags, "");
}

TEST(Diagnosis, ADecayThatTakesTheWeightsOfSgdIsWhyNothingIsLearnt) {
  Drawn run = by_sgd(
      0.1, [](double x) { return std::max(3.29, 4.17 - x / 60); }, 450);
  EXPECT_EQ(main_of(run).grade, "because of the rate or of the data");
  run.facts.options.weight_decay = 0.1;
  Finding const found = main_of(run);
  EXPECT_EQ(found.grade, "because of the decay");
  EXPECT_EQ(found.evidence.at(1),
            "--weight-decay 0.1 with --optimizer sgd takes half of a weight every 6.9 steps at a rate of 0.1");
  EXPECT_EQ(found.flags, "--weight-decay 1e-4");
}

TEST(Diagnosis, ARunOfSgdThatKnowsNoOrderAtItsEndIsNotHealthy) {
  auto const crawls = [](double x) { return 3.6 - 0.0003 * x; };
  expect_state(by_sgd(0.01, crawls, 450), State::healthy);  // slow to begin
  expect_state(by_sgd(0.01, crawls, kSteps), State::not_learning);
}

TEST(Diagnosis, ARunAtAThresholdDoesNotGoToAndFro) {
  struct Row {
    char const* said;
    double rate;
    Curve train, val = {};
  };
  auto const waves = [](double around, double height) {
    return [=](double x) { return x < 20 ? 4.17 : around * (1 + height * std::sin(x / 25)); };
  };
  double const slight = 1.018;  // of val over its best
  for (Row const& row :
       {Row{"rate too high, stuck", 0.1, waves(0.9 * 3.3, 0.02)},
        Row{"rate too high, rising", 0.1,
            [](double x) { return x < 300 ? usual(x) : usual(300) * (1.06 + 0.02 * std::sin(x / 40)); }},
        Row{"not learning, because of the data", 1e-3,
            [](double x) { return 3.3 * (0.975 + 0.008 * std::sin(x / 25)); }},
        Row{"rate too low", 1e-5,
            [](double x) { return 4.17 - 0.65 * std::pow(x / 100, 0.35) * (1 + 0.03 * std::sin(x / 20)); }},
        Row{"overfitting, slight", 1e-3, usual,
            [=](double x) { return x <= 300 ? usual(x) : usual(300) * (slight + 0.007 * std::sin(x / 40)); }}}) {
    Drawn run = drawn(row.train, row.val);
    for (StepReport& s : run.history.steps) s.rate = row.rate;
    auto const said = said_during(run);
    ASSERT_FALSE(said.empty()) << row.said;
    EXPECT_EQ(said[0], row.said);
    EXPECT_LE(said.size(), 2u) << row.said << ": " << fmt::format("{}", fmt::join(said, "; "));
  }
}

TEST(Diagnosis, ALayerAtAThresholdDoesNotGoToAndFro) {
  Drawn run = drawn(usual);
  for (int64_t step = 50; step <= kSteps; step += 50) {
    Statistics s{.step = step, .period = 50};
    s.quiet = {0.0, step % 100 == 0 ? 0.45 : 0.55};
    for (int layer = 0; layer < 2; ++layer)
      s.tensors.push_back({fmt::format("h.{}.mlp.c_fc.weight", layer), {0, 0.02, 1, 1, 1e-3}});
    run.history.statistics.push_back(s);
  }
  EXPECT_EQ(said_during(run), std::vector<std::string>{"quiet layer"});
  for (Statistics& s : run.history.statistics) {
    s.quiet = {0, 0};
    s.tensors[0].second.gradient = s.step % 100 == 0 ? 80 : 120;
  }
  EXPECT_EQ(said_during(run), std::vector<std::string>{"exploding gradient"});
}

TEST(Diagnosis, NothingLearntStandsUntilOrderIsKnown) {
  Drawn run = drawn([](double x) { return x < 400 ? 3.3 : std::max(2.0, 3.3 - (x - 400) / 1000); });
  for (StepReport& s : run.history.steps) s.rate = 1e-3;
  auto const said = said_during(run);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0], "not learning, because of the data");
  EXPECT_EQ(said[1], "healthy");
}

TEST(Diagnosis, AGradientThatVanishesIsWhyNothingIsLearnt) {
  Drawn run = drawn([](double) { return 4.17; });
  for (StepReport& s : run.history.steps) s.rate = 1e-6;
  for (int64_t step = 50; step <= kSteps; step += 50) {
    run.history.statistics.push_back({.step = step, .period = 50});
    for (int layer = 0; layer < 2; ++layer)
      run.history.statistics.back().tensors.push_back(
          {fmt::format("h.{}.mlp.c_fc.weight", layer), {0, 0.02, 1, layer == 0 ? 1e-6 : 1, 1e-3}});
  }
  EXPECT_EQ(said_during(run), std::vector<std::string>{"vanishing gradient"});
}

TEST(Diagnosis, ATextThatRepeatsItselfIsSaidAtOnce) {
  Drawn run = drawn(usual, {}, 50);
  run.history.data->recurring = run.history.data->val_in_train = 0.9;
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::repeating_data);
  EXPECT_EQ(found.since, 0);
  ASSERT_EQ(found.evidence.size(), 2u);
}

TEST(Diagnosis, AGapAfterManyEpochsIsRepeatingData) {
  Drawn run = drawn(usual, [](double x) { return std::max(usual(x), usual(200)) * (1 - x * 1e-6); });
  run.history.data->train_tokens = 20000;
  run.facts.options.steps = 4000;  // not flat yet, beside the whole run
  expect_state(run, State::healthy);
  for (EvalReport& e : run.history.evals) e.train = std::min(e.train, e.step > 400 ? 0.6 * e.val : 10);
  expect_state(run, State::repeating_data);
}

TEST(Diagnosis, StepsThatWereNotFiniteAreSaidUntilTheyAreFarBehind) {
  Drawn run = drawn(usual, {}, 500);
  for (StepReport& s : run.history.steps)
    if (s.step == 400) s.loss = s.norm = NAN, s.accepted = false;
  expect_state(run, State::healthy);
  run.history.steps.back().loss = run.history.steps.back().norm = NAN, run.history.steps.back().accepted = false;
  run.history.broken = {{.step = 500, .evidence = {"h.1.ln_1.weight holds a NaN"}, .file = "x"}};
  Finding const found = main_of(run);
  EXPECT_EQ(found.state, State::not_finite);
  EXPECT_EQ(found.since, 500);
  EXPECT_EQ(found.evidence.at(0), "h.1.ln_1.weight holds a NaN");
}

// Gradient norms of the blocks, from the input on, in a line every 100 steps.
Drawn with_blocks(std::vector<double> const& norms, double quiet = 0) {
  Drawn run = drawn(usual, {}, 300);
  for (int64_t step = 100; step <= 300; step += 100) {
    Statistics s{.step = step, .period = 100};
    for (size_t l = 0; l < norms.size(); ++l)
      for (char const* name : {".attn.c_proj.weight", ".mlp.c_fc.weight"})
        s.tensors.push_back({"h." + std::to_string(l) + name, {0, 0.02, 1, norms[l], 1e-3}});
    s.tensors.push_back({"wte.weight", {0, 0.02, 1, 1e6, 1e-3}});
    s.quiet.assign(norms.size(), quiet);
    run.history.statistics.push_back(s);
  }
  return run;
}

TEST(Diagnosis, AGradientThatGrowsOrShrinksFromBlockToBlock) {
  expect_state(with_blocks({0.5, 0.3, 0.2, 0.4}), State::healthy);
  expect_state(with_blocks({1000, 100, 10, 1}), State::exploding_gradient);
  expect_state(with_blocks({1e-6, 1e-4, 1e-2, 1}), State::vanishing_gradient);
  EXPECT_EQ(main_of(with_blocks({1000, 100, 10, 1})).since, 1);
  expect_state(with_blocks({0.5}), State::healthy);
}

TEST(Diagnosis, ALayerWhoseUnitsSayNothing) {
  expect_state(with_blocks({1, 1}, 0.2), State::healthy);
  expect_state(with_blocks({1, 1}, 0.7), State::quiet_layer);
}

TEST(Diagnosis, ACauseIsNamedBeforeWhatFollowsFromIt) {
  Drawn run = drawn([](double x) { return x < 1 ? 4.17 : 12; }, {}, 300);
  run.history.statistics = with_blocks({1, 1}, 1).history.statistics;
  auto const all = diagnose(run.history, run.facts);
  ASSERT_GE(all.size(), 2u);
  EXPECT_EQ(all[0].state, State::rate_too_high);
  EXPECT_EQ(all[1].state, State::quiet_layer);
}

}  // namespace
}  // namespace folio::train

// The rate that a search names: from curves whose answer is known, and from curves that are trained.
#include "train/rate_search.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/file.h"
#include "data/dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/training.h"

namespace folio::train {
namespace {

using test::error_of;

// Falls from 4 to 2 where the logarithm of the rate passes `from`, a little on to `to`, rises again to 4 beyond it;
// noise of this size.
std::vector<RatePoint> valley(RateSearch const& o, double from, double to, double noise, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 1);
  std::vector<RatePoint> curve;
  for (int64_t i = 0; i < o.steps; ++i) {
    double const x = std::log10(rate_of(o, i));
    double const below = std::max(0.0, std::log10(from) - x), above = std::max(0.0, x - std::log10(to));
    double const tilt = 0.1 * std::clamp(std::log10(to) - x, 0.0, std::log10(to / from));
    curve.push_back(
        {rate_of(o, i), 2 + std::min(2.0, tilt + below * below + 3 * above * above) + noise * normal(random)});
  }
  return curve;
}

TEST(RateSearch, RisesExponentiallyFromTheFirstRateToTheLast) {
  RateSearch const o{.low = 1e-4, .high = 1e-1, .steps = 31};
  EXPECT_DOUBLE_EQ(rate_of(o, 0), 1e-4);
  EXPECT_NEAR(rate_of(o, 30), 1e-1, 1e-15);
  EXPECT_NEAR(rate_of(o, 10), 1e-3, 1e-15);
  EXPECT_EQ(error_of([] { validate(RateSearch{.low = 1e-3, .high = 5e-3}); }).fault, Fault::value);
}

// The loss has risen by 5 % of its fall of 2 at 0.18 decades above `to`; smoothing lets it rise a little sooner.
constexpr double kNamed = 0.183 - 0.653;  // decades above `to`

TEST(RateSearch, NamesARateWellBelowTheOneAtWhichTheLossHasRisen) {
  RateSearch const o;
  for (auto const& [from, to] : {std::pair{1e-3, 1e-2}, {3e-4, 3e-3}, {1e-2, 3e-2}}) {
    FoundRate const f = find_rate(o, {valley(o, from, to, 0, 1)});
    EXPECT_NEAR(std::log10(f.rate), std::log10(to) + kNamed, 0.06) << to;
    EXPECT_TRUE(f.turned);
    EXPECT_GT(f.risen, to);
    EXPECT_LE(f.lowest, to);
    EXPECT_NE(f.why.find("has clearly risen at"), std::string::npos) << f.why;
  }
}

TEST(RateSearch, NamesNoneAboveTheLowestLossWhereItRisesSlowly) {
  RateSearch const o;
  std::vector<RatePoint> curve;
  for (int64_t i = 0; i < o.steps; ++i) {
    double const x = std::log10(rate_of(o, i)) + 2.5;  // decades above the lowest
    curve.push_back({rate_of(o, i), 2 + std::min(2.0, x < 0 ? x * x : 0.05 * x)});
  }
  FoundRate const f = find_rate(o, {curve});
  EXPECT_NEAR(std::log10(f.rate), -2.5, 0.08);
  EXPECT_GT(f.risen, 10 * f.rate);
  EXPECT_NE(f.why.find("rises slowly"), std::string::npos) << f.why;
}

TEST(RateSearch, NoiseOfABatchMovesItLittle) {
  RateSearch const o;
  for (unsigned seed = 0; seed < 20; seed += 3) {
    FoundRate const f = find_rate(o, {valley(o, 1e-3, 1e-2, 0.1, seed), valley(o, 1e-3, 1e-2, 0.1, seed + 1),
                                      valley(o, 1e-3, 1e-2, 0.1, seed + 2)});
    EXPECT_NEAR(std::log10(f.rate), -2 + kNamed, 0.15) << seed;
  }
}

TEST(RateSearch, ACurveThatEndsEarlyBoundsTheOthers) {
  RateSearch const o;
  auto left = valley(o, 1e-3, 1e-2, 0, 1);
  left.resize(200);  // rate 0.021
  FoundRate const f = find_rate(o, {valley(o, 1e-3, 1e-2, 0, 2), left});
  EXPECT_EQ(f.curve.size(), 200u);
  EXPECT_NEAR(std::log10(f.rate), -2 + kNamed, 0.06);
  EXPECT_TRUE(f.turned);
}

TEST(RateSearch, SaysWhereTheSearchWasTooShortOrInVain) {
  RateSearch const o{.low = 1e-5, .high = 3e-3};
  FoundRate const f = find_rate(o, {valley(o, 1e-2, 1e-1, 0, 1)});
  EXPECT_FALSE(f.turned);
  EXPECT_NE(f.why.find("--to-rate"), std::string::npos) << f.why;
  std::vector<RatePoint> flat;
  for (int64_t i = 0; i < o.steps; ++i) flat.push_back({rate_of(o, i), 4});
  Error const nothing = error_of([&] { find_rate(o, {flat}); });
  EXPECT_NE(std::string(nothing.what()).find("fell nowhere"), std::string::npos) << nothing.what();
  flat.resize(3);
  Error const gone = error_of([&] { find_rate(o, {flat}); });
  EXPECT_NE(std::string(gone.what()).find("--from-rate"), std::string::npos) << gone.what();
}

class Trained : public testing::Test {
 protected:
  Trained() : backend(make_cpu_backend()) {
    std::string ids;
    for (uint32_t i = 0, x = 3; i < 4000; ++i) {
      x = x * 1664525 + 1013904223;
      ids += char((i % 7 + (x >> 30)) % 13), ids += '\0';
    }
    write_file(folder / "train.bin", ids);
    data = std::make_unique<data::Dataset>(folder / "train.bin", 13);
    run.batch = 4, run.schedule.warmup = 0;
    model::Config config = test::small();
    config.channels = 16, config.context = 12;
    options = trainer_options(run, config, 12);
  }
  std::vector<RatePoint> curve(uint64_t seed, RateSearch const& o = {.steps = 60}) {
    return rate_curve({*backend, options, run, data->split("train")}, o, seed, [](int64_t) { return false; });
  }
  test::ScratchFolder folder;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<data::Dataset> data;
  RunOptions run;
  TrainerOptions options;
};

std::vector<double> losses(std::vector<RatePoint> const& curve) {
  std::vector<double> out;
  for (RatePoint const p : curve) out.push_back(p.loss);
  return out;
}

TEST_F(Trained, ACurveBeginsAtTheUntrainedLossAndIsTheSameEachTime) {
  auto const a = curve(1), again = curve(1), other = curve(2);
  EXPECT_NEAR(a[0].loss, std::log(13), 0.05);
  EXPECT_EQ(losses(a), losses(again));
  EXPECT_NE(losses(a), losses(other));
  EXPECT_LT(std::ranges::min(losses(a)), a[0].loss - 0.3);
}

TEST_F(Trained, EndsWhereTheLossLeavesAllBounds) {
  options.decide.clip = 0;
  auto const a = curve(1, {.low = 1e-3, .high = 1e6, .steps = 100});
  EXPECT_GT(a.size(), 20u);
  EXPECT_LT(a.size(), 100u);
  for (RatePoint const p : a) EXPECT_LE(p.loss, 1.5 * a[0].loss);
}

TEST_F(Trained, StartsFromTheWeightsItIsGiven) {
  int filled = 0;
  RateTrial trial{*backend, options, run, data->split("train"), [&](Trainer& t) {
                    ++filled;
                    model::initialise(*backend, t.weights(), 99);
                  }};
  auto const with = rate_curve(trial, {.steps = 20}, 1, [](int64_t) { return false; });
  EXPECT_EQ(filled, 1);
  EXPECT_NE(losses(with), losses(curve(1, {.steps = 20})));
  EXPECT_EQ(rate_curve(trial, {.steps = 20}, 1, [](int64_t i) { return i == 5; }).size(), 5u);
}

}  // namespace
}  // namespace folio::train

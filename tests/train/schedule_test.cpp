#include "train/schedule.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <set>
#include <tuple>

#include "core/error.h"
#include "train/options.h"

namespace folio::train {
namespace {

ScheduleOptions options(std::string const& shape) {
  ScheduleOptions o;
  o.schedule = shape, o.lr = 1, o.min_lr = 0.1, o.warmup = 10, o.step_factor = 0.5, o.step_every = 20;
  o.restart_every = 20;
  return o;
}

TEST(Schedule, WarmUpRisesInEqualStepsAndNeverStartsAtZero) {
  for (std::string const& shape : schedule_names())
    for (int64_t it = 0; it < 10; ++it)
      EXPECT_DOUBLE_EQ(rate_at(options(shape), it, 110), 0.1 * double(it + 1)) << shape;
}

TEST(Schedule, EachShapeHasItsStartMiddleAndEnd) {
  struct Row {
    char const* shape;
    double start, middle, end;
  };
  for (Row r : {Row{"constant", 1, 1, 1}, Row{"linear", 1, 0.55, 0.1}, Row{"cosine", 1, 0.55, 0.1},
                Row{"step", 1, 0.25, 0.1}}) {
    EXPECT_NEAR(rate_at(options(r.shape), 10, 110), r.start, 1e-12) << r.shape;
    EXPECT_NEAR(rate_at(options(r.shape), 60, 110), r.middle, 1e-12) << r.shape;
    EXPECT_NEAR(rate_at(options(r.shape), 110, 110), r.end, 1e-12) << r.shape;
    EXPECT_NEAR(rate_at(options(r.shape), 100000, 110), r.end, 1e-12) << r.shape << ", beyond the end";
  }
}

TEST(Schedule, TheOtherConventionBeginsAtZeroAndMeetsTheRateOneStepLater) {
  for (std::string const& shape : schedule_names()) {
    auto o = options(shape);
    o.warmup_start = "zero";
    for (int64_t it = 0; it <= 10; ++it) EXPECT_DOUBLE_EQ(rate_at(o, it, 110), 0.1 * double(it)) << shape;
  }
}

TEST(Schedule, TheNewerShapesHaveTheirClosedForms) {
  auto o = options("inverse-sqrt");
  EXPECT_DOUBLE_EQ(rate_at(o, 40, 110), 0.5);  // √(10/40)
  o = options("polynomial");
  EXPECT_NEAR(rate_at(o, 60, 110), 0.1 + 0.9 * 0.25, 1e-12);
  o = options("wsd");  // of 110 steps the last 22 are the tail
  EXPECT_EQ(rate_at(o, 88, 110), 1);
  EXPECT_NEAR(rate_at(o, 99, 110), 0.1 + 0.9 * (1 - std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(rate_at(o, 110, 110), 0.1, 1e-12);
  o.wsd_tail = "linear", o.wsd_tail_steps = 40;
  EXPECT_NEAR(rate_at(o, 90, 110), 0.55, 1e-12);
  o.wsd_tail = "cosine";
  EXPECT_NEAR(rate_at(o, 80, 110), 0.1 + 0.45 * (1 + std::sqrt(0.5)), 1e-12);
  o = options("restarts");
  o.restart_growth = 2;  // cycles of 20, 40, 80 steps
  for (int64_t begin : {10, 30, 70}) EXPECT_EQ(rate_at(o, begin, 150), 1) << begin;
  EXPECT_NEAR(rate_at(o, 50, 150), 0.55, 1e-12);
  EXPECT_LT(rate_at(o, 69, 150), 0.102);
}

TEST(Schedule, StaysBetweenFloorAndPeakAndJumpsOnlyWhereItShould) {
  EXPECT_TRUE(rc::check([] {
    ScheduleOptions o;
    o.schedule = *rc::gen::elementOf(schedule_names());
    o.wsd_tail = *rc::gen::element<std::string>("linear", "cosine", "1-sqrt");
    int64_t const steps = *rc::gen::inRange<int64_t>(1, 3000);
    o.lr = *rc::gen::inRange(1, 1000) * 1e-5, o.min_lr = o.lr * *rc::gen::inRange(0, 101) / 100;
    o.warmup = *rc::gen::inRange<int64_t>(0, steps + 1);
    o.wsd_tail_steps = *rc::gen::inRange<int64_t>(0, steps - o.warmup + 1);
    o.step_every = *rc::gen::inRange<int64_t>(1, 500), o.step_factor = *rc::gen::inRange(1, 101) / 100.0;
    o.restart_every = *rc::gen::inRange<int64_t>(1, 500), o.restart_growth = *rc::gen::inRange(100, 400) / 100.0;
    o.polynomial_power = *rc::gen::inRange(1, 50) / 10.0;
    validate(o, steps);
    double before = 0;
    for (int64_t it = 0; it < steps + 3; ++it) {
      double const rate = rate_at(o, it, steps);
      RC_ASSERT(rate <= o.lr * (1 + 1e-12));
      if (it < o.warmup) {
        RC_ASSERT(rate > before);
      } else {
        if (o.schedule != "constant") RC_ASSERT(rate >= o.min_lr * (1 - 1e-12));
        if (it == o.warmup && steps > o.warmup) RC_ASSERT(std::abs(rate - o.lr) <= 1e-12 * o.lr);  // the joint
        if (it > o.warmup && o.schedule != "restarts") RC_ASSERT(rate <= before * (1 + 1e-12));
      }
      before = rate;
    }
  }));
}

TEST(Schedule, InShortIsWhatTheStepsHave) {
  auto const r = rates_in_short(options("linear"), 110);
  EXPECT_DOUBLE_EQ(r.start, 0.1);
  EXPECT_NEAR(r.middle, 1 - 0.9 * 45 / 100, 1e-12);
  EXPECT_NEAR(r.end, 0.1 + 0.9 / 100, 1e-12);
  EXPECT_EQ(r.peak, 1);
  EXPECT_NEAR(r.mean, (5.5 + 100 - 0.9 * 99 * 100 / 2 / 100) / 110, 1e-12);
}

TEST(Schedule, CosineIsSlowAtItsEndsAndFastInTheMiddle) {
  auto const o = options("cosine");
  auto drop = [&](int64_t it) { return rate_at(o, it, 110) - rate_at(o, it + 1, 110); };
  EXPECT_LT(drop(10), drop(35));
  EXPECT_LT(drop(35), drop(59));
  EXPECT_LT(drop(108), drop(85));
}

TEST(Schedule, WithoutWarmUpTheFirstStepHasTheFullRate) {
  auto o = options("cosine");
  o.warmup = 0;
  EXPECT_DOUBLE_EQ(rate_at(o, 0, 100), 1);
}

TEST(Schedule, ContradictionsAreRefusedWithTheFlagsNames) {
  auto refuses = [](ScheduleOptions const& o, int64_t steps, char const* with) {
    try {
      validate(o, steps);
      ADD_FAILURE() << "not refused: " << with;
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::value);
      EXPECT_NE(std::string(e.what()).find(with), std::string::npos) << e.what();
    }
  };
  auto o = options("cosine");
  o.min_lr = 2;
  refuses(o, 100, "--min-lr");
  o = options("linear");
  refuses(o, 5, "--warmup");
  o = options("step");
  o.step_every = 0;
  refuses(o, 100, "--step-every");
  refuses(options("restarts"), 0, "--warmup");
  o = options("restarts");
  o.restart_every = 0;
  refuses(o, 100, "--restart-every");
  o = options("wsd");
  o.wsd_tail_steps = 91;
  refuses(o, 100, "--wsd-tail-steps");
}

TEST(RunOptions, EvaluationBatchesAreANumberOrAll) {
  RunOptions o;
  o.eval_batches = "all";
  EXPECT_EQ(evaluation_batches(o), 0);
  o.eval_batches = "7";
  EXPECT_EQ(evaluation_batches(o), 7);
  for (char const* wrong : {"", "0", "-3", "many", "7x"}) {
    o.eval_batches = wrong;
    EXPECT_THROW(evaluation_batches(o), Error) << wrong;
  }
}

TEST(RunOptions, EveryFieldHasHelpAndAGroupAndNamesAreUnique) {
  RunOptions o;
  std::set<std::string> names;
  for (Field const& f : fields(o)) {
    EXPECT_TRUE(names.insert(f.name).second) << f.name;
    EXPECT_FALSE(f.help.empty()) << f.name;
    EXPECT_FALSE(f.group.empty()) << f.name;
  }
}

TEST(Decay, GroupsAreWhatTheirNamesSay) {
  model::Spec const embedding{{5, 4}, {.lookup = true, .head = true}, 0.02, 0, true};
  model::Spec const linear{{4, 4}, {.linear = true}, 0.02, 0, true}, head{{5, 4}, {.head = true}, 0.02, 0, true};
  model::Spec const bias{{4}, {}, 0, 0, false};
  for (auto const& [decay, e, l, h] :
       {std::tuple{Decay::matrices, true, true, true}, std::tuple{Decay::linear, false, true, true},
        std::tuple{Decay::none, false, false, false}}) {
    EXPECT_EQ(decays(decay, embedding), e);
    EXPECT_EQ(decays(decay, linear), l);
    EXPECT_EQ(decays(decay, head), h);
    EXPECT_FALSE(decays(decay, bias));
  }
}

}  // namespace
}  // namespace folio::train

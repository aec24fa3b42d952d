#include "train/schedule.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "core/error.h"
#include "train/options.h"

namespace folio::train {
namespace {

ScheduleOptions options(std::string const& shape) {
  ScheduleOptions o;
  o.schedule = shape, o.lr = 1, o.min_lr = 0.1, o.warmup = 10, o.step_factor = 0.5, o.step_every = 20;
  return o;
}

TEST(Schedule, WarmUpRisesInEqualStepsAndNeverStartsAtZero) {
  for (char const* shape : {"constant", "linear", "cosine", "step"})
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

// The learning rates of 1,000 steps against PyTorch's in f64 (tools/make_golden, schedules).
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/golden.h"
#include "train/schedule.h"

namespace folio::train {
namespace {

constexpr int64_t kSteps = 1000;

struct Row {
  char const* golden;
  ScheduleOptions options;
};

ScheduleOptions of(char const* schedule, int64_t warmup, double min_lr = 2e-4) {
  ScheduleOptions o;
  o.schedule = schedule, o.lr = 3e-3, o.min_lr = min_lr, o.warmup = warmup;
  o.step_every = 130, o.step_factor = 0.6;
  return o;
}

std::vector<Row> rows() {
  std::vector<Row> all = {{"constant", of("constant", 100)},
                          {"linear", of("linear", 0)},
                          {"linear.warmup", of("linear", 100)},
                          {"cosine", of("cosine", 0)},
                          {"cosine.warmup", of("cosine", 100)},
                          {"step", of("step", 0, 0)},
                          {"step.warmup", of("step", 100, 0)},
                          {"inverse-sqrt", of("inverse-sqrt", 100)},
                          {"inverse-sqrt.floor", of("inverse-sqrt", 0)}};
  auto add = [&](char const* name, ScheduleOptions o, auto&& change) {
    change(o);
    all.push_back({name, o});
  };
  add("cosine.zero", of("cosine", 100), [](auto& o) { o.warmup_start = "zero"; });
  add("step.floor", of("step", 100), [](auto& o) { o.step_factor = 0.3; });
  add("polynomial", of("polynomial", 0, 0), [](auto& o) { o.polynomial_power = 3; });
  add("polynomial.floor", of("polynomial", 100), [](auto& o) { o.polynomial_power = 1.5; });
  add("restarts", of("restarts", 0), [](auto& o) { o.restart_every = 90; });
  add("restarts.doubled", of("restarts", 0), [](auto& o) { o.restart_every = 60, o.restart_growth = 2; });
  add("restarts.grown", of("restarts", 100), [](auto& o) { o.restart_every = 70, o.restart_growth = 1.37; });
  add("wsd.linear", of("wsd", 100), [](auto& o) { o.wsd_tail = "linear", o.wsd_tail_steps = 300; });
  add("wsd.cosine", of("wsd", 100), [](auto& o) { o.wsd_tail = "cosine", o.wsd_tail_steps = 450; });
  add("wsd.1-sqrt", of("wsd", 100), [](auto& o) { o.wsd_tail = "1-sqrt", o.wsd_tail_steps = 200; });
  return all;
}

TEST(ScheduleOfPyTorch, HasItsRatesInF64) {
  test::Golden const golden = test::read_golden("schedules");
  EXPECT_EQ(rows().size(), golden.tensors.size()) << "every golden tensor has its row";
  for (Row const& r : rows()) {
    auto const theirs = golden.values(r.golden);
    ASSERT_EQ(theirs.size(), size_t(kSteps)) << r.golden;
    double worst = 0;
    for (int64_t it = 0; it < kSteps; ++it) {
      double const own = rate_at(r.options, it, kSteps), expected = theirs[size_t(it)];
      double const error = expected == 0 ? std::abs(own) : std::abs(own - expected) / expected;
      EXPECT_LE(error, 1e-9) << r.golden << ", step " << it << ": " << own << " instead of " << expected;
      worst = std::max(worst, error);
    }
    RecordProperty(r.golden, std::to_string(worst));
  }
}

}  // namespace
}  // namespace folio::train

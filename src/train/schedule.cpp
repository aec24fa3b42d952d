#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace folio::train {

Fields fields(ScheduleOptions& o) {
  char const* group = "Learning rate";
  return {
      {"lr", &o.lr, "largest learning rate", {.min = 0, .above_min = true}, group},
      {"min-lr",
       &o.min_lr,
       "where linear, cosine and step end; at most a tenth of lr where not given",
       {.min = 0},
       group},
      {"warmup",
       &o.warmup,
       "steps over which the rate rises from lr/warmup to lr; at most a tenth of the run where not given",
       {.min = 0},
       group},
      {"schedule",
       &o.schedule,
       "shape after the warm-up",
       {.choices = {"constant", "linear", "cosine", "step"}},
       group},
      {"step-factor",
       &o.step_factor,
       "step: what the rate is multiplied by",
       {.min = 0, .max = 1, .above_min = true},
       group},
      {"step-every", &o.step_every, "step: after how many steps", {.min = 1}, group},
  };
}

void validate(ScheduleOptions const& o, int64_t steps) {
  check(o.schedule == "constant" || o.min_lr <= o.lr, Fault::value,
        "--min-lr {} is above --lr {}: give a floor below the largest rate", o.min_lr, o.lr);
  check(o.warmup <= steps, Fault::value, "--warmup {} is longer than --steps {}: give at most the whole run", o.warmup,
        steps);
}

double rate_at(ScheduleOptions const& o, int64_t it, int64_t steps) {
  if (it < o.warmup) return o.lr * double(it + 1) / double(o.warmup);
  if (o.schedule == "constant") return o.lr;
  if (o.schedule == "step")
    return std::max(o.min_lr, o.lr * std::pow(o.step_factor, double((it - o.warmup) / o.step_every)));
  double const length = double(std::max<int64_t>(1, steps - o.warmup));
  double const p = std::min(1.0, double(it - o.warmup) / length);
  if (o.schedule == "linear") return o.lr + (o.min_lr - o.lr) * p;
  check(o.schedule == "cosine", "schedule {}", o.schedule);
  return o.min_lr + 0.5 * (o.lr - o.min_lr) * (1 + std::cos(std::numbers::pi * p));
}

}  // namespace folio::train

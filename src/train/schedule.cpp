#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace folio::train {
namespace {

constexpr double kMostRate = 1e30;  // in f32, in which an update is computed, 1e38 is the end

double cosine_fall(double p) { return 0.5 * (1 + std::cos(std::numbers::pi * p)); }  // 1 at 0, 0 at 1

double warmup_at(ScheduleOptions const& o, int64_t it) {
  return o.lr * double(o.warmup_start == "zero" ? it : it + 1) / double(o.warmup);
}

int64_t tail_of(ScheduleOptions const& o, int64_t steps) {
  return o.wsd_tail_steps > 0 ? o.wsd_tail_steps : std::min(std::max<int64_t>(1, steps / 5), steps - o.warmup);
}

// Share of lr − min that is left, 1 to 0, at the part u of the tail.
double tail_fall(ScheduleOptions const& o, double u) {
  if (o.wsd_tail == "linear") return 1 - u;
  if (o.wsd_tail == "cosine") return cosine_fall(u);
  check(o.wsd_tail == "1-sqrt", "tail {}", o.wsd_tail);
  return 1 - std::sqrt(u);
}

// The part done of the cycle that `t`, steps behind the warm-up, lies in.
double part_of_cycle(ScheduleOptions const& o, int64_t t) {
  double const period = double(o.restart_every), grows = o.restart_growth - 1, at = double(t);
  if (grows == 0) return std::fmod(at, period) / period;
  auto const begin = [&](double i) { return std::round(period * std::expm1(i * std::log1p(grows)) / grows); };
  double i = std::floor(std::log1p(at * grows / period) / std::log1p(grows));
  while (i > 0 && begin(i) > at) --i;
  while (begin(i + 1) <= at) ++i;
  return (at - begin(i)) / (begin(i + 1) - begin(i));
}

}  // namespace

std::vector<std::string> const& schedule_names() {
  static std::vector<std::string> const names = {"constant",     "linear",     "cosine", "step",
                                                 "inverse-sqrt", "polynomial", "wsd",    "restarts"};
  return names;
}

Fields fields(ScheduleOptions& o) {
  char const* group = "Learning rate";
  return {
      {"lr", &o.lr, "largest learning rate", {.min = 0, .max = kMostRate, .above_min = true}, group},
      {"min-lr",
       &o.min_lr,
       "floor of every schedule but constant; at most a tenth of lr where not given",
       {.min = 0,
        .max = kMostRate,
        .with = {{"schedule", {"linear", "cosine", "step", "inverse-sqrt", "polynomial", "wsd", "restarts"}}}},
       group},
      {"warmup",
       &o.warmup,
       "steps over which the rate rises to lr; at most a tenth of the run where not given",
       {.min = 0},
       group},
      {"warmup-start",
       &o.warmup_start,
       "first rate of the warm-up: above-zero, step i of W has lr (i + 1)/W; zero, lr i/W",
       {.choices = {"above-zero", "zero"}, .with = {{"warmup"}}},
       group},
      {"schedule", &o.schedule, "shape after the warm-up", {.choices = schedule_names()}, group},
      {"step-factor",
       &o.step_factor,
       "step: what the rate is multiplied by",
       {.min = 0, .max = 1, .above_min = true, .with = {{"schedule", {"step"}}}},
       group},
      {"step-every",
       &o.step_every,
       "step: after how many steps; must be given",
       {.min = 0, .with = {{"schedule", {"step"}}}},
       group},
      {"polynomial-power",
       &o.polynomial_power,
       "polynomial: the exponent; 1 is linear",
       {.min = 0, .max = 100, .above_min = true, .with = {{"schedule", {"polynomial"}}}},
       group},
      {"wsd-tail",
       &o.wsd_tail,
       "wsd: how the rate falls at the end",
       {.choices = {"linear", "cosine", "1-sqrt"}, .with = {{"schedule", {"wsd"}}}},
       group},
      {"wsd-tail-steps",
       &o.wsd_tail_steps,
       "wsd: steps of the fall; 0: a fifth of the run",
       {.min = 0, .with = {{"schedule", {"wsd"}}}},
       group},
      {"restart-every",
       &o.restart_every,
       "restarts: steps of the first cycle; must be given",
       {.min = 0, .with = {{"schedule", {"restarts"}}}},
       group},
      {"restart-growth",
       &o.restart_growth,
       "restarts: how many times as long as the one before a cycle is",
       {.min = 1, .max = 1000, .with = {{"schedule", {"restarts"}}}},
       group},
  };
}

void validate(ScheduleOptions const& o, int64_t steps) {
  check(o.schedule == "constant" || o.min_lr <= o.lr, Fault::value,
        "--min-lr {} is above --lr {}: give a floor below the largest rate", o.min_lr, o.lr);
  check(o.warmup <= steps, Fault::value, "--warmup {} is longer than --steps {}: give at most the whole run", o.warmup,
        steps);
  check(o.schedule != "step" || o.step_every > 0, Fault::value,
        "--schedule step needs --step-every: after how many steps is the rate multiplied by --step-factor {}?",
        o.step_factor);
  check(o.schedule != "restarts" || o.restart_every > 0, Fault::value,
        "--schedule restarts needs --restart-every: how many steps has the first cycle?");
  check(o.schedule != "wsd" || o.wsd_tail_steps <= steps - o.warmup, Fault::value,
        "--warmup {} and --wsd-tail-steps {} are longer together than --steps {}: shorten one of them", o.warmup,
        o.wsd_tail_steps, steps);
}

double rate_at(ScheduleOptions const& o, int64_t it, int64_t steps) {
  if (it < o.warmup) return warmup_at(o, it);
  it = std::min(it, std::max(steps, o.warmup));
  int64_t const t = it - o.warmup;
  double const p = double(t) / double(std::max<int64_t>(1, steps - o.warmup)), range = o.lr - o.min_lr;
  if (o.schedule == "constant") return o.lr;
  if (o.schedule == "linear") return o.min_lr + range * (1 - p);
  if (o.schedule == "cosine") return o.min_lr + range * cosine_fall(p);
  if (o.schedule == "step") return std::max(o.min_lr, o.lr * std::pow(o.step_factor, double(t / o.step_every)));
  if (o.schedule == "polynomial") return o.min_lr + range * std::pow(1 - p, o.polynomial_power);
  if (o.schedule == "restarts") return o.min_lr + range * cosine_fall(part_of_cycle(o, t));
  if (o.schedule == "inverse-sqrt") {
    double const w = double(std::max<int64_t>(1, o.warmup));
    return std::max(o.min_lr, o.lr * std::sqrt(w / (w + double(t))));
  }
  check(o.schedule == "wsd", "schedule {}", o.schedule);
  int64_t const tail = tail_of(o, steps), begin = steps - tail;
  if (it <= begin) return o.lr;
  return o.min_lr + range * tail_fall(o, double(it - begin) / double(tail));
}

RatesInShort rates_in_short(ScheduleOptions const& o, int64_t steps) {
  constexpr int64_t kMost = 1'000'000;
  int64_t const n = std::min(steps, kMost);
  RatesInShort r{rate_at(o, 0, steps), rate_at(o, steps / 2, steps), rate_at(o, steps - 1, steps), 0, 0};
  for (int64_t i = 0; i < n; ++i) {
    auto const it = n == steps ? i : int64_t(double(i) / double(n - 1) * double(steps - 1));
    double const rate = rate_at(o, std::min(it, steps - 1), steps);
    r.peak = std::max(r.peak, rate);
    r.mean += (rate - r.mean) / double(i + 1);
  }
  return r;
}

}  // namespace folio::train

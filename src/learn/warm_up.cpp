// The first steps at a high rate, with and without a warm-up.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"
#include "train/schedule.h"

namespace folio::learn {
namespace {

constexpr int64_t kSteps = 80;
constexpr double kRate = 0.04;

struct Course {
  int64_t warmup;
  std::vector<double> losses, rates, moved;  // by step; moved: ‖Δw‖/‖w‖
};

std::vector<float> weights_of(Backend& backend, train::Trainer const& trainer) {
  Lab const lab(backend);
  std::vector<float> all;
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    for (float const v : lab.read(w.master)) all.push_back(v);
  });
  return all;
}

Course take(Backend& backend, int64_t warmup) {
  train::ScheduleOptions const schedule{.schedule = "cosine", .lr = kRate, .min_lr = 0.1 * kRate, .warmup = warmup};
  train::Trainer trainer(backend, options_of({.layers = 4}));
  Course c{warmup, {}, {}, {}};
  std::vector<float> before = weights_of(backend, trainer);
  for (int64_t it = 0; it < kSteps; ++it) {
    c.rates.push_back(train::rate_at(schedule, it, kSteps));
    trainer.step(sentences(7, uint64_t(16 * it), 16), c.rates.back());
    c.losses.push_back(trainer.state().loss);
    std::vector<float> const after = weights_of(backend, trainer);
    std::vector<float> change(after.size());
    for (size_t i = 0; i < after.size(); ++i) change[i] = after[i] - before[i];
    c.moved.push_back(norm_of(change) / norm_of(before));
    before = after;
  }
  return c;
}

report::ChartLine line_of(std::string const& name, std::vector<double> const& values) {
  report::ChartLine line{name, {}};
  for (size_t i = 0; i < values.size(); ++i) line.points.push_back({double(i + 1), values[i]});
  return line;
}

double mean_of_last(std::vector<double> const& v, size_t n) {
  double sum = 0;
  for (size_t i = v.size() - n; i < v.size(); ++i) sum += v[i] / double(n);
  return sum;
}

Page run(Backend& backend) {
  Course const none = take(backend, 0), warm = take(backend, 20);
  Numbers table{"steps",
                "How far a step moves the weights, as a share of their norm, and the loss, without and with warm-up:",
                {{"step", "count"},
                 {"moved, none", "percent"},
                 {"moved, with", "percent"},
                 {"loss, none", ".3f"},
                 {"loss, with", ".3f"}},
                {}};
  for (size_t const step : {1, 2, 5, 10, 20, 40, 80})
    table.rows.push_back(
        {double(step), none.moved[step - 1], warm.moved[step - 1], none.losses[step - 1], warm.losses[step - 1]});
  double const end = mean_of_last(none.losses, 10), warm_end = mean_of_last(warm.losses, 10);
  double floor = 0;
  for (double const e : entropies()) floor += e / kSentence;
  Page page;
  page.finding =
      fmt::format("Started at full rate the loss ends at {:.2f}; with a warm-up of 20 steps at {:.2f}", end, warm_end);
  page.numbers = {table};
  page.pictures = {
      report::LineChart{
          "loss, nats, by step", "steps", {line_of("no warm-up", none.losses), line_of("warm-up 20", warm.losses)}},
      report::LineChart{
          "learning rate", "steps", {line_of("no warm-up", none.rates), line_of("warm-up 20", warm.rates)}}};
  page.see = {
      fmt::format(
          "Adam's first step moves every weight by the rate itself, however small its gradient: the moments know one "
          "gradient only, and its size cancels. Without a warm-up that is {:.0f} % of the weights' norm at once, with "
          "it "
          "{:.1f} %.",
          100 * none.moved[0], 100 * warm.moved[0]),
      fmt::format("That first step goes where one batch points, and it is most of the way the weights go: their small, "
                  "even start is gone. With the warm-up no step moves them by more than {:.1f} %.",
                  100 * *std::ranges::max_element(warm.moved)),
      fmt::format(
          "The last ten steps lose {:.3f} on average without and {:.3f} with the warm-up; the language itself leaves "
          "{:.3f}.",
          end, warm_end, floor)};
  return page;
}

}  // namespace

Topic warm_up() {
  return {
      "warm-up",
      "Warm-up: the first steps at a high rate",
      "Two trainings of the same small model on the same sentences, at the same high rate. One starts at it, the other "
      "rises to it over 20 steps. How far do the weights move, and where does the loss end?",
      {{"src/train/schedule.h", "the rate of a step, by formula"},
       {"src/backend/host.h", "bias_correction: why the first step has the size of the rate"},
       {"docs/training.md", "how long a warm-up to take, and both conventions"}},
      "--warmup and --warmup-start; folio schedule draws the rate before a run",
      run};
}

}  // namespace folio::learn

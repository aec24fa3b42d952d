// The log of a run whose losses are drawn by a formula: what the rules of the diagnosis are tested with.
#pragma once

#include <cmath>
#include <functional>
#include <random>

#include "train/diagnosis.h"

namespace folio::test {

inline constexpr int64_t kSteps = 1000;

struct Drawn {
  train::History history;
  train::Facts facts;
};

using Curve = std::function<double(double)>;

inline double usual(double step) { return 1.5 + 2.67 * std::pow(1 + step / 20, -0.6); }

// A run of 1,000 steps, up to `until`: the loss of its steps with a little noise, an evaluation every 50.
inline Drawn drawn(Curve const& train, Curve const& val = {}, int64_t until = kSteps) {
  Drawn run;
  run.facts.options.steps = kSteps, run.facts.options.eval_every = 50, run.facts.options.schedule.schedule = "constant",
  run.facts.options.schedule.warmup = 50;
  run.facts.options.batch = 16;
  run.facts.config = {
      .layers = 4, .heads = 4, .channels = 384, .vocab = 65, .context = 64, .bias = true, .tied = true, .dropout = {}};
  run.history.data =
      train::DataFacts{.train_tokens = 1 << 20, .frequency_loss = 3.3, .recurring = 0.01, .val_in_train = 0};
  std::mt19937 random(3);
  std::normal_distribution<double> noise(0, 0.03);
  for (int64_t step = 0; step <= until; ++step) {
    double const x = double(step);
    if (step > 0)
      run.history.steps.push_back({.step = step,
                                   .loss = train(x) + noise(random),
                                   .rate = run.facts.options.schedule.lr * std::min(1.0, x / 50),
                                   .norm = 0.5});
    if (step % 50 == 0)
      run.history.evals.push_back({.step = step, .train = train(x), .val = val ? val(x) : train(x) + 0.02});
  }
  return run;
}

}  // namespace folio::test

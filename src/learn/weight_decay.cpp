// What decay does to a weight that nothing holds, by each optimizer, and to a model that is trained with it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "learn/classroom.h"
#include "learn/topics.h"
#include "learn/walker.h"

namespace folio::learn {
namespace {

constexpr double kRate = 0.01, kDecay = 0.1;
constexpr int kSteps = 300;

struct Fall {
  std::string name;
  std::vector<double> weight;
};

Fall fall(Backend& backend, std::string const& name, Optimizer::Rule rule) {
  Lab lab(backend);
  Walker walker(lab, {1}, {.rule = rule, .decay = kDecay}, {});
  Fall f{name, {1}};
  for (int i = 0; i < kSteps; ++i) {
    walker.step(kRate);
    f.weight.push_back(walker.place()[0]);
  }
  return f;
}

struct Trained {
  double decay, loss, matrices, norms;
};

Trained train_with(Backend& backend, double decay) {
  train::Trainer trainer(backend, options_of({.decay = decay}));
  std::vector<double> const losses = teach(trainer, 100, 0.01);
  Lab const lab(backend);
  Trained t{decay, 0, 0, 0};
  for (size_t i = losses.size() - 10; i < losses.size(); ++i) t.loss += losses[i] / 10;
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const& spec) {
    double const norm = norm_of(lab.read(w.master));
    (train::decays(train::Decay::matrices, spec) ? t.matrices : t.norms) += norm * norm;
  });
  t.matrices = std::sqrt(t.matrices), t.norms = std::sqrt(t.norms);
  return t;
}

Page run(Backend& backend) {
  std::vector<Fall> const falls = {fall(backend, "AdamW", Optimizer::Rule::adamw),
                                   fall(backend, "Adam, L2", Optimizer::Rule::adam),
                                   fall(backend, "SGD, L2", Optimizer::Rule::sgd)};
  Numbers steps{"falls", "A weight of 1 whose gradient is 0, at rate 0.01 and decay 0.1:", {{"step", "count"}}, {}};
  report::LineChart chart{"the weight by step", "steps", {}};
  for (Fall const& f : falls) {
    steps.columns.push_back({f.name, ".4f"});
    report::ChartLine line{f.name, {}};
    for (size_t i = 0; i < f.weight.size(); ++i) line.points.push_back({double(i), f.weight[i]});
    chart.lines.push_back(std::move(line));
  }
  for (size_t const step : {1, 10, 50, 100, 200, 300}) {
    steps.rows.push_back({double(step)});
    for (Fall const& f : falls) steps.rows.back().emplace_back(f.weight[step]);
  }
  Numbers models{"models",
                 "A small model after 100 steps with AdamW:",
                 {{"decay", ".2g"}, {"matrices", ".3f"}, {"others", ".3f"}, {"loss", ".3f"}},
                 {}};
  std::vector<Trained> trained;
  for (double const decay : {0.0, 0.1, 1.0, 5.0}) {
    trained.push_back(train_with(backend, decay));
    models.rows.push_back({decay, trained.back().matrices, trained.back().norms, trained.back().loss});
  }
  Page page;
  page.finding =
      fmt::format("With nothing to hold it, AdamW's weight halves in {:.0f} steps; Adam's L2 takes it all in {}",
                  std::log(0.5) / std::log(1 - kRate * kDecay),
                  std::ranges::find_if(falls[1].weight, [](double w) { return w < 0.05; }) - falls[1].weight.begin());
  page.numbers = {steps, models};
  page.pictures = {chart};
  page.see = {
      fmt::format(
          "AdamW takes rate * decay = {:.3f} of the weight each step: (1 - {:.3f})^300 = {:.4f}. How fast decay acts "
          "depends on both flags, and on the schedule.",
          kRate * kDecay, kRate * kDecay, falls[0].weight.back()),
      fmt::format(
          "As a part of Adam's gradient (L2) the same decay is divided by its own size: the weight loses the whole "
          "rate each step, {:.2f} is left after 50. Where gradients are large, it hardly acts. That is why AdamW keeps "
          "them apart.",
          falls[1].weight[50]),
      fmt::format("In SGD both are the same: {:.4f} after 300 steps.", falls[2].weight.back()),
      fmt::format(
          "In training the gradient holds what is needed: the norm of the matrices falls from {:.1f} at decay 0 to "
          "{:.1f} at 1 and {:.1f} at 5, and the loss goes from {:.3f} to {:.3f} and {:.3f}. Biases and layer norms do "
          "not "
          "decay.",
          trained[0].matrices, trained[2].matrices, trained[3].matrices, trained[0].loss, trained[2].loss,
          trained[3].loss)};
  return page;
}

}  // namespace

Topic weight_decay() {
  return {"weight-decay",
          "Weight decay",
          "Decay pulls every weight a little towards 0 at each step, so that only what keeps earning its place stays "
          "large. "
          "First a weight alone, with each optimizer; then models that train with more and more of it.",
          {{"src/backend/backend.h", "optimize: where decay stands in each rule"},
           {"src/train/trainer.cpp", "decays: which tensors"},
           {"docs/training.md", "how much to take"}},
          "--weight-decay, and --decay for which tensors",
          run};
}

}  // namespace folio::learn

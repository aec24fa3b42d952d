// Steps downhill: plain descent on a parabola, and three optimizers in a narrow valley.
#include <fmt/format.h>

#include <cmath>

#include "learn/lab.h"
#include "learn/topics.h"
#include "learn/walker.h"

namespace folio::learn {
namespace {

using report::ChartLine;

// The gradient of y = w · w by the product's own backward: once as the layer's input and once as its weight.
double parabola(Lab& lab, Weight const& w, Tensor y, Tensor dx) {
  Tensor const x = w.master.reshaped({1, 1, 1});
  Weight matrix = w;
  matrix.shape = {1, 1}, matrix.master = w.master.reshaped({1, 1}), matrix.grad = w.grad.reshaped({1, 1});
  lab.backend.prepare(matrix);
  lab.backend.linear(y, x, {matrix, {}});
  lab.backend.zero(w.grad);
  lab.backend.linear_backward(dx, lab.floats({1, 1, 1}, {1}), x, {matrix, {}});
  lab.write(w.grad, {lab.read(w.grad)[0] + lab.read(dx)[0]});
  return double(lab.read(y)[0]);
}

struct Descent {
  double rate;
  std::vector<double> x, y;
};

Descent descend(Backend& backend, double rate) {
  constexpr int kSteps = 20;
  Lab lab(backend);
  lab.lend({.rows = 1, .sequences = 1, .context = 1, .channels = 1, .heads = 1, .vocab = 1, .chunk = 1});
  Walker walker(lab, {3}, {.rule = Optimizer::Rule::sgd, .decay = 0}, {.linear = true});
  Tensor const y = lab.floats({1, 1, 1}), dx = lab.floats({1, 1, 1});
  Descent d{rate, {}, {}};
  for (int i = 0; i <= kSteps; ++i) {
    double const height = parabola(lab, walker.weight(), y, dx);
    d.x.push_back(walker.place()[0]), d.y.push_back(height);
    if (i < kSteps) walker.step(rate);
  }
  return d;
}

Page parabola_page(Backend& backend) {
  constexpr double kDrawnFrom = 1e-8;
  std::vector<Descent> all;
  for (double const rate : {0.1, 0.45, 0.9, 1.05}) all.push_back(descend(backend, rate));
  Numbers table{"steps", "x after each step, from x = 3:", {{"step", "count"}}, {}};
  report::LineChart chart{"y = x^2 by step, log scale", "steps", {}, false, true};
  for (Descent const& d : all) {
    table.columns.push_back({fmt::format("rate {}", d.rate), "+.4f"});
    ChartLine line{fmt::format("rate {}", d.rate), {}};
    for (size_t i = 0; i < d.y.size() && d.y[i] >= kDrawnFrom; ++i) line.points.push_back({double(i), d.y[i]});
    chart.lines.push_back(std::move(line));
  }
  for (size_t const step : {0, 1, 2, 3, 5, 10, 20}) {
    table.rows.push_back({double(step)});
    for (Descent const& d : all) table.rows.back().emplace_back(d.x[step]);
  }
  Page page;
  page.finding = fmt::format("Rate 0.45 is at x = {:.0e} after 20 steps, rate 1.05 at {:.1f} and leaving", all[1].x[20],
                             all[3].x[20]);
  page.numbers = {table};
  page.pictures = {chart};
  page.see = {
      "The slope of x^2 is 2x, so a step of descent makes x - rate * 2x = (1 - 2 rate) x: every step multiplies by the "
      "same "
      "number.",
      fmt::format(
          "At 0.1 the factor is {:.2f}: safe and slow. At 0.45 it is {:.2f}. At 0.9 it is {:.2f}: each step jumps over "
          "the lowest point, and yet arrives.",
          all[0].x[1] / all[0].x[0], all[1].x[1] / all[1].x[0], all[2].x[1] / all[2].x[0]),
      fmt::format("At 1.05 it is {:.2f}: each jump lands higher than it began, from y = {:.0f} to {:.0f} in 20 steps. "
                  "A rate too "
                  "high does not learn badly, it leaves.",
                  all[3].x[1] / all[3].x[0], all[3].y[0], all[3].y[20]),
      "What is too high depends on the curve: above 2 / its second derivative, here 1. In a model no one number says "
      "it; "
      "folio lr-find tries."};
  return page;
}

// f = ½((x − 4)² + 100 (y − 1)²): its gradient is a linear layer of the place.
constexpr double kSteep = 100, kX = 4, kY = 1;
constexpr size_t kDrawn = 40;  // steps on the map

struct Walk {
  std::string name;
  double rate;
  Optimizer optimizer;
  std::vector<report::Point> path = {};
  std::vector<double> heights = {};
};

double height(report::Point p) { return 0.5 * ((p.x - kX) * (p.x - kX) + kSteep * (p.y - kY) * (p.y - kY)); }

void walk(Backend& backend, Walk& w) {
  constexpr int kSteps = 200;
  Lab lab(backend);
  lab.lend({.rows = 1, .sequences = 1, .context = 1, .channels = 2, .heads = 1, .vocab = 1, .chunk = 1});
  Affine const slope{lab.weight({2, 2}, {.linear = true}, {1, 0, 0, float(kSteep)}),
                     lab.weight({2}, {}, {float(-kX), float(-kSteep * kY)})};
  Walker walker(lab, {0, 0}, w.optimizer, {});
  for (int i = 0; i <= kSteps; ++i) {
    std::vector<double> const at = walker.place();
    w.path.push_back({at[0], at[1]}), w.heights.push_back(height(w.path.back()));
    if (i == kSteps) break;
    backend.linear(walker.weight().grad.reshaped({1, 1, 2}), walker.weight().master.reshaped({1, 1, 2}), slope);
    walker.step(w.rate);
  }
}

ChartLine contour(double level) {
  ChartLine line{"", {}, true};
  for (int i = 0; i <= 64; ++i) {
    double const a = 6.283185307179586 * i / 64;
    line.points.push_back({kX + std::sqrt(2 * level) * std::cos(a), kY + std::sqrt(2 * level / kSteep) * std::sin(a)});
  }
  return line;
}

Page valley_page(Backend& backend) {
  using Rule = Optimizer::Rule;
  std::vector<Walk> walks = {{"SGD", 0.018, {.rule = Rule::sgd, .decay = 0}},
                             {"momentum", 0.02, {.rule = Rule::sgd, .decay = 0, .momentum = 0.9}},
                             {"Adam, L2", 0.1, {.rule = Rule::adam, .decay = 0.5, .beta2 = 0.99}},
                             {"AdamW", 0.1, {.rule = Rule::adamw, .decay = 0.5, .beta2 = 0.99}}};
  for (Walk& w : walks) walk(backend, w);
  Numbers table{"walks",
                "From (0, 0); the lowest point is (4, 1). Adam and AdamW have a decay of 0.5:",
                {{"way"}, {"rate", ".2g"}, {"x", ".3f"}, {"y", ".3f"}, {"height 10", ".2g"}, {"height 200", ".2g"}},
                {}};
  report::LineChart map{"the first 40 steps from above; grey: equal height", "x", {}};
  map.low = -0.1, map.high = 2.1, map.rows = 15;
  report::LineChart down{"height by step, log scale", "steps", {}, false, true};
  for (Walk const& w : walks) {
    table.rows.push_back({w.name, w.rate, w.path.back().x, w.path.back().y, w.heights[10], w.heights.back()});
    map.lines.push_back({w.name, {w.path.begin(), w.path.begin() + kDrawn + 1}});
    ChartLine line{w.name, {}};
    for (size_t i = 0; i < w.heights.size(); ++i) line.points.push_back({double(i), std::max(w.heights[i], 1e-8)});
    down.lines.push_back(std::move(line));
  }
  for (double const level : {0.5, 2.0, 8.0, 18.0}) map.lines.push_back(contour(level));
  Walk const &sgd = walks[0], &momentum = walks[1], &adam = walks[2], &adamw = walks[3];
  Page page;
  page.finding = fmt::format("In a narrow valley momentum is {:.0e} high after 200 steps, plain SGD {:.0e}",
                             momentum.heights.back(), sgd.heights.back());
  page.numbers = {table};
  page.pictures = {map, down};
  page.see = {
      fmt::format("The valley is 100 times as steep across as along. SGD may not step above 2/100 = 0.02, or it leaves "
                  "across; at "
                  "{:.3f} it zigzags (y went from 0 to {:.2f}) and creeps along: x = {:.2f} after 10 steps.",
                  sgd.rate, sgd.path[1].y, sgd.path[10].x),
      fmt::format(
          "Momentum 0.9 adds up what is the same from step to step: at a rate of {:.2f} its height after 200 steps is "
          "{:.0e}, where SGD's is {:.0e}. On the way it swings across and back.",
          momentum.rate, momentum.heights.back(), sgd.heights.back()),
      fmt::format(
          "Adam divides each direction by the size of its own gradients: its first step is {:.2f} along and {:.2f} "
          "across, the rate in both, however steep.",
          adam.path[1].x - adam.path[0].x, adam.path[1].y - adam.path[0].y),
      fmt::format(
          "Where decay is a part of the gradient (Adam with L2) it moves the lowest point, to x = 4/1.5 = 2.67 and y = "
          "100/100.5 = 0.995, and is divided like the rest. AdamW takes decay * weight off beside the division: it "
          "stops "
          "at ({:.2f}, {:.2f}), where both are equal.",
          adamw.path.back().x, adamw.path.back().y)};
  return page;
}

}  // namespace

Topic descent() {
  return {"descent",
          "Descent on y = x^2",
          "Learning is: measure the slope, step against it, again. On a parabola everything about the size of the step "
          "can be "
          "seen. The slope is from the backward of a product (x times itself), the step is the optimizer's.",
          {{"src/backend/backend.h", "linear_backward and optimize, by formula"},
           {"src/backend/reference/optimizer.cpp", "the update as a plain loop"},
           {"src/train/schedule.cpp", "the rate of each step"}},
          "--lr; folio lr-find looks for one",
          parabola_page};
}

Topic optimizers() {
  return {"optimizers",
          "SGD, momentum, Adam and AdamW in one valley",
          "Four walkers start at the same place of a long valley with steep sides. Every step is the optimizer op that "
          "trains "
          "models; the slope is a linear layer's output.",
          {{"src/backend/backend.h", "optimize: the three rules by formula, with their papers"},
           {"src/backend/reference/optimizer.cpp", "as plain loops"},
           {"src/backend/cpu/optimizer.cpp", "fast"}},
          "--optimizer adamw, adam or sgd; --beta1, --beta2, --epsilon, --momentum",
          valley_page};
}

}  // namespace folio::learn

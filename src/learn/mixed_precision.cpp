// The gradients of a real backward pass, rounded to f16: what is lost, and what the loss scale saves.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "core/dtype.h"
#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"
#include "report/table.h"

namespace folio::learn {
namespace {

// The gradients of activations that backward leaves: those that lie in the compute type where it is narrower than f32.
struct Collected {
  std::vector<float> values;  // as they lie in memory, times the loss scale
  double norm = 0;            // of the weights' gradients, as the step state has it: without the scale
};

Collected collect(Backend& backend, train::Trainer& trainer, double loss_scale) {
  Collected c;
  Lab const lab(backend);
  StepState const before = trainer.state();
  StepState s = before;
  s.loss_scale = loss_scale;
  trainer.set_state(s);
  backend.observe([&](Event const& e) {
    if (e.phase != Phase::backward) return;
    for (Tensor const& t : e.outputs)
      if (t.label[0] == 'd' && std::strcmp(t.label, "dresidual") != 0)
        for (float const v : lab.read(t)) c.values.push_back(v);
  });
  trainer.step(sentences(7, 700000, 16), 0);
  backend.observe({});
  c.norm = trainer.state().norm;
  trainer.set_state(before);
  return c;
}

struct Lost {
  double zero = 0, imprecise = 0, infinite = 0, kept = 0;  // shares of the values that are not 0 in f32
};

Lost in_f16(std::vector<float> const& values) {
  Lost l;
  double n = 0;
  for (float const v : values) {
    if (v == 0) continue;
    uint16_t const bits = to_f16(v).bits & 0x7fff, exponent = bits >> 10;
    n += 1;
    (bits == 0 ? l.zero : exponent == 0 ? l.imprecise : exponent == 31 ? l.infinite : l.kept) += 1;
  }
  l.zero /= n, l.imprecise /= n, l.infinite /= n, l.kept /= n;
  return l;
}
Lost in_bf16(std::vector<float> const& values) {
  Lost l;
  double n = 0;
  for (float const v : values) {
    if (v == 0) continue;
    n += 1;
    (to_float(to_bf16(v)) == 0 ? l.zero : l.kept) += 1;
  }
  l.zero /= n, l.kept /= n;
  return l;
}

report::ChartLine histogram(std::string const& name, std::vector<float> const& values) {
  std::map<int, double> counts;
  double n = 0;
  for (float const v : values)
    if (v != 0) counts[std::clamp(std::ilogb(v), -40, 8)] += 1, n += 1;
  report::ChartLine line{name, {}};
  for (int e = -40; e <= 8; ++e) line.points.push_back({double(e), counts[e] / n});
  return line;
}

Page run(Backend& backend) {
  constexpr double kScale = 65536;
  train::Trainer trainer(backend, options_of({}));
  teach(trainer, 150, 0.01);
  Collected const plain = collect(backend, trainer, 1), scaled = collect(backend, trainer, kScale);
  Lost const one = in_f16(plain.values), many = in_f16(scaled.values), brain = in_bf16(plain.values);
  Numbers table{"types",
                fmt::format("{} gradients of activations of one backward pass, rounded:",
                            report::grouped(int64_t(plain.values.size()))),
                {{"type"}, {"scale", "count"}, {"zero", "percent"}, {"imprecise", "percent"}, {"infinite", "percent"}},
                {{"f16", 1.0, one.zero, one.imprecise, one.infinite},
                 {"f16", kScale, many.zero, many.imprecise, many.infinite},
                 {"bf16", 1.0, brain.zero, brain.imprecise, brain.infinite}}};
  report::ChartLine const unscaled = histogram("scale 1", plain.values),
                          lifted = histogram("scale 65536", scaled.values);
  double top = 0;
  for (auto const& line : {unscaled, lifted})
    for (report::Point const p : line.points) top = std::max(top, p.y);
  report::LineChart chart{
      "share of the gradients by size, powers of 2; grey: f16's least (-24), least in full precision (-14)",
      "",
      {unscaled, lifted, {"", {{-24, 0}, {-24, top}}, true}, {"", {{-14, 0}, {-14, top}}, true}}};
  Page page;
  page.finding = fmt::format("In f16 {:.1f} % of the gradients become 0; with a loss scale of 65,536 {:.1f} %",
                             100 * one.zero, 100 * many.zero);
  page.numbers = {table};
  page.pictures = {chart};
  page.see = {
      fmt::format("f16 has 5 bits of exponent: below 2^-24 everything is 0, below 2^-14 bits are missing. Of this pass "
                  "{:.1f} % fall to 0 and {:.1f} % lose bits.",
                  100 * one.zero, 100 * one.imprecise),
      fmt::format("The classifier multiplies the first gradient by 2^16, and every later one is 2^16 times larger: "
                  "only {:.1f} % "
                  "fall to 0 now, {:.1f} % overflow, and {:.1f} % keep all bits.",
                  100 * many.zero, 100 * many.infinite, 100 * many.kept),
      fmt::format(
          "Before the update the scale is divided out, so the step is the same: the gradient's norm is {:.6f} with and "
          "{:.6f} without it.",
          scaled.norm, plain.norm),
      fmt::format("bf16 has f32's 8 bits of exponent: {:.1f} % become 0, and it needs no scale. It pays with 8 bits of "
                  "precision instead of 11, so masters, moments and sums stay f32.",
                  100 * brain.zero)};
  return page;
}

}  // namespace

Topic mixed_precision() {
  return {"mixed-precision",
          "Mixed precision, and what the loss scale saves",
          "16 bits are half the memory and more than twice the speed where a machine multiplies them. But gradients "
          "are small "
          "numbers. These are the gradients of a real backward pass of a small trained model, as f16 and bf16 would "
          "hold them.",
          {{"src/core/dtype.h", "the types, and rounding to them"},
           {"src/backend/step_state.h", "loss_scale and grad_factor"},
           {"src/backend/backend.h", "what is wide: masters, gradients of weights, moments, the residual stream"}},
          "--dtype bf16 or f32; folio train says which it chose",
          run};
}

}  // namespace folio::learn

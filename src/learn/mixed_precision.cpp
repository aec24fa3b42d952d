// The gradients of one pass backward in f16: what is lost, and what the loss scale saves; and runs with the scaler.
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

train::TrainerOptions options_in(DType dtype, double loss_scale = 1, int64_t scale_every = 0) {
  train::TrainerOptions o = options_of({});
  o.dtype = dtype, o.loss_scale = loss_scale, o.decide.scale_every = scale_every;
  return o;
}

// The gradients of activations that a pass backward leaves: those that lie in the compute type where it is narrower
// than f32.
struct Pass {
  std::vector<float> values;  // as they lie in memory, times the loss scale
  double norm = 0;            // of the weights' gradients, as the step state has it: without the scale
};

std::vector<float> values_of(Backend& backend, Tensor const& t) {
  if (t.dtype == DType::f32) return Lab(backend).read(t);
  std::vector<uint16_t> bits(size_t(t.size()));
  backend.download(bits.data(), t);
  std::vector<float> values;
  for (uint16_t const b : bits) values.push_back(t.dtype == DType::f16 ? to_float(f16{b}) : to_float(bf16{b}));
  return values;
}

Pass pass(Backend& backend, train::Trainer& trainer) {
  Pass p;
  backend.observe([&](Event const& e) {
    if (e.phase != Phase::backward) return;
    for (Tensor const& t : e.outputs)
      if (t.label[0] == 'd' && std::strcmp(t.label, "dresidual") != 0)
        for (float const v : values_of(backend, t)) p.values.push_back(v);
  });
  trainer.step(sentences(7, 700000, 16), 0);
  backend.observe({});
  p.norm = trainer.state().norm;
  return p;
}

// The same pass of the same weights in another type.
Pass pass_in(Backend& backend, model::Weights const& weights, train::TrainerOptions options) {
  options.initialise = false;
  train::Trainer trainer(backend, options);
  std::vector<Tensor> masters;
  for_each(weights, [&](std::string const&, Weight const& w, model::Spec const&) { masters.push_back(w.master); });
  for_each(trainer.weights(), [&, i = size_t{0}](std::string const&, Weight const& w, model::Spec const&) mutable {
    backend.upload(w.master, Lab(backend).read(masters[i++]).data());
    backend.prepare(w);
  });
  return pass(backend, trainer);
}

struct Lost {
  double zero = 0, imprecise = 0, infinite = 0, kept = 0;  // shares of the values that are not 0 in f32
};

Lost lost(Pass const& in, Pass const& exact, double least) {
  Lost l;
  double n = 0;
  for (size_t i = 0; i < exact.values.size(); ++i) {
    if (exact.values[i] == 0) continue;
    double const v = std::abs(in.values[i]);
    n += 1;
    (v == 0 ? l.zero : v < least ? l.imprecise : std::isfinite(v) ? l.kept : l.infinite) += 1;
  }
  l.zero /= n, l.imprecise /= n, l.infinite /= n, l.kept /= n;
  return l;
}

// What a run of 150 steps comes to.
std::vector<Cell> row_of(Backend& backend, std::string const& name, train::TrainerOptions const& options) {
  train::Trainer trainer(backend, options);
  std::vector<double> const losses = teach(trainer, 150, 0.01);
  StepState const s = trainer.state();
  double mean = 0;
  for (size_t i = losses.size() - 20; i < losses.size(); ++i) mean += losses[i] / 20;
  return {name, options.loss_scale, double(s.non_finite), s.loss_scale, mean};
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
  constexpr double kScale = 65536, kHigh = 0x1p40, kLeastOfF16 = 0x1p-14, kLeastOfF32 = 0x1p-126;
  train::Trainer trainer(backend, options_in(DType::f32));
  teach(trainer, 150, 0.01);
  Pass const plain = pass(backend, trainer), unscaled_f16 = pass_in(backend, trainer.weights(), options_in(DType::f16)),
             scaled_f16 = pass_in(backend, trainer.weights(), options_in(DType::f16, kScale)),
             bf = pass_in(backend, trainer.weights(), options_in(DType::bf16));
  Lost const one = lost(unscaled_f16, plain, kLeastOfF16), many = lost(scaled_f16, plain, kLeastOfF16),
             brain = lost(bf, plain, kLeastOfF32);
  Numbers table{"types",
                fmt::format("{} gradients of activations of one pass backward, computed in each type:",
                            report::grouped(int64_t(plain.values.size()))),
                {{"type"},
                 {"scale", "count"},
                 {"zero", "percent"},
                 {"imprecise", "percent"},
                 {"infinite", "percent"},
                 {"norm", ".5f"}},
                {{"f32", 1.0, 0.0, 0.0, 0.0, plain.norm},
                 {"f16", 1.0, one.zero, one.imprecise, one.infinite, unscaled_f16.norm},
                 {"f16", kScale, many.zero, many.imprecise, many.infinite, scaled_f16.norm},
                 {"bf16", 1.0, brain.zero, brain.imprecise, brain.infinite, bf.norm}}};
  Numbers runs{
      "runs",
      "150 steps in each, from the same weights; the loss is the mean of the last 20:",
      {{"run"}, {"first scale", ".3g"}, {"skipped", "count"}, {"last scale", ".3g"}, {"loss", ".4f"}},
      {row_of(backend, "f32", options_in(DType::f32)), row_of(backend, "f16, no scaler", options_in(DType::f16)),
       row_of(backend, "f16", options_in(DType::f16, kScale, 2000)),
       row_of(backend, "f16, too high", options_in(DType::f16, kHigh, 2000)),
       row_of(backend, "bf16", options_in(DType::bf16))}};
  Pass lifted_values = plain;
  for (float& v : lifted_values.values) v *= float(kScale);
  report::ChartLine const unscaled = histogram("scale 1", plain.values),
                          lifted = histogram("scale 65536", lifted_values.values);
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
  page.numbers = {table, runs};
  page.pictures = {chart};
  page.see = {
      fmt::format("f16 has 5 bits of exponent: below 2^-24 everything is 0, below 2^-14 bits are missing. Of this pass "
                  "{:.1f} % fall to 0 and {:.1f} % lose bits.",
                  100 * one.zero, 100 * one.imprecise),
      fmt::format("The classifier multiplies the first gradient by 2^16, and every later one is 2^16 times larger: "
                  "only {:.1f} % "
                  "fall to 0 now, {:.1f} % overflow, and {:.1f} % keep all bits.",
                  100 * many.zero, 100 * many.infinite, 100 * many.kept),
      fmt::format("Before the update the scale is divided out, so the step is the same: the norm of the weights' "
                  "gradients is {:.5f} in f32, {:.5f} in f16 with the scale and {:.5f} without it.",
                  plain.norm, scaled_f16.norm, unscaled_f16.norm),
      fmt::format("A scale that is too high shows at once: a gradient is infinite. The scaler skips that step and "
                  "halves the scale; from 2^40 it skipped {:.0f} steps and went on at {}. After 2,000 clean steps it "
                  "would double it again.",
                  std::get<double>(runs.rows[3][2]), report::grouped(int64_t(std::get<double>(runs.rows[3][3])))),
      fmt::format("The run without a scaler ends at {:.4f}, that of f32 at {:.4f}: in a model this small the gradients "
                  "that count are far above 2^-24. They are not in every model, and the scale costs nothing.",
                  std::get<double>(runs.rows[1][4]), std::get<double>(runs.rows[0][4])),
      fmt::format("bf16 has f32's 8 bits of exponent: the {:.1f} % that are 0 come of rounding, not of the range, and "
                  "it needs no scale. It pays with 8 bits of precision instead of 11, so masters, moments and sums "
                  "stay f32.",
                  100 * brain.zero)};
  return page;
}

}  // namespace

Topic mixed_precision() {
  return {
      "mixed-precision",
      "Mixed precision, and what the loss scale saves",
      "16 bits are half the memory and more than twice the speed where a machine multiplies them. But gradients "
      "are small "
      "numbers. These are the gradients of one pass of a small trained model, computed in f32, f16 and bf16, and what "
      "runs in each come to.",
      {{"src/core/dtype.h", "the types, and rounding to them"},
       {"src/backend/step_state.h", "loss_scale and grad_factor, and how the scaler moves them"},
       {"src/backend/backend.h", "what is wide: masters, gradients of weights, moments, the residual stream"}},
      "--dtype f32, bf16 or f16; of f16 --loss-scale 65536 and --loss-scale-every 2000",
      run};
}

}  // namespace folio::learn

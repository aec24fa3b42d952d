// The model's backward is the derivative of its forward. Two oracles: the complex step, Im f(w + ih) / h, exact to
// rounding (Squire, Trapp 1998), where the complex run is the same production code on the reference backend; and
// PyTorch's autograd on transformers' GPT-2 (tests/golden/gradients.safetensors).
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

using Complex = std::complex<double>;
using model::Recompute;
constexpr int64_t T = 5, kSequences = 4;
constexpr double kStep = 1e-100, kBound = 1e-10;
constexpr char const* kRecompute[] = {"none", "mlp", "block"};

train::TrainerOptions options(model::Config const& c, DType dtype, int64_t accumulate, Recompute recompute = {}) {
  return {.config = c,
          .dtype = dtype,
          .batch = kSequences / accumulate,
          .accumulate = accumulate,
          .length = T,
          .chunk = 3,
          .recompute = recompute,
          .seed = 99,
          .decay = {},
          .optimizer = {},
          .decide = {},
          .classifier = {.label_smoothing = 0.1}};
}

// d objective / d w for every parameter, one forward of the whole batch each.
std::vector<double> complex_step(Backend& backend, model::Config const& c) {
  train::Trainer z(backend, options(c, DType::c128, 1));
  randomise(backend, z.weights());
  data::HostBatch const all = batch(kSequences, T, c.vocab);
  std::vector<double> derivative;
  StepState const start = z.state();
  for_each(z.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    for (int64_t i = 0; i < w.shape.size(); ++i) {
      w.master.as<Complex>()[i] += Complex(0, kStep);
      backend.prepare(w);
      z.set_state(start);
      z.accumulate(all, 0);  // its backward runs too and is ignored
      Complex objective = 0;
      auto const losses = host<Complex>(backend, z.acts().losses[1]);
      for (size_t n = 0; n < losses.size(); ++n)
        objective += losses[n] * double(all.token_weights[n]) / all.total_weight;
      derivative.push_back(objective.imag() / kStep);
      w.master.as<Complex>()[i] = w.master.as<Complex>()[i].real();
      backend.prepare(w);
    }
  });
  return derivative;
}

// Gradients of two identical passes, added onto accumulators that begin at 3: (g − 3) / 2.
std::vector<double> gradients(Backend& backend, model::Config const& c, int64_t accumulate, Recompute recompute) {
  train::Trainer f(backend, options(c, DType::f64, accumulate, recompute));
  randomise(backend, f.weights());
  for_each(f.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    std::fill_n(w.grad.as<double>(), w.grad.size(), 3.0);
  });
  data::HostBatch const all = batch(kSequences, T, c.vocab);
  StepState const start = f.state();
  for (int twice = 0; twice < 2; ++twice) f.set_state(start), f.accumulate(all, 0);
  std::vector<double> g = read_state(backend, f).g;
  for (double& x : g) x = (x - 3) / 2;
  return g;
}

class EveryParameter : public testing::TestWithParam<std::tuple<bool, bool>> {};

// Dropout at all four sites, targets of −1, token weights, label smoothing, logits in chunks of three tokens.
TEST_P(EveryParameter, IsTheComplexStepDerivative) {
  auto const backend = make_reference_backend();
  auto const [tied, bias] = GetParam();
  model::Config const c = small(tied, bias, 0.3);
  std::vector<double> const expected = complex_step(*backend, c);
  std::printf("  %zu parameters, largest relative error with recompute", expected.size());
  for (int const recompute : {0, 1, 2}) {
    double worst = 0;
    for (int64_t const accumulate : {1, 2}) {
      double const e = worst_error(gradients(*backend, c, accumulate, Recompute(recompute)), expected, 1e-3);
      EXPECT_LE(e, kBound) << accumulate << " micro-batches, recompute " << kRecompute[recompute];
      worst = std::max(worst, e);
    }
    std::printf("%s %s %.1e", recompute > 0 ? "," : "", kRecompute[recompute], worst);
  }
  std::printf("\n");
}

TEST_P(EveryParameter, HasTheGradientOfPyTorchsAutograd) {
  auto const backend = make_reference_backend();
  Golden const golden = read_golden("gradients");
  auto const [tied, bias] = GetParam();
  std::string const variant = name_of(small(tied, bias));
  model::Config const c = golden.models.at(variant);
  Shape const shape = golden.shape(variant + ".tokens");
  train::TrainerOptions o = options(c, DType::f64, 2);
  o.batch = shape[0] / 2, o.length = shape[1];
  train::Trainer t(*backend, o);
  set_formula_weights(*backend, t.weights(), golden.seed, golden.scale);
  data::HostBatch all =
      plain_batch(golden.integers(variant + ".tokens"), golden.integers(variant + ".targets"), shape[0]);
  auto const weights = golden.values(variant + ".weights");
  all.token_weights.assign(weights.begin(), weights.end());
  all.total_weight = 0;
  for (size_t n = 0; n < weights.size(); ++n) all.total_weight += all.targets[n] >= 0 ? weights[n] : 0;
  t.accumulate(all, 0);
  EXPECT_NEAR(t.state().loss, golden.values(variant + ".loss").at(0), 1e-12);
  double worst = 0;
  size_t compared = 0;
  for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    auto const expected = golden.values(variant + ".grad." + name);
    double const e = worst_error(values(*backend, w.grad), expected, 1e-3);
    EXPECT_LE(e, kBound) << name;
    worst = std::max(worst, e), compared += expected.size();
  });
  std::printf("  %zu parameters, largest relative error %.1e\n", compared, worst);
}

INSTANTIATE_TEST_SUITE_P(, EveryParameter, testing::Combine(testing::Bool(), testing::Bool()), [](auto const& info) {
  return name_of(small(std::get<0>(info.param), std::get<1>(info.param)));
});

TEST(Backward, IsLeftAsItIsByObserversWhichHearWhereTheyAre) {
  auto const backend = make_reference_backend();
  model::Config const c = small(true, true, 0.3);
  auto const plain = gradients(*backend, c, 2, Recompute::none);
  int64_t forward = 0, again = 0, named = 0, backward = 0, outside = 0;
  backend->observe([&](Event const& e) {
    std::string const op = e.op;
    forward += e.phase == Phase::forward && op == "linear_gelu";
    again += e.phase == Phase::recompute && e.layer == 1;
    backward += e.phase == Phase::backward && op == "attention_backward" && e.layer == 0;
    named += std::string(e.outputs[0].label) == "h.1.input";
    outside += e.layer == -1 && op == "classifier";
  });
  EXPECT_EQ(gradients(*backend, c, 2, Recompute::block), plain);
  constexpr int64_t kPasses = 2 * 2;  // micro-batches, twice
  EXPECT_EQ(forward, kPasses * 2);
  EXPECT_EQ(again, kPasses * 7);  // all ops of a block but the last projection and the sum after it
  EXPECT_EQ(backward, kPasses);
  EXPECT_EQ(named, kPasses);
  EXPECT_EQ(outside, kPasses);
}

// A trainer reads positions 0 … T − 1. The model takes any: packed documents and shifted windows will bring them.
TEST(Backward, AddsPositionGradientsWhereTheTokensStand) {
  auto const backend = make_reference_backend();
  model::Config c = small(true, true, 0);
  c.context = 9;
  constexpr int64_t B = 2;
  std::vector<int32_t> const positions{8, 3, 3, 0, 7, 2, 8, 1, 1, 5};  // some twice, 4 and 6 never
  data::HostBatch const all = batch(B, T, c.vocab);
  auto objective = [&](DType dtype, std::vector<double>& derivative) {
    model::WeightArenas arenas;
    Arena rest("rest");
    model::Weights w;
    model::Acts acts;
    model::Deltas deltas;
    Tensor tokens, places, targets, weights, state, input, scratch;
    auto lay_out = [&] {
      w = lay_out_weights(arenas, *backend, c, dtype, true);
      acts = lay_out_acts(rest, c, dtype, B, T, Recompute::none);
      deltas = lay_out_deltas(rest, c, dtype, B, T);
      tokens = rest.take("tokens", DType::i32, {B, T}), places = rest.take("positions", DType::i32, {B, T});
      targets = rest.take("targets", DType::i32, {B, T}), weights = rest.take("weights", DType::f32, {B, T});
      state = rest.take("state", DType::u8, {sizeof(StepState)});
      input = rest.take("input", DType::u8, {sizeof(StepInput)});
      Limits const limits{.dtype = dtype,
                          .rows = B * T,
                          .sequences = B,
                          .context = c.context,
                          .channels = c.channels,
                          .heads = c.heads,
                          .vocab = c.vocab,
                          .chunk = 4};
      scratch = rest.take("scratch", DType::u8, {int64_t(backend->scratch_bytes(limits))});
    };
    lay_out();
    for (Arena* a : {&arenas.masters, &arenas.gradients, &arenas.compute, &rest}) a->allocate(*backend);
    lay_out();
    backend->zero(arenas.gradients.flat(dtype));
    randomise(*backend, w);
    StepInput const step{.rate = 0, .inverse_total = 1 / all.total_weight};
    StepState const start;
    backend->upload(tokens, all.tokens.data()), backend->upload(places, positions.data());
    backend->upload(targets, all.targets.data()), backend->upload(weights, all.token_weights.data());
    backend->upload(input, &step);
    backend->lend_scratch(scratch);
    model::Batch const b{tokens, places, {}, {targets, weights}};
    auto pass = [&] {
      backend->upload(state, &start);
      backend->begin_step(state, input);
      forward(*backend, w, acts, b, state);
      classifier(*backend, w, acts, deltas, b.targets, state);
    };
    if (dtype == DType::f64) {
      pass();
      backward(*backend, w, acts, deltas, b, state);
      derivative = values(*backend, w.wpe.grad);
      return;
    }
    for (int64_t i = 0; i < w.wpe.shape.size(); ++i) {
      w.wpe.master.as<Complex>()[i] += Complex(0, kStep);
      pass();
      Complex sum = 0;
      auto const losses = host<Complex>(*backend, acts.losses[1]);
      for (size_t n = 0; n < losses.size(); ++n) sum += losses[n] * double(all.token_weights[n]) / all.total_weight;
      derivative.push_back(sum.imag() / kStep);
      w.wpe.master.as<Complex>()[i] = w.wpe.master.as<Complex>()[i].real();
    }
  };
  std::vector<double> expected, got;
  objective(DType::c128, expected), objective(DType::f64, got);
  EXPECT_LE(worst_error(got, expected, 1e-3), kBound);
  for (int64_t position = 0; position < c.context; ++position) {
    double sum = 0;
    for (int64_t i = 0; i < c.channels; ++i) sum += std::abs(got[position * c.channels + i]);
    bool const used = std::find(positions.begin(), positions.end(), position) != positions.end();
    EXPECT_EQ(sum > 0, used) << "position " << position;
  }
}

}  // namespace
}  // namespace folio::test

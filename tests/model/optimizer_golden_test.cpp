// SGD (plain, with momentum, Nesterov's), Adam, AdamW and Muon (wide, tall, several matrices in one weight) beside
// PyTorch's in f64: 1,000 steps of given gradients (tests/golden/optimizers.safetensors, tools/make_golden).
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"

namespace folio::test {
namespace {

using Rule = Optimizer::Rule;

struct Row {
  char const* name;
  Shape shape;
  Optimizer optimizer;
};

std::vector<Row> rows(Golden const& golden) {
  auto const with = [&](Rule rule, double momentum, bool nesterov, int64_t parts = 1) {
    return Optimizer{.rule = rule,
                     .nesterov = nesterov,
                     .decay = golden.number("decay"),
                     .beta1 = golden.number("beta1"),
                     .beta2 = golden.number("beta2"),
                     .epsilon = golden.number("epsilon"),
                     .momentum = momentum,
                     .parts = parts};
  };
  double const momentum = golden.number("momentum");
  return {{"sgd", {24}, with(Rule::sgd, 0, false)},
          {"momentum", {24}, with(Rule::sgd, momentum, false)},
          {"nesterov", {24}, with(Rule::sgd, momentum, true)},
          {"adam", {24}, with(Rule::adam, 0, false)},
          {"adamw", {24}, with(Rule::adamw, 0, false)},
          {"muon", {4, 6}, with(Rule::muon, momentum, true)},
          {"muon_tall", {6, 4}, with(Rule::muon, momentum, false)},
          {"muon_parts", {2, 12}, with(Rule::muon, momentum, true, 3)}};
}

struct OneWeight {  // and what its updates need, in f64
  Backend& backend;
  Arena arena{"one weight"};
  Weight weight;
  Moments moments;
  Tensor state, input;

  OneWeight(Backend& b, Shape const& shape, Optimizer const& o) : backend(b) {
    for (int pass = 0; pass < 2; ++pass) {
      auto const take = [&](char const* name) { return arena.take(name, DType::f64, shape); };
      weight = {.shape = shape, .uses = {}, .master = take("weight"), .grad = take("gradient"), .compute = {}};
      moments = {o.moments() > 0 ? take("m") : Tensor(), o.moments() > 1 ? take("v") : Tensor()};
      state = arena.take("state", DType::u8, {sizeof(StepState)});
      input = arena.take("input", DType::u8, {sizeof(StepInput)});
      Limits const limits{.dtype = DType::f64, .channels = 12, .muon = true};
      backend.lend_scratch(arena.take("scratch", DType::u8, {int64_t(backend.scratch_bytes(limits))}));
      if (pass == 0) arena.allocate(b);
    }
    backend.zero(arena.flat(DType::f64));
    StepState const fresh;
    backend.upload(state, &fresh);
  }
  void step(std::vector<float> const& gradient, double rate, Optimizer const& o) {
    backend.upload(weight.grad, std::vector<double>(gradient.begin(), gradient.end()).data());
    StepInput const in{.rate = rate, .inverse_total = 1};
    backend.upload(input, &in);
    backend.begin_step(state, input);
    backend.add_norm(state, weight.grad);
    backend.decide_step(state, {.clip = 0});
    backend.optimize(weight, moments, state, o);
  }
};

TEST(OptimizersOfPyTorch, HaveItsWeightsAndMomentsOver1000Steps) {
  Golden const golden = read_golden("optimizers");
  size_t compared = 0;
  for (auto const& [name, shape, optimizer] : rows(golden)) {
    int64_t const n = shape.size();
    auto const backend = make_reference_backend();
    OneWeight one(*backend, shape, optimizer);
    set_weight(*backend, one.weight, formula_values("weight", n, golden.seed, golden.scale));
    double worst = 0;
    for (int step = 1; step <= 1000; ++step) {
      one.step(formula_values(fmt::format("gradient.{}", step), n, golden.seed, golden.scale), 1e-2 / (1 + step % 7),
               optimizer);
      if (step != 1 && step != 10 && step != 100 && step != 1000) continue;
      for (auto const& [tag, tensor] :
           {std::pair{"w", one.weight.master}, {"m", one.moments.m}, {"v", one.moments.v}}) {
        if (tensor.empty()) continue;
        auto const key = fmt::format("{}.{}.{}", name, step, tag);
        auto const ours = values(*backend, tensor), theirs = golden.values(key);
        ASSERT_EQ(ours.size(), theirs.size()) << key;
        for (size_t i = 0; i < ours.size(); ++i) {
          double const error = std::abs(ours[i] - theirs[i]) / std::abs(theirs[i]);
          ASSERT_LE(error, 1e-9) << key << "[" << i << "]: " << ours[i] << ", expected " << theirs[i];
          worst = std::max(worst, error);
        }
        ++compared;
      }
    }
    std::printf("  %-10s  largest relative difference of a weight or moment %.1e\n", name, worst);
  }
  EXPECT_EQ(compared, golden.tensors.size()) << "every tensor of the file is compared";
}

}  // namespace
}  // namespace folio::test

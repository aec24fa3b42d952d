// The evaluator against the same sum made from a plain forward pass in memory of its own; batches, padding, weights.
#include "model/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/formula_weights.h"
#include "tests/support/reader.h"
#include "tests/support/scratch_folder.h"

namespace folio::model {
namespace {

struct Fixture {
  explicit Fixture(Config const& c, DType dtype = DType::f64)
      : backend(make_reference_backend()), reader(*backend, c, dtype), weights(reader.weights()) {
    test::set_formula_weights(*backend, weights, 5, 3);
  }
  // −log p of every target, from logits that a forward pass in memory of its own gives.
  std::vector<double> losses(std::vector<int32_t> const& tokens, std::vector<int32_t> const& targets, int64_t B) {
    std::vector<double> const z = reader.full(tokens, B).logits;
    size_t const V = size_t(weights.config.vocab);
    std::vector<double> out;
    for (size_t n = 0; n < targets.size(); ++n) {
      double sum = 0;
      for (size_t v = 0; v < V; ++v) sum += std::exp(z[n * V + v]);
      out.push_back(targets[n] < 0 ? 0 : std::log(sum) - z[n * V + size_t(targets[n])]);
    }
    return out;
  }
  std::unique_ptr<Backend> backend;
  test::Reader reader;
  Weights const& weights;
};

Config shape(int64_t layers) {
  return {.layers = layers, .heads = 2, .channels = 8, .vocab = 13, .context = 6, .dropout = {0.5, 0.5, 0.5, 0.5}};
}

struct Data {  // five sequences of T, some targets masked, with weights
  explicit Data(int64_t T) {
    for (int64_t i = 0; i < 5 * T; ++i) {
      tokens.push_back(int32_t(i * i % 13)), targets.push_back(i % 7 == 3 ? -1 : int32_t((3 * i + 1) % 13));
      weights.push_back(float(1 + i % 3) / 2);
    }
  }
  std::vector<int32_t> tokens, targets;
  std::vector<float> weights;
};

EvalResult run(Evaluator& evaluate, Weights const& w, Data const& d, int64_t batch, bool weighted) {
  size_t at = 0;
  return evaluate(w, [&](EvalBatch& b) {
    if (at == d.tokens.size()) return false;
    size_t const n = std::min(d.tokens.size() - at, size_t(batch * evaluate.context()));
    b = {std::span(d.tokens).subspan(at, n), std::span(d.targets).subspan(at, n), {}};
    if (weighted) b.weights = std::span(d.weights).subspan(at, n);
    at += n;
    return true;
  });
}

TEST(Evaluate, IsTheSumOfTheDefinitionWithoutDropout) {
  for (int64_t T : {6, 4}) {
    Fixture f(shape(3));
    Data const d(T);
    std::vector<double> const losses = f.losses(d.tokens, d.targets, 5);
    double plain = 0, weighted = 0, weight = 0;
    int64_t tokens = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      if (d.targets[i] < 0) continue;
      plain += losses[i], weighted += losses[i] * d.weights[i], weight += d.weights[i], ++tokens;
    }
    for (int64_t B : {1, 2, 5}) {
      Evaluator evaluate(*f.backend, f.weights.config, B, T, DType::f64);
      EvalResult const a = run(evaluate, f.weights, d, B, false);
      EXPECT_NEAR(a.loss_sum, plain, 1e-10);
      EXPECT_EQ(a.weight, double(tokens));
      EXPECT_EQ(a.tokens, tokens);
      EvalResult const b = run(evaluate, f.weights, d, B, true);  // again, in the same memory
      EXPECT_NEAR(b.loss_sum, weighted, 1e-10);
      EXPECT_NEAR(b.weight, weight, 1e-12);
      EXPECT_EQ(b.tokens, tokens);
    }
  }
}

TEST(Evaluate, DependsOnTheOrderOfBatchesInNoBit) {
  Fixture f(shape(2), DType::f32);
  Data const d(6);
  Evaluator one(*f.backend, f.weights.config, 1, 6, DType::f32), four(*f.backend, f.weights.config, 4, 6, DType::f32);
  EXPECT_EQ(run(one, f.weights, d, 1, true).loss_sum, run(four, f.weights, d, 4, true).loss_sum);
}

TEST(Evaluate, TakesTheMemoryOfOneLayer) {
  Fixture two(shape(2)), twenty(shape(20));
  EXPECT_EQ(Evaluator::plan(*two.backend, two.weights.config, 2, 6, DType::f32).bytes,
            Evaluator::plan(*twenty.backend, twenty.weights.config, 2, 6, DType::f32).bytes);
}

TEST(Evaluate, RefusesIdsOutsideTheVocabulary) {
  Fixture f(shape(2));
  Evaluator evaluate(*f.backend, f.weights.config, 5, 6, DType::f64);
  for (int32_t bad : {13, -1, INT32_MAX}) {
    Data d(6);
    d.tokens[4] = bad;
    EXPECT_EQ(test::error_of([&] { run(evaluate, f.weights, d, 5, false); }).fault, Fault::content);
  }
  for (int32_t bad : {13, -2}) {
    Data d(6);
    d.targets[4] = bad;
    EXPECT_EQ(test::error_of([&] { run(evaluate, f.weights, d, 5, false); }).fault, Fault::content);
  }
}

TEST(Evaluate, FiguresFollowFromTheSum) {
  EvalResult const r{.loss_sum = 20 * std::log(2.0), .weight = 10, .tokens = 10};
  EXPECT_NEAR(r.loss(), 2 * std::log(2.0), 1e-15);
  EXPECT_NEAR(r.perplexity(), 4, 1e-14);
  EXPECT_NEAR(r.bits_per_byte(40), 0.5, 1e-15);
  EXPECT_TRUE(std::isnan(EvalResult{}.loss()));
}

}  // namespace
}  // namespace folio::model

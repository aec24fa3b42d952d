// Small models, batches and trainers that the model's tests share.
#pragma once

#include <random>

#include "tests/support/values.h"
#include "train/trainer.h"

namespace folio::test {

inline model::Config small(bool tied = true, bool bias = true, double dropout = 0) {
  return {.layers = 2,
          .heads = 2,
          .channels = 8,
          .vocab = 13,
          .context = 6,
          .bias = bias,
          .tied = tied,
          .dropout = {dropout, dropout, dropout, dropout}};
}

inline constexpr int64_t kOddVocab = 67, kOddLength = 19;

/// Odd sizes, and on is all that could change a step: dropout at each site with its own rate, two micro-batches of two
/// sequences, clipping, smoothing, logits in chunks.
inline train::TrainerOptions odd_options(DType dtype) {
  return {.config = {.layers = 2,
                     .heads = 3,
                     .channels = 24,
                     .vocab = kOddVocab,
                     .context = kOddLength,
                     .bias = true,
                     .tied = true,
                     .dropout = {0.1, 0.2, 0.3, 0.15}},
          .dtype = dtype,
          .batch = 2,
          .accumulate = 2,
          .length = kOddLength,
          .chunk = 11,
          .seed = 5,
          .decay = {},
          .optimizer = {},
          .decide = {.clip = 0.5},
          .classifier = {.label_smoothing = 0.1}};
}

inline std::string name_of(model::Config const& c) {
  return std::string(c.tied ? "tied" : "untied") + (c.bias ? "_bias" : "_plain");
}

/// `sequences` rows of length T numbered from 100; every third target is −1; token weights are quarters.
inline data::HostBatch batch(int64_t sequences, int64_t T, int64_t V, unsigned seed = 7) {
  std::mt19937 random(seed);
  data::HostBatch b;
  for (int64_t s = 0; s < sequences; ++s) {
    b.sequences.push_back(100 + s);
    for (int64_t t = 0; t < T; ++t) {
      b.tokens.push_back(int32_t(random() % V));
      b.targets.push_back((s + t) % 3 == 0 ? -1 : int32_t(random() % V));
      b.token_weights.push_back(0.25f * float(1 + random() % 4));
      if (b.targets.back() >= 0) b.total_weight += b.token_weights.back();
    }
  }
  return b;
}

/// Tokens and targets as they lie in a golden file, every token of weight 1.
inline data::HostBatch plain_batch(std::vector<int32_t> tokens, std::vector<int32_t> targets, int64_t sequences) {
  data::HostBatch b{std::move(tokens), std::move(targets), {}, {}, 0};
  b.token_weights.assign(b.tokens.size(), 1);
  for (int64_t s = 0; s < sequences; ++s) b.sequences.push_back(s);
  for (int32_t t : b.targets) b.total_weight += t >= 0;
  return b;
}

/// The same N(0, deviation) draws in any dtype, rounded to f32; 0.5 leaves no gradient tiny.
inline void randomise(Backend& backend, model::Weights const& w, double deviation = 0.5) {
  std::mt19937 random(42);
  std::normal_distribution<double> normal(0, deviation);
  for_each(w, [&](std::string const&, Weight const& weight, model::Spec const&) {
    std::vector<float> v(weight.shape.size());
    for (float& x : v) x = static_cast<float>(normal(random));
    set_weight(backend, weight, v);
  });
}

struct State {  // everything an optimizer step writes
  std::vector<double> w, g, m, v;
};
inline State read_state(Backend& backend, train::Trainer const& t) {
  State all;
  size_t i = 0;
  auto add = [&](std::vector<double>& to, Tensor const& from) {
    if (from.empty()) return;  // an optimizer without this moment
    for (double x : values(backend, from)) to.push_back(x);
  };
  for_each(t.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    add(all.w, w.master), add(all.g, w.grad), add(all.m, t.moments()[i].m), add(all.v, t.moments()[i].v), ++i;
  });
  return all;
}

}  // namespace folio::test

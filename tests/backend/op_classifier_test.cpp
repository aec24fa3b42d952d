// The vocabulary: head, token_loss, classifier.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpClassifier : public OpTest {};

struct Case {
  int64_t N, C, V, chunk;
};
std::vector<Case> const kCases = {{1, 1, 1, 1}, {5, 7, 3, 2}, {9, 16, 65, 4}, {13, 33, 131, 13}, {66, 24, 513, 7}};
Limits limits(Case const& c) { return {.rows = c.N, .context = c.N, .channels = c.C, .vocab = c.V, .chunk = c.chunk}; }

Outputs head_and_scores(Rig& rig, Case const& c, bool training) {
  Draw draw(3);
  Values const values = draw.normal(c.V * c.C), grad = training ? draw.normal(c.V * c.C) : Values{};
  Weight const w = rig.weight({c.V, c.C}, {.lookup = true, .head = true}, values, grad);
  Tensor const x = rig.real({1, c.N, c.C}, draw.normal(c.N * c.C)), z = rig.output_wide({1, c.N, c.V}),
               scores = rig.output_f64({1, c.N, 3});
  rig.lend(limits(c));
  rig.backend->head(z, x, w);
  rig.backend->token_loss(scores, x, w, rig.ids({1, c.N}, draw.ids(c.N, c.V, 4)));
  Outputs out = {{"head", rig.read(z)}};
  Values const s = rig.read(scores);
  for (int64_t k = 0; k < 3; ++k) {  // log-probabilities, ranks and entropies have scales of their own
    Values column;
    for (int64_t n = 0; n < c.N; ++n) column.push_back(s[3 * n + k]);
    out.emplace_back("token_loss", column);
  }
  return out;
}

TEST_P(OpClassifier, HeadAndScoresInTrainingAndInference) {
  for (Case const& c : kCases)
    for (bool const training : {true, false}) {
      SCOPED_TRACE(::testing::Message() << c.N << " rows of " << c.V);
      check_body(candidate(), [&](Rig& rig) { return head_and_scores(rig, c, training); });
    }
}

TEST_P(OpClassifier, EqualLogitsAreRankedByLowerId) {
  for (int64_t const V : {3, 8, 37, 64})
    for (int32_t const target : {0, 1, int(V) / 2, int(V) - 1})
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Weight const w = rig.weight({V, 1}, {.head = true}, Values(V, 0.5));
        Tensor const x = rig.real({1, 1, 1}, {2.0}), scores = rig.output_f64({1, 1, 3});
        rig.lend({.rows = 1, .channels = 1, .vocab = V, .chunk = 1});
        rig.backend->token_loss(scores, x, w, rig.ids({1, 1}, {target}));
        Values const s = rig.read(scores);
        EXPECT_EQ(s[1], target);
        EXPECT_NEAR(s[0], -std::log(double(V)), 1e-6);
        EXPECT_NEAR(s[2], std::log(double(V)), 1e-6);
        return {{"token_loss", s}};
      });
}

Outputs loss_and_gradients(Rig& rig, Case const& c, double smoothing, double loss_scale) {
  Draw draw(5);
  Weight const w =
      rig.weight({c.V, c.C}, {.lookup = true, .head = true}, draw.normal(c.V * c.C, 0.5), draw.normal(c.V * c.C, 0.01));
  Tensor const x = rig.real({1, c.N, c.C}, draw.normal(c.N * c.C)), dx = rig.output({1, c.N, c.C}),
               losses = rig.output_wide({2, c.N});
  StepState s;
  s.input.inverse_total = 1 / double(c.N), s.loss_scale = loss_scale, s.loss = 0.5;
  Tensor const state = rig.object(s);
  Targets const targets{rig.ids({1, c.N}, draw.ids(c.N, c.V, 3)), rig.real_f32({1, c.N}, draw.uniform(c.N, 0, 2))};
  rig.lend(limits(c));
  for (int twice = 0; twice < 2; ++twice)
    rig.backend->classifier(losses, dx, x, w, targets, state, {.label_smoothing = smoothing});
  return {{"classifier", rig.read(losses)},
          {"classifier gradient", rig.read(dx)},
          {"classifier gradient", rig.read(w.grad)},
          {"classifier", {rig.read_object<StepState>(state).loss}}};
}

TEST_P(OpClassifier, LossAndAllGradientsTwice) {
  for (Case const& c : kCases)
    for (double const smoothing : {0.0, 0.1})
      for (double const scale : {1.0, 1024.0}) {
        SCOPED_TRACE(::testing::Message() << c.N << " rows of " << c.V << ", smoothing " << smoothing);
        check_body(candidate(), [&](Rig& rig) { return loss_and_gradients(rig, c, smoothing, scale); });
      }
}

TEST_P(OpClassifier, TheVocabularyOfGpt2) {
  Case const c{3, 8, 50257, 2};
  check_body(candidate(), [&](Rig& rig) { return head_and_scores(rig, c, false); });
  check_body(candidate(), [&](Rig& rig) { return loss_and_gradients(rig, c, 0.1, 1); });
}

TEST_P(OpClassifier, ATargetOfMinusOneCountsNothing) {
  Case const c{6, 9, 17, 4};
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Draw draw(1);
    Values const before = draw.normal(c.V * c.C);
    Weight const w = rig.weight({c.V, c.C}, {.head = true}, draw.normal(c.V * c.C), before);
    Tensor const x = rig.real({1, c.N, c.C}, draw.normal(c.N * c.C)), dx = rig.output({1, c.N, c.C}),
                 losses = rig.output_wide({2, c.N});
    StepState s;
    s.input.inverse_total = 1;
    Tensor const state = rig.object(s);
    rig.lend(limits(c));
    rig.backend->classifier(losses, dx, x, w,
                            {rig.ids({1, c.N}, std::vector<int32_t>(6, -1)), rig.real_f32({1, c.N}, Values(6, 1.0))},
                            state, {.label_smoothing = 0.2});
    EXPECT_EQ(rig.read(losses), Values(12, 0.0));
    EXPECT_EQ(rig.read(dx), Values(c.N * c.C, 0.0));
    EXPECT_EQ(rig.read(w.grad), before);
    EXPECT_EQ(rig.read_object<StepState>(state).loss, 0);
    return {};
  });
}

FOLIO_ON_EVERY_BACKEND(OpClassifier);

}  // namespace
}  // namespace folio::test

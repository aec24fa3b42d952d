// A training step is AdamW as PyTorch has it: 100 steps beside torch.optim.AdamW with clip_grad_norm_
// (tests/golden/adamw_*.safetensors: dropout 0, no warm-up, rate 1e-3, decay 0.1 on matrices, clipping always active),
// and beside the formula written down plainly.
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

// Batches (cycle, rows, T) are taken in turn; each step's rows are split into two micro-batches.
struct PyTorchRun {
  Golden golden;
  Shape shape;
  std::vector<int32_t> tokens, targets;
  train::Trainer trainer;

  PyTorchRun(Backend& backend, std::string const& file, DType dtype)
      : golden(read_golden(file)),
        shape(golden.shape("tokens")),
        tokens(golden.integers("tokens")),
        targets(golden.integers("targets")),
        trainer(backend, options(dtype)) {
    set_formula_weights(backend, trainer.weights(), golden.seed, golden.scale);
  }
  train::TrainerOptions options(DType dtype) const {
    return {.config = golden.models.at(""),
            .dtype = dtype,
            .batch = shape[1] / 2,
            .accumulate = 2,
            .length = shape[2],
            .chunk = 5,
            .recompute = {},
            .seed = 1,
            .decay = train::Decay::matrices,
            .optimizer = {.decay = golden.number("decay"),
                          .beta1 = golden.number("beta1"),
                          .beta2 = golden.number("beta2"),
                          .epsilon = golden.number("epsilon")},
            .decide = {.clip = golden.number("clip"), .spike = 0},
            .classifier = {}};
  }
  void step(int number) {  // from 1
    int64_t const size = shape[1] * shape[2], first = (number - 1) % shape[0] * size;
    auto part = [&](std::vector<int32_t> const& v) {
      return std::vector<int32_t>(v.begin() + first, v.begin() + first + size);
    };
    trainer.step(plain_batch(part(tokens), part(targets), shape[1]), golden.number("rate"));
  }
};

TEST(AdamW, HasPyTorchsWeightsAndMomentsInF64) {
  auto const backend = make_reference_backend();
  PyTorchRun run(*backend, "adamw_f64", DType::f64);
  auto const losses = run.golden.values("losses"), norms = run.golden.values("norms");
  for (int step = 1; step <= 100; ++step) {
    run.step(step);
    StepState const s = run.trainer.state();
    ASSERT_NEAR(s.loss, losses[step - 1], 1e-9) << "step " << step;
    ASSERT_NEAR(s.norm, norms[step - 1], 1e-9 * norms[step - 1]) << "step " << step;
    ASSERT_GT(s.norm, run.golden.number("clip")) << "clipping must be active";
    if (step != 1 && step != 10 && step != 100) continue;
    double worst = 0;
    size_t i = 0;
    for_each(run.trainer.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
      Moments const moments = run.trainer.moments()[i++];
      for (auto const& [tag, tensor] : {std::pair{".w.", w.master}, {".m.", moments.m}, {".v.", moments.v}}) {
        std::string const key = std::to_string(step) + tag + name;
        double const e = tensor_error(values(*backend, tensor), run.golden.values(key));
        EXPECT_LE(e, 1e-9) << key;
        worst = std::max(worst, e);
      }
    });
    EXPECT_EQ(run.golden.tensors.size(), 4 + 3 * 3 * i) << "tensors in the file";
    std::printf("  after step %3d: largest difference %.1e of a tensor's largest value\n", step, worst);
  }
}

class AdamWOfPyTorch : public testing::TestWithParam<Kind> {};

TEST_P(AdamWOfPyTorch, HasItsLosses) {
  auto const backend = GetParam().make();
  PyTorchRun run(*backend, "adamw_f32", DType::f32);
  auto const losses = run.golden.values("losses"), norms = run.golden.values("norms");
  ASSERT_LT(losses.back(), losses.front() / 2) << "the file's model must learn";
  double worst = 0;
  for (int step = 1; step <= 100; ++step) {
    run.step(step);
    StepState const s = run.trainer.state();
    EXPECT_NEAR(s.loss, losses[step - 1], 1e-4) << "step " << step;
    EXPECT_NEAR(s.norm, norms[step - 1], 5e-5 * norms[step - 1]) << "step " << step;
    ASSERT_GT(s.norm, run.golden.number("clip")) << "clipping must be active";
    worst = std::max(worst, std::abs(s.loss - losses[step - 1]));
  }
  std::printf("  100 steps, loss %.3f to %.3f, largest difference of a loss %.1e\n", losses.front(), losses.back(),
              worst);
}

INSTANTIATE_TEST_SUITE_P(InF32, AdamWOfPyTorch, testing::Values(kCpu, kCuda), kind_name);

train::TrainerOptions plain_options(double clip) {
  return {.config = small(true, true, 0.2),
          .dtype = DType::f64,
          .batch = 2,
          .accumulate = 2,
          .length = 5,
          .chunk = 3,
          .recompute = {},
          .seed = 5,
          .decay = {},
          .optimizer = {},
          .decide = {.clip = clip, .spike = 0},
          .classifier = {}};
}

// Bias correction counts accepted steps: the second step here is refused.
TEST(AdamW, EqualsThePlainFormulaPastARefusedStep) {
  auto const backend = make_reference_backend();
  double const clip = 0.05;
  train::Trainer t(*backend, plain_options(clip));
  State plain = read_state(*backend, t);
  std::vector<bool> matrix;
  for_each(t.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    matrix.insert(matrix.end(), w.shape.size(), w.shape.rank() == 2);
  });
  auto poisoned = batch(4, 5, 13);
  poisoned.token_weights[1] = INFINITY;
  double worst = 0;
  for (int step = 1; step <= 5; ++step) {
    double const rate = 1e-2 / step;
    if (step == 2) t.step(poisoned, rate);
    t.step(batch(4, 5, 13, unsigned(step)), rate);
    State const now = read_state(*backend, t);
    double norm = 0;
    for (double g : now.g) norm += g * g;
    norm = std::sqrt(norm);
    ASSERT_GT(norm, clip);
    ASSERT_NEAR(norm, t.state().norm, 1e-12);
    for (size_t i = 0; i < now.g.size(); ++i) {
      double const g = now.g[i] * clip / (norm + 1e-6);
      plain.m[i] = 0.9 * plain.m[i] + 0.1 * g, plain.v[i] = 0.95 * plain.v[i] + 0.05 * g * g;
      double const m = plain.m[i] / (1 - std::pow(0.9, step)), v = plain.v[i] / (1 - std::pow(0.95, step));
      plain.w[i] -= rate * (m / (std::sqrt(v) + 1e-8) + (matrix[i] ? 0.1 : 0) * plain.w[i]);
    }
    for (double e : {worst_error(now.w, plain.w, 1), worst_error(now.m, plain.m, 1), worst_error(now.v, plain.v, 1)})
      worst = std::max(worst, e);
    ASSERT_LT(worst, 1e-12) << "step " << step;
  }
  std::printf("  largest difference of a weight or moment %.1e\n", worst);
}

TEST(Clipping, IsOffBelowTheNormAndWhereClipIsZero) {
  auto const backend = make_reference_backend();
  train::Trainer loose(*backend, plain_options(1e6)), never(*backend, plain_options(0));
  for (auto* t : {&loose, &never}) {
    t->step(batch(4, 5, 13), 1e-2);
    EXPECT_EQ(t->state().grad_factor, 1);
  }
  EXPECT_EQ(read_state(*backend, loose).w, read_state(*backend, never).w);
}

// With gradients of zero only decay moves a weight.
TEST(Decay, AppliesToTheTensorsOfTheChosenGroup) {
  using train::Decay;
  auto const backend = make_reference_backend();
  for (bool const tied : {true, false})
    for (auto const decay : {Decay::matrices, Decay::linear, Decay::none}) {
      train::TrainerOptions o = plain_options(1);
      o.config.tied = tied, o.decay = decay, o.optimizer.decay = 0.5;
      train::Trainer t(*backend, o);
      randomise(*backend, t.weights());
      auto nothing = batch(4, 5, 13);
      std::fill(nothing.token_weights.begin(), nothing.token_weights.end(), 0.f);
      State const before = read_state(*backend, t);
      t.step(nothing, 0.1);
      State const after = read_state(*backend, t);
      size_t i = 0;
      for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
        bool const embedding = name == "wte.weight" || name == "wpe.weight";
        bool const decays = w.shape.rank() == 2 && (decay == Decay::matrices || (decay == Decay::linear && !embedding));
        for (int64_t k = 0; k < w.shape.size(); ++k, ++i)
          ASSERT_NEAR(after.w[i], before.w[i] * (decays ? 1 - 0.1 * 0.5 : 1), 1e-15)
              << name << (tied ? ", tied" : ", untied") << ", decay " << int(decay);
      });
    }
}

}  // namespace
}  // namespace folio::test

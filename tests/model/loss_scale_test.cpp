// Training in f16 with a gradient scaler: an overflow is skipped and halves the scale, clean steps double it, what
// moves the weights does not depend on it, and without it small gradients are lost.
#include <gtest/gtest.h>

#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

train::TrainerOptions options(double loss_scale, int64_t every, DType dtype = DType::f16) {
  train::TrainerOptions o = odd_options(dtype);
  o.loss_scale = loss_scale, o.decide.scale_every = every;
  return o;
}

data::HostBatch step_batch(unsigned seed) { return batch(4, kOddLength, kOddVocab, seed); }

TEST(LossScale, FallsUntilNothingOverflowsAndGrowsAgain) {
  auto const backend = make_cpu_backend(2);
  train::Trainer t(*backend, options(0x1p40, 4));
  std::vector<double> scales;
  int64_t skipped = 0;
  double scale = 0x1p40;
  for (unsigned step = 1; step <= 60; ++step) {
    State const before = read_state(*backend, t);
    EXPECT_EQ(t.state().loss_scale, scale);
    t.step(step_batch(step), 1e-3);
    StepState const s = t.state();
    if (!s.accept) {
      ++skipped;
      EXPECT_TRUE(std::isfinite(s.loss)) << "the forward pass is as it was";
      EXPECT_FALSE(std::isfinite(s.norm));
      EXPECT_EQ(s.loss_scale, scale / 2);
      State const after = read_state(*backend, t);
      EXPECT_TRUE(after.w == before.w && after.m == before.m && after.v == before.v) << "a skipped step writes nothing";
    } else {
      EXPECT_TRUE(s.loss_scale == scale || s.loss_scale == 2 * scale);
      EXPECT_TRUE(std::isfinite(s.norm));
    }
    scales.push_back(scale = s.loss_scale);
  }
  EXPECT_GT(skipped, 5) << "it began far too high";
  size_t const lowest = size_t(std::ranges::min_element(scales) - scales.begin());
  EXPECT_GT(*std::max_element(scales.begin() + int64_t(lowest), scales.end()), scales[lowest]) << "it grew again";
  EXPECT_GT(t.state().accepted, 20);
}

// The same steps with another scale: gradients agree to f16's rounding, and with f32's.
TEST(LossScale, DoesNotMoveTheWeights) {
  auto const backend = make_cpu_backend(2);
  train::Trainer small(*backend, options(1024, 0)), large(*backend, options(16384, 0)),
      wide(*backend, options(1024, 0, DType::f32));
  EXPECT_EQ(wide.state().loss_scale, 1) << "f32 has none";
  for (auto* t : {&small, &large, &wide}) t->step(step_batch(1), 1e-3);
  EXPECT_NEAR(small.state().norm, large.state().norm, 1e-3 * small.state().norm);
  EXPECT_NEAR(small.state().norm, wide.state().norm, 3e-3 * wide.state().norm);
  State const a = read_state(*backend, small), b = read_state(*backend, large), c = read_state(*backend, wide);
  EXPECT_LE(tensor_error(a.m, b.m), 2e-3);
  EXPECT_LE(tensor_error(a.m, c.m), 1e-2);
  EXPECT_NE(a.m, c.m);
}

// How many elements of the gradients of activations are 0, in a fresh model of the small recipe of docs/performance.md:
// a step of one micro-batch, and one of 64, whose every token weighs less.
TEST(LossScale, KeepsSmallGradientsThatAreLostWithoutIt) {
  auto const zeros = [](double loss_scale, DType dtype, int micro_batches) {
    auto const backend = make_cpu_backend(2);
    train::Trainer t(*backend,
                     {.config = {.layers = 4, .heads = 4, .channels = 128, .vocab = 65, .context = 64, .dropout = {}},
                      .dtype = dtype,
                      .batch = 12,
                      .length = 64,
                      .chunk = 768,
                      .optimizer = {},
                      .loss_scale = loss_scale,
                      .decide = {},
                      .classifier = {}});
    int64_t zeros = 0, all = 0;
    backend->observe([&](Event const& e) {
      for (Tensor const& out : e.outputs)  // dqkv, dfc, …, which lie in f16; the residual stream's is wide
        if (e.phase == Phase::backward && out.label[0] == 'd' && std::string(out.label) != "dresidual")
          for (double const v : values(*backend, out)) zeros += v == 0, ++all;
    });
    data::HostBatch one = batch(12, 64, 65);
    one.total_weight *= micro_batches;
    t.step(one, 1e-3);
    EXPECT_GT(all, 1'000'000);
    return 100 * double(zeros) / double(all);
  };
  for (int const micro_batches : {1, 64}) {
    double const wide = zeros(1, DType::f32, micro_batches), scaled = zeros(65536, DType::f16, micro_batches),
                 plain = zeros(1, DType::f16, micro_batches);
    std::printf(
        "  zeros among gradients of activations, %2d micro-batches: f32 %.2f %%, f16 %.2f %%, unscaled %.2f %%\n",
        micro_batches, wide, scaled, plain);
    EXPECT_LT(scaled, wide + 0.5);
    EXPECT_GT(plain, wide + (micro_batches == 1 ? 1 : 10));
  }
}

}  // namespace
}  // namespace folio::test

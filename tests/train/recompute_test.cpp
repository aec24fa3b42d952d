// Recomputation changes no bit: losses, norms, gradients, weights and moments of several steps with dropout,
// accumulation and masked targets are those of a run that keeps every activation; and it saves the memory it is for.
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

using model::Recompute;

train::TrainerOptions options(Kind const& kind, Recompute recompute) {
  train::TrainerOptions o = odd_options(kind.dtype);
  o.config.layers = 3;
  o.recompute = recompute;
  return o;
}

struct Ran {
  std::vector<double> losses, norms;
  State state;
  size_t activation_bytes = 0;
};

Ran run(Kind const& kind, Recompute recompute) {
  auto const backend = kind.make();
  train::Trainer t(*backend, options(kind, recompute));
  randomise(*backend, t.weights(), 0.3);
  Ran ran;
  for (unsigned step = 0; step < 5; ++step) {
    t.step(batch(4, kOddLength, kOddVocab, step), 1e-2);
    for (double x : values(*backend, t.acts().losses)) ran.losses.push_back(x);
    ran.losses.push_back(t.state().loss);
    ran.norms.push_back(t.state().norm);
  }
  ran.state = read_state(*backend, t);
  for (Arena const* a : t.arenas())
    if (a->role() == "activations") ran.activation_bytes = a->bytes();
  return ran;
}

class Recomputation : public testing::TestWithParam<Kind> {};

TEST_P(Recomputation, ChangesNoBit) {
  Ran const kept = run(GetParam(), Recompute::none);
  ASSERT_TRUE(std::isfinite(kept.losses.back()));
  ASSERT_GT(kept.state.g.size(), 10'000u);
  size_t bytes = kept.activation_bytes;
  for (Recompute const recompute : {Recompute::mlp, Recompute::block}) {
    Ran const again = run(GetParam(), recompute);
    std::string const which = recompute == Recompute::mlp ? "mlp" : "block";
    EXPECT_TRUE(again.losses == kept.losses) << which;
    EXPECT_TRUE(again.norms == kept.norms) << which;
    EXPECT_TRUE(again.state.g == kept.state.g) << which;
    EXPECT_TRUE(again.state.w == kept.state.w) << which;
    EXPECT_TRUE(again.state.m == kept.state.m) << which;
    EXPECT_TRUE(again.state.v == kept.state.v) << which;
    EXPECT_LT(again.activation_bytes, bytes) << which;
    bytes = again.activation_bytes;
  }
}

INSTANTIATE_TEST_SUITE_P(, Recomputation, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16),
                         kind_name);

}  // namespace
}  // namespace folio::test

// New weights pass the check of initial weights whatever the seed and the shape; each kind of mistake is found in the
// tensor where it is; and a model that an optimizer worked on is known as such.
#include "model/initial_check.h"

#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

using model::InitialWeights;

class Initial : public testing::TestWithParam<Kind> {
 protected:
  model::Config config(bool bias = true, bool tied = true) const {
    return {.layers = 3,
            .heads = 2,
            .channels = 32,
            .vocab = 301,
            .context = 40,
            .bias = bias,
            .tied = tied,
            .dropout = {}};
  }
  train::TrainerOptions options(uint64_t seed = 1) const {
    return {.config = config(),
            .dtype = GetParam().dtype,
            .length = 40,
            .seed = seed,
            .optimizer = {},
            .decide = {},
            .classifier = {}};
  }
  std::string off(InitialWeights const& w) const {
    std::string names;
    for (model::InitialNumbers const& n : w.off()) names += n.tensor + " ";
    return names;
  }
};

TEST_P(Initial, NewWeightsPassWhateverTheSeedAndTheShape) {
  auto const backend = GetParam().make();
  for (uint64_t seed = 1; seed <= 20; ++seed)
    for (bool const bias : {true, false}) {
      train::TrainerOptions o = options(seed);
      o.config = config(bias, bias);
      train::Trainer const t(*backend, o);
      InitialWeights const w = check_initial(*backend, t.weights());
      EXPECT_EQ(off(w), "") << seed;
      EXPECT_FALSE(w.trained());
    }
}

TEST_P(Initial, AMistakeIsFoundInItsTensor) {
  auto const backend = GetParam().make();
  train::Trainer t(*backend, options());
  model::Weights const& w = t.weights();
  auto const spoilt = [&](Weight const& weight, auto change) {
    std::vector<double> const was = values(*backend, weight.master);
    std::vector<double> is = was;
    for (double& v : is) v = change(v);
    set_weight(*backend, weight, is);
    InitialWeights const checked = check_initial(*backend, w);
    set_weight(*backend, weight, was);
    EXPECT_FALSE(checked.trained());
    return off(checked);
  };
  EXPECT_EQ(spoilt(w.blocks[1].c_proj.weight, [](double v) { return v * std::sqrt(6); }), "h.1.attn.c_proj.weight ");
  EXPECT_EQ(spoilt(w.blocks[2].mlp_proj.weight, [](double v) { return v * std::sqrt(6); }), "h.2.mlp.c_proj.weight ");
  EXPECT_EQ(spoilt(w.blocks[0].c_fc.weight, [](double v) { return v + 0.003; }), "h.0.mlp.c_fc.weight ");
  EXPECT_EQ(spoilt(w.wte, [](double v) { return v * 1.1; }), "wte.weight ");
  EXPECT_EQ(spoilt(w.wpe, [](double) { return 0.0; }), "wpe.weight ");
  EXPECT_EQ(spoilt(w.blocks[0].ln_2.weight, [](double) { return 0.0; }), "h.0.ln_2.weight ");
  EXPECT_EQ(spoilt(w.ln_f.bias, [](double) { return 0.01; }), "ln_f.bias ");
  EXPECT_EQ(spoilt(w.blocks[2].c_attn.bias, [](double) { return NAN; }), "h.2.attn.c_attn.bias ");
  EXPECT_EQ(spoilt(w.blocks[2].c_attn.weight, [](double) { return NAN; }), "h.2.attn.c_attn.weight ");
  EXPECT_EQ(off(check_initial(*backend, w)), "");
}

TEST_P(Initial, AStepOfAnOptimizerIsSeen) {
  auto const backend = GetParam().make();
  train::Trainer t(*backend, options());
  t.step(batch(1, 40, 301), 1e-3);
  EXPECT_TRUE(check_initial(*backend, t.weights()).trained());
}

INSTANTIATE_TEST_SUITE_P(, Initial, testing::Values(kReference, kCpu, kCpuBf16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

// A fresh model knows nothing and says so (its loss is near ln V), its weights have GPT-2's deviations, and small tasks
// are learnt in seconds.
#include "tests/support/formula_weights.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

train::TrainerOptions options(model::Config const& c, DType dtype, int64_t batch, int64_t length) {
  return {.config = c,
          .dtype = dtype,
          .batch = batch,
          .accumulate = 1,
          .length = length,
          .chunk = 64,
          .recompute = {},
          .seed = 11,
          .decay = {},
          .optimizer = {},
          .decide = {},
          .classifier = {}};
}

class Fresh : public testing::TestWithParam<Kind> {};

TEST_P(Fresh, ModelsLossIsNearTheLogOfTheVocabulary) {
  auto const backend = GetParam().make();
  for (int64_t const V : {65, 1000, 50257}) {
    model::Config const c{
        .layers = 2, .heads = 2, .channels = 32, .vocab = V, .context = 16, .bias = true, .tied = true, .dropout = {}};
    train::Trainer t(*backend, options(c, GetParam().dtype, 4, 16));
    t.accumulate(batch(4, 16, V), 0);
    EXPECT_NEAR(t.state().loss, std::log(double(V)), 0.05) << V;
  }
}

TEST_P(Fresh, WeightsHaveGpt2sDeviations) {
  auto const backend = GetParam().make();
  for (bool const tied : {true, false}) {
    model::Config const c{.layers = 8,
                          .heads = 4,
                          .channels = 64,
                          .vocab = 301,
                          .context = 128,
                          .bias = true,
                          .tied = tied,
                          .dropout = {}};
    train::Trainer t(*backend, options(c, GetParam().dtype, 1, 2));
    std::vector<double> before;
    for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
      auto const v = values(*backend, w.master);
      double sum = 0, squares = 0;
      for (double x : v) sum += x, squares += x * x;
      double const mean = sum / double(v.size()), deviation = std::sqrt(squares / double(v.size()) - mean * mean);
      if (w.shape.rank() == 1) {
        double const expected = name.ends_with(".weight") ? 1 : 0;  // layer norms 1 and 0, biases 0
        for (double x : v) ASSERT_EQ(x, expected) << name;
        return;
      }
      double const expected = name.ends_with("c_proj.weight") ? 0.02 / std::sqrt(2.0 * 8) : 0.02;
      double const error = 4 / std::sqrt(2.0 * double(v.size()));  // four standard errors of a deviation
      EXPECT_NEAR(deviation, expected, expected * error) << name;
      EXPECT_NEAR(mean, 0, 4 * expected / std::sqrt(double(v.size()))) << name;
      double fourth = 0;
      for (double x : v) fourth += std::pow((x - mean) / deviation, 4) / double(v.size());
      EXPECT_NEAR(fourth, 3, 0.5) << name << " is not normal";
      std::vector<double> const head(v.begin(), v.begin() + 64);
      EXPECT_NE(head, before) << name << " repeats the draws of the tensor before it";
      before = head;
    });
  }
}

TEST_P(Fresh, WeightsComeFromTheSeedAlone) {
  auto const backend = GetParam().make();
  auto o = options(small(), GetParam().dtype, 2, 5);
  train::Trainer a(*backend, o), b(*backend, o);
  o.seed = 12;
  train::Trainer other(*backend, o);
  EXPECT_EQ(read_state(*backend, a).w, read_state(*backend, b).w);
  EXPECT_NE(read_state(*backend, a).w, read_state(*backend, other).w);
}

class Learns : public testing::TestWithParam<Kind> {};

TEST_P(Learns, EightSentencesByHeart) {
  auto const backend = GetParam().make();
  auto o = options(small(), DType::f32, 4, 5);
  o.accumulate = 2, o.optimizer.decay = 0;
  train::Trainer t(*backend, o);
  auto const all = batch(8, 5, 13);
  t.step(all, 1e-2);
  double const first = t.state().loss;
  for (int i = 1; i < 300; ++i) t.step(all, 1e-2);
  std::printf("  loss %.3f (ln 13 = %.3f) to %.3f\n", first, std::log(13.0), t.state().loss);
  EXPECT_NEAR(first, std::log(13.0), 0.05);
  EXPECT_LT(t.state().loss, 0.3);
}

// The second half of a sequence repeats the first, which is random: it can only be copied, by attention to the token
// after the one that is the same. Sequences are new at every step, so nothing can be learnt by heart.
TEST_P(Learns, ToCopyByAttention) {
  auto const backend = GetParam().make();
  constexpr int64_t V = 8, kHalf = 6, T = 2 * kHalf - 1, B = 16;
  model::Config const c{
      .layers = 2, .heads = 2, .channels = 32, .vocab = V, .context = T, .bias = true, .tied = true, .dropout = {}};
  auto o = options(c, DType::f32, B, T);
  o.optimizer.decay = 0.01;
  train::Trainer t(*backend, o);
  uint64_t draw = 0;
  double last = 0;
  int const steps = 200;
  for (int step = 1; step <= steps; ++step) {
    Tokens tokens, targets;
    for (int64_t b = 0; b < B; ++b) {
      Tokens row;
      for (int64_t i = 0; i < kHalf; ++i) row.push_back(int32_t(formula_draw(17, draw++) % V));
      row.insert(row.end(), row.begin(), row.begin() + kHalf);
      tokens.insert(tokens.end(), row.begin(), row.end() - 1);
      for (int64_t i = 1; i < 2 * kHalf; ++i) targets.push_back(i < kHalf ? -1 : row[i]);
    }
    t.step(plain_batch(tokens, targets, B), 3e-3 * std::min(1.0, step / 20.0));
    if (step > steps - 20) last += t.state().loss / 20;
  }
  std::printf("  loss over the last 20 steps %.4f (ln 8 = %.3f)\n", last, std::log(8.0));
  EXPECT_LT(last, 0.1);
}

INSTANTIATE_TEST_SUITE_P(, Fresh, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);
INSTANTIATE_TEST_SUITE_P(, Learns, testing::Values(kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

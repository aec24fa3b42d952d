// Logits against transformers' GPT-2 (tests/golden/logits_small.safetensors, f64), as one forward pass and as ragged
// calls with a cache; token_loss against the logits.
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"

namespace folio::test {
namespace {

constexpr char const* kVariants[] = {"tied_bias", "tied_plain", "untied_bias", "untied_plain"};

TEST(Logits, AreThoseOfTransformersInF64) {
  auto const backend = make_reference_backend();
  Golden const golden = read_golden("logits_small");
  ASSERT_EQ(golden.models.size(), std::size(kVariants));
  double worst = 0;
  for (std::string const variant : kVariants) {
    Reader reader(*backend, golden.models.at(variant), DType::f64);
    set_formula_weights(*backend, reader.weights(), golden.seed, golden.scale);
    Shape const shape = golden.shape(variant + ".tokens");
    auto const expected = golden.values(variant + ".logits");
    double const e = worst_error(reader.full(golden.integers(variant + ".tokens"), shape[0]).logits, expected, 1);
    EXPECT_LE(e, 1e-10) << variant;
    worst = std::max(worst, e);
  }
  std::printf("  4 models, largest difference %.1e\n", worst);
}

// Both rows of the file as one ragged batch, fed in pieces that cross the cache's blocks.
TEST(Logits, OfRaggedCallsAreThoseOfTransformersInF64) {
  auto const backend = make_reference_backend();
  Golden const golden = read_golden("logits_small");
  double worst = 0;
  for (std::string const variant : kVariants) {
    model::Config const c = golden.models.at(variant);
    Reader reader(*backend, c, DType::f64);
    set_formula_weights(*backend, reader.weights(), golden.seed, golden.scale);
    Decoder decoder(reader, {.blocks = 4, .tokens = 48, .sequences = 2});
    auto const tokens = golden.integers(variant + ".tokens");
    auto const expected = golden.values(variant + ".logits");
    int64_t const T = golden.shape(variant + ".tokens")[1];
    int const ids[] = {decoder.add(), decoder.add()};
    int64_t at[] = {0, 0};
    for (auto const& [first, second] : {std::pair{1, 30}, {29, 1}, {3, 4}, {4, 2}}) {
      int const counts[] = {first, second};
      std::vector<std::pair<int, Tokens>> news;
      for (int s = 0; s < 2; ++s) {
        auto const begin = tokens.begin() + s * T + at[s];
        news.push_back({ids[s], Tokens(begin, begin + counts[s])});
      }
      auto const got = decoder.feed(news);
      for (int s = 0; s < 2; ++s) {
        double const e = worst_error(got[s], {&expected[(s * T + at[s]) * c.vocab], got[s].size()}, 1);
        EXPECT_LE(e, 1e-10) << variant << ", sequence " << s << " at " << at[s];
        worst = std::max(worst, e);
        at[s] += counts[s];
      }
    }
    EXPECT_TRUE(at[0] == T && at[1] == T);
  }
  std::printf("  4 models, largest difference %.1e\n", worst);
}

class Score : public testing::TestWithParam<Kind> {};

TEST_P(Score, OfATokenAgreesWithItsLogits) {
  auto const backend = GetParam().make();
  double const bound = 100 * GetParam().bound;
  model::Config c{
      .layers = 2, .heads = 2, .channels = 16, .vocab = 31, .context = 21, .bias = true, .tied = false, .dropout = {}};
  Reader reader(*backend, c, GetParam().dtype);
  set_formula_weights(*backend, reader.weights(), 5, 4);
  Tokens tokens(c.context);
  for (size_t t = 0; t < tokens.size(); ++t) tokens[t] = int32_t(formula_draw(9, t) % uint64_t(c.vocab));
  auto const [z, scores] = reader.full(tokens);
  for (int64_t t = 0; t < c.context; ++t) {
    double const* row = &z[t * c.vocab];
    double sum = 0, entropy = 0;
    int rank = 0;
    for (int64_t v = 0; v < c.vocab; ++v) sum += std::exp(row[v]);
    for (int64_t v = 0; v < c.vocab; ++v) entropy -= std::exp(row[v]) / sum * (row[v] - std::log(sum));
    bool const counts = t + 1 < c.context;
    for (int64_t v = 0; counts && v < c.vocab; ++v) rank += row[v] > row[tokens[t + 1]];
    EXPECT_NEAR(scores[3 * t], counts ? row[tokens[t + 1]] - std::log(sum) : 0, bound) << t;
    EXPECT_EQ(scores[3 * t + 1], counts ? rank : -1) << t;
    EXPECT_NEAR(scores[3 * t + 2], entropy, bound) << t;
  }
}

// All logits equal: the rank of a token is its id.
TEST_P(Score, BreaksTiesByTheLowerId) {
  auto const backend = GetParam().make();
  model::Config c{
      .layers = 1, .heads = 1, .channels = 8, .vocab = 9, .context = 9, .bias = true, .tied = false, .dropout = {}};
  Reader reader(*backend, c, GetParam().dtype);
  set_formula_weights(*backend, reader.weights(), 5, 4);
  set_weight(*backend, reader.weights().head, std::vector<float>(c.vocab * c.channels, 0.f));
  auto const scores = reader.full({4, 8, 0, 7, 1, 6, 2, 5, 3}).scores;
  Tokens const next{8, 0, 7, 1, 6, 2, 5, 3};
  for (size_t t = 0; t < next.size(); ++t) EXPECT_EQ(scores[3 * t + 1], next[t]);
}

INSTANTIATE_TEST_SUITE_P(, Score, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

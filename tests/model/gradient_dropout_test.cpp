// Dropout, which the complex step sees only as whatever forward and backward agree on: its masks are those of the
// documented formula at every site, its rate and scale are right, it is numbered by sequence and by attempted step,
// and evaluation and generation are without it.
#include "core/random.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

constexpr int64_t B = 24, T = 6, C = 8, H = 2, kVocab = 13;
constexpr double kRate = 0.3;
constexpr uint64_t kSeed = 77;

double factor(int64_t step, uint32_t layer, Site site, int64_t index) {  // backend.h, Dropout
  uint32_t const word = random_word(kSeed, Domain::dropout, uint32_t(step), layer, uint32_t(site), uint64_t(index));
  return word >= uint32_t(std::llround(kRate * 4294967296.0)) ? 1 / (1 - kRate) : 0;
}

class Dropped : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Backend> backend_ = GetParam().make();
  data::HostBatch const all_ = [] {
    data::HostBatch b = batch(B, T, kVocab);
    for (size_t s = 0; s < b.sequences.size(); ++s) b.sequences[s] = int64_t(7 * s + 3);
    return b;
  }();

  train::TrainerOptions options(model::DropoutRates const& rates) const {
    model::Config c = small();
    c.dropout = rates;
    return {.config = c,
            .dtype = GetParam().dtype,
            .batch = B,
            .accumulate = 1,
            .length = T,
            .chunk = 16,
            .recompute = {},
            .seed = kSeed,
            .decay = {},
            .optimizer = {},
            .decide = {},
            .classifier = {}};
  }
  struct Block {  // activations of one block after one pass
    std::vector<double> input, qkv, att, mid, next;
  };
  // For layer 1 the first block's projections are zero, so that nothing is dropped before it.
  Block run(model::DropoutRates const& rates, size_t layer) {
    train::Trainer t(*backend_, options(rates));
    randomise(*backend_, t.weights());
    model::BlockWeights const& first = t.weights().blocks[0];
    for (Weight const& w : {first.c_proj.weight, first.c_proj.bias, first.mlp_proj.weight, first.mlp_proj.bias})
      if (layer == 1) set_weight(*backend_, w, std::vector<float>(w.shape.size()));
    t.accumulate(all_, 0);
    model::BlockActs const& a = t.acts().blocks[layer];
    return {values(*backend_, a.input), values(*backend_, a.qkv), values(*backend_, a.att), values(*backend_, a.mid),
            values(*backend_, layer == 0 ? t.acts().blocks[1].input : t.acts().hidden)};
  }
  // y − x = factor · (plain_y − x) for every element of a (B, T, C) site; x empty: 0
  void expect_masked(std::vector<double> const& y, std::vector<double> const& x, std::vector<double> const& plain_y,
                     Site site, uint32_t layer) {
    int64_t kept = 0;
    for (int64_t i = 0; i < B * T * C; ++i) {
      int64_t const index = all_.sequences[i / (T * C)] * T * C + i % (T * C);
      double const f = factor(1, layer, site, index), from = x.empty() ? 0 : x[i];
      kept += f != 0;
      ASSERT_NEAR(y[i] - from, f * (plain_y[i] - from), 20 * GetParam().bound) << "element " << i;
    }
    EXPECT_NEAR(double(kept) / double(B * T * C), 1 - kRate, 0.06);  // 4.5 standard deviations of 1,152 draws
  }
  void expect_attention_masked(uint32_t layer);
};

TEST_P(Dropped, EmbeddingHasTheDocumentedMask) {
  expect_masked(run({.embedding = kRate}, 0).input, {}, run({}, 0).input, Site::embedding, 0);
}
TEST_P(Dropped, AttentionResidualHasTheDocumentedMask) {
  for (uint32_t const layer : {0, 1}) {
    Block const plain = run({}, layer), dropped = run({.attention_residual = kRate}, layer);
    expect_masked(dropped.mid, plain.input, plain.mid, Site::attention_residual, layer);
  }
}
TEST_P(Dropped, MlpResidualHasTheDocumentedMask) {
  for (uint32_t const layer : {0, 1}) {
    Block const plain = run({}, layer), dropped = run({.mlp_residual = kRate}, layer);
    expect_masked(dropped.next, plain.mid, plain.next, Site::mlp_residual, layer);
  }
}
TEST_P(Dropped, AttentionHasTheDocumentedMask) {
  expect_attention_masked(0);
  expect_attention_masked(1);
}

void Dropped::expect_attention_masked(uint32_t layer) {
  Block const plain = run({}, layer), dropped = run({.attention = kRate}, layer);
  EXPECT_EQ(plain.qkv, dropped.qkv);
  int64_t constexpr D = C / H;
  int64_t kept = 0, drawn = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t q = 0; q < T; ++q) {
        auto at = [&](int64_t t, int64_t part, int64_t d) {
          return plain.qkv[((b * T + t) * 3 + part) * C + h * D + d];
        };
        std::vector<double> p(q + 1), f(q + 1);
        double sum = 0;
        for (int64_t k = 0; k <= q; ++k, ++drawn) {
          for (int64_t d = 0; d < D; ++d) p[k] += at(q, 0, d) * at(k, 1, d) / std::sqrt(double(D));
          sum += p[k] = std::exp(p[k]);
          f[k] = factor(1, layer, Site::attention, ((all_.sequences[b] * H + h) * T + q) * T + k);
          kept += f[k] != 0;
        }
        for (int64_t d = 0; d < D; ++d) {
          double y = 0;
          for (int64_t k = 0; k <= q; ++k) y += p[k] / sum * at(k, 2, d) * f[k];
          ASSERT_NEAR(dropped.att[(b * T + q) * C + h * D + d], y, 20 * GetParam().bound);
        }
      }
  EXPECT_NEAR(double(kept) / double(drawn), 1 - kRate, 0.065);
}

TEST_P(Dropped, IsNumberedBySequenceAndNotByRow) {
  auto const rates = small(true, true, kRate).dropout;
  train::Trainer forwards(*backend_, options(rates)), backwards(*backend_, options(rates));
  data::HostBatch reversed = all_;
  for (int64_t s = 0; s < B; ++s) {
    reversed.sequences[s] = all_.sequences[B - 1 - s];
    for (int64_t t = 0; t < T; ++t) {
      int64_t const to = s * T + t, from = (B - 1 - s) * T + t;
      reversed.tokens[to] = all_.tokens[from], reversed.targets[to] = all_.targets[from];
      reversed.token_weights[to] = all_.token_weights[from];
    }
  }
  for (auto* t : {&forwards, &backwards}) randomise(*backend_, t->weights());
  forwards.accumulate(all_, 0), backwards.accumulate(reversed, 0);
  auto const a = values(*backend_, forwards.acts().losses[0]), b = values(*backend_, backwards.acts().losses[0]);
  for (int64_t s = 0; s < B; ++s)
    for (int64_t t = 0; t < T; ++t) ASSERT_NEAR(a[s * T + t], b[(B - 1 - s) * T + t], 20 * GetParam().bound);
  EXPECT_LE(tensor_error(read_state(*backend_, forwards).g, read_state(*backend_, backwards).g), 20 * GetParam().bound);
}

TEST_P(Dropped, IsDrawnAnewForEachAttemptedStepAndSeed) {
  auto const rates = small(true, true, kRate).dropout;
  auto losses = [&](uint64_t seed, int64_t attempted) {
    train::TrainerOptions o = options(rates);
    o.seed = seed;
    train::Trainer t(*backend_, o);
    randomise(*backend_, t.weights());
    StepState s = t.state();
    s.attempted = attempted;
    t.set_state(s);
    t.accumulate(all_, 0);
    return values(*backend_, t.acts().losses[0]);
  };
  auto const first = losses(kSeed, 0);
  EXPECT_EQ(first, losses(kSeed, 0));
  EXPECT_NE(first, losses(kSeed, 1));
  EXPECT_NE(first, losses(kSeed + 1, 0));
}

TEST_P(Dropped, IsTheIdentityInEvaluationAndGeneration) {
  train::Trainer plain(*backend_, options({})), dropped(*backend_, options(small(true, true, kRate).dropout));
  for (auto* t : {&plain, &dropped}) randomise(*backend_, t->weights()), t->accumulate(all_, 0);
  EXPECT_NE(values(*backend_, plain.acts().hidden), values(*backend_, dropped.acts().hidden));
  EXPECT_EQ(values(*backend_, plain.evaluate()), values(*backend_, dropped.evaluate()));

  std::vector<int32_t> const tokens{3, 1, 4, 1, 5};
  std::vector<double> logits[2];
  for (int i = 0; i < 2; ++i) {
    Reader reader(*backend_, small(true, true, i * kRate), GetParam().dtype);
    randomise(*backend_, reader.weights());
    Decoder decoder(reader, {.blocks = 2, .tokens = 8, .sequences = 1});
    int const s = decoder.add();
    logits[i] = decoder.feed({{s, tokens}}).at(0);
  }
  EXPECT_EQ(logits[0], logits[1]);
}

INSTANTIATE_TEST_SUITE_P(, Dropped, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

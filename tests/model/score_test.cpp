// Scores of a text by hand: for each token the window of the rule, its logits read alone in f64, a softmax written
// out; against transformers' logits; and beside the evaluator where both read the same windows.
#include "model/score.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/evaluate.h"
#include "model/window.h"
#include "tests/support/files.h"
#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"

namespace folio::test {
namespace {

using model::Rival;
using model::ScoreOptions;
using model::TextScores;

struct ByHand {
  double logprob;
  int64_t rank;
  std::vector<Rival> rivals;
};

// Of the logits (V) of one row.
ByHand by_hand(std::span<double const> z, int32_t target, int64_t top) {
  long double sum = 0;
  for (double const v : z) sum += std::exp(static_cast<long double>(v));
  auto const logprob = [&](int32_t id) { return double(z[size_t(id)] - std::log(sum)); };
  ByHand h{logprob(target), 0, {}};
  for (int32_t id = 0; id < int32_t(z.size()); ++id) {
    h.rank += z[size_t(id)] > z[size_t(target)] || (z[size_t(id)] == z[size_t(target)] && id < target);
    if (id != target) h.rivals.push_back({id, logprob(id)});
  }
  std::stable_sort(h.rivals.begin(), h.rivals.end(), [](auto a, auto b) { return a.logprob > b.logprob; });
  h.rivals.resize(size_t(top));
  return h;
}

void expect_token(TextScores const& got, size_t token, ByHand const& want, double bound) {
  EXPECT_NEAR(got.logprobs[token], want.logprob, bound) << token;
  EXPECT_EQ(got.ranks[token], want.rank) << token;
  for (size_t k = 0; k < want.rivals.size(); ++k) {
    EXPECT_EQ(got.rivals_of(token)[k].id, want.rivals[k].id) << token << ", rival " << k;
    EXPECT_NEAR(got.rivals_of(token)[k].logprob, want.rivals[k].logprob, bound) << token << ", rival " << k;
  }
}

model::Config shape() {
  return {
      .layers = 2, .heads = 2, .channels = 16, .vocab = 31, .context = 9, .bias = true, .tied = false, .dropout = {}};
}

Tokens text_of(size_t n) {
  Tokens ids(n);
  for (size_t t = 0; t < n; ++t) ids[t] = int32_t(formula_draw(9, t) % 31);
  return ids;
}

class TextScore : public testing::TestWithParam<Kind> {
 protected:
  TextScore() : backend_(GetParam().make()), reader_(*backend_, shape(), GetParam().dtype) {
    set_formula_weights(*backend_, reader_.weights(), 5, 4);
    oracle_backend_ = make_reference_backend();
    oracle_ = std::make_unique<Reader>(*oracle_backend_, shape(), DType::f64);
    set_formula_weights(*oracle_backend_, oracle_->weights(), 5, 4);
  }
  TextScores score(Tokens const& ids, ScoreOptions const& o) {
    return model::score(*backend_, reader_.weights(), ids, o);
  }
  double bound() const { return 100 * GetParam().bound; }
  std::unique_ptr<Backend> backend_, oracle_backend_;
  Reader reader_;
  std::unique_ptr<Reader> oracle_;
};

// Each token from the window that the rule gives for the text before it, read alone.
TEST_P(TextScore, IsThatOfEachTokensOwnWindow) {
  for (int64_t const slide : {0, 1, 4, 9})
    for (size_t const n : {size_t(2), size_t(9), size_t(10), size_t(11), size_t(37)})
      for (int64_t const rows : {1, 30}) {
        SCOPED_TRACE(testing::Message() << n << " tokens, slide " << slide << ", rows " << rows);
        Tokens const ids = text_of(n);
        TextScores const got = score(ids, {.top = 3, .slide = slide, .rows = rows});
        model::Window const window = model::window_of(9, slide);
        double sum = 0;
        for (size_t i = 1; i < n; ++i) {
          auto const at = ids.begin() + int64_t(i);
          Tokens const seen(at - window.length(int64_t(i)), at);
          auto const z = oracle_->full(seen, 1, {int32_t(seen.size()) - 1}).logits;
          ByHand const want = by_hand(z, ids[i], 3);
          expect_token(got, i, want, bound());
          sum -= want.logprob;
        }
        EXPECT_TRUE(std::isnan(got.logprobs[0]));
        EXPECT_EQ(got.ranks[0], -1);
        EXPECT_EQ(got.scored(), int64_t(n) - 1);
        EXPECT_NEAR(got.mean_loss(), sum / double(n - 1), bound());
      }
}

TEST_P(TextScore, OfWindowsSideBySideIsTheEvaluators) {
  Tokens const ids = text_of(3 * 9 + 1);
  model::Evaluator evaluator(*backend_, shape(), 3, 9, reader_.weights().dtype);
  bool done = false;
  auto const want = evaluator(reader_.weights(), [&](model::EvalBatch& batch) {
    batch = {std::span(ids).first(27), std::span(ids).subspan(1), {}};
    return !std::exchange(done, true);
  });
  TextScores const got = score(ids, {.top = 0, .slide = 9});
  EXPECT_EQ(got.scored(), want.tokens);
  EXPECT_NEAR(got.mean_loss(), want.loss(), GetParam().bound);
  EXPECT_TRUE(got.rivals.empty());
}

// Every other token, in the order of likelihood; equal ones in the order of their ids.
TEST_P(TextScore, NamesEveryRival) {
  Tokens const ids = {4, 8, 0, 7};
  TextScores const all = score(ids, {.top = 30});
  for (size_t i = 1; i < ids.size(); ++i) {
    double sum = std::exp(all.logprobs[i]);
    int64_t likelier = 0;
    for (Rival const& r : all.rivals_of(i)) {
      EXPECT_NE(r.id, ids[i]);
      sum += std::exp(r.logprob);
      likelier += r.logprob > all.logprobs[i];
    }
    EXPECT_NEAR(sum, 1, bound());
    EXPECT_EQ(likelier, all.ranks[i]);
  }
  set_weight(*backend_, reader_.weights().head, std::vector<float>(31 * 16, 0.f));
  TextScores const equal = score(ids, {.top = 4});
  int32_t const expected[4][4] = {{}, {0, 1, 2, 3}, {1, 2, 3, 4}, {0, 1, 2, 3}};
  for (size_t i = 1; i < ids.size(); ++i)
    for (size_t k = 0; k < 4; ++k) EXPECT_EQ(equal.rivals_of(i)[k].id, expected[i][k]) << i;
}

TEST_P(TextScore, RefusesWhatCannotBeScored) {
  auto const fault = [&](Tokens const& ids, ScoreOptions const& o) { return error_of([&] { score(ids, o); }).fault; };
  EXPECT_EQ(fault({}, {}), Fault::content);
  EXPECT_EQ(fault({3}, {}), Fault::content);
  EXPECT_EQ(fault({3, 31}, {}), Fault::content);
  EXPECT_EQ(fault({-1, 3}, {}), Fault::content);
  EXPECT_EQ(fault({3, 4}, {.top = 31}), Fault::value);
  EXPECT_EQ(fault({3, 4}, {.slide = 10}), Fault::value);
  EXPECT_EQ(fault(Tokens(size_t{1} << 24, 3), {.top = 17}), Fault::value);  // rivals of 4.25 GiB
  set_weight(*backend_, reader_.weights().head, std::vector<float>(31 * 16, NAN));
  EXPECT_EQ(fault({3, 4}, {}), Fault::content);
}

INSTANTIATE_TEST_SUITE_P(, TextScore, testing::Values(kReference, kCpu, kCuda), kind_name);

TEST(TextScoreGolden, IsThatOfTransformersLogits) {
  auto const backend = make_reference_backend();
  Golden const golden = read_golden("logits_small");
  for (auto const& [variant, config] : golden.models) {
    Reader reader(*backend, config, DType::f64);
    set_formula_weights(*backend, reader.weights(), golden.seed, golden.scale);
    auto const tokens = golden.integers(variant + ".tokens");
    auto const logits = golden.values(variant + ".logits");
    int64_t const B = golden.shape(variant + ".tokens")[0], T = golden.shape(variant + ".tokens")[1];
    ASSERT_LE(T, config.context);
    for (int64_t b = 0; b < B; ++b) {
      Tokens const ids(tokens.begin() + b * T, tokens.begin() + (b + 1) * T);
      TextScores const got = model::score(*backend, reader.weights(), ids, {.top = 5});
      for (int64_t i = 1; i < T; ++i)
        expect_token(
            got, size_t(i),
            by_hand({&logits[size_t((b * T + i - 1) * config.vocab)], size_t(config.vocab)}, ids[size_t(i)], 5), 1e-10);
    }
  }
}

}  // namespace
}  // namespace folio::test

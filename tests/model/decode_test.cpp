// Inference on ragged batches with a cache is the full forward pass, whatever is in a call: prefill, decoding,
// verification of drafts that are taken back, forks. A row of a batch is what it is alone, bit for bit.
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"

namespace folio::test {
namespace {

using Pieces = std::vector<std::pair<int, Tokens>>;

model::Config config(int64_t channels, int64_t heads, int64_t vocab) {
  return {.layers = 2,
          .heads = heads,
          .channels = channels,
          .vocab = vocab,
          .context = 80,
          .bias = true,
          .tied = true,
          .dropout = {}};
}

class Draws {
 public:
  explicit Draws(int64_t vocab) : vocab_(uint64_t(vocab)) {}
  Tokens operator()(int64_t count) {
    Tokens t(count);
    for (int32_t& x : t) x = int32_t(formula_draw(31, next_++) % vocab_);
    return t;
  }

 private:
  uint64_t vocab_, next_ = 0;
};

class Decoding : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Backend> backend_ = GetParam().make();
  double bound() const { return std::min(100 * GetParam().bound, 0.1); }
};

// Feeds, and compares every new row with a full pass over all that its sequence holds.
struct Checked : Decoder {
  Checked(Reader& r, model::KvCache::Limits const& most) : Decoder(r, most), reader(r) {}
  void feed(Pieces const& news) {
    auto const got = Decoder::feed(news);
    for (size_t i = 0; i < news.size(); ++i) {
      auto const expected = reader.full(done[news[i].first]).logits;
      worst = std::max(worst, worst_error(got[i], std::span(expected).last(got[i].size()), 1));
    }
  }
  Reader& reader;
  double worst = 0;
};

TEST_P(Decoding, OfARaggedBatchEqualsTheFullForward) {
  Reader reader(*backend_, config(8, 2, 13), GetParam().dtype);
  set_formula_weights(*backend_, reader.weights(), 3, 4);
  Draws draw(13);
  Checked d(reader, {.blocks = 10, .tokens = 48, .sequences = 4});
  int const a = d.add(), b = d.add();
  d.feed({{a, draw(33)}, {b, draw(5)}});  // prefill of two lengths in one call
  for (int i = 0; i < 20; ++i) d.feed({{b, draw(1)}, {a, draw(1)}});
  d.feed({{a, draw(4)}, {b, draw(12)}}), d.take_back(a, 3);  // verification: drafts refused
  int const f = d.fork(b);                                   // at 37 positions: a block and a bit
  for (int i = 0; i < 8; ++i) d.feed({{f, draw(1)}, {a, draw(2)}, {b, draw(1)}});
  d.take_back(f, 20);  // back into a block that b shares
  d.feed({{f, draw(9)}, {b, draw(3)}});
  EXPECT_TRUE(d.done[a].size() == 70 && d.done[b].size() == 48 && d.done[f].size() == 34);
  EXPECT_LE(d.worst, bound());
  std::printf("  largest difference of a logit %.1e\n", d.worst);
}

TEST_P(Decoding, AfterAForkWritesIntoItsOwnCopyOfASharedBlock) {
  Reader reader(*backend_, config(8, 2, 13), GetParam().dtype);
  set_formula_weights(*backend_, reader.weights(), 3, 4);
  Draws draw(13);
  Checked d(reader, {.blocks = 4, .tokens = 48, .sequences = 4});
  int const a = d.add();
  d.feed({{a, draw(20)}});
  int const f = d.fork(a), g = d.fork(a);
  d.feed({{a, draw(2)}, {f, draw(3)}, {g, draw(4)}});
  d.feed({{g, draw(2)}, {a, draw(1)}, {f, draw(1)}});
  d.cache->remove(a), d.cache->remove(g);  // their blocks are free again
  int const h = d.add();
  d.feed({{h, draw(32)}, {f, draw(1)}});
  EXPECT_LE(d.worst, bound());
}

TEST_P(Decoding, WithAFullPoolRefusesAndChangesNothing) {
  Reader reader(*backend_, config(8, 2, 13), GetParam().dtype);
  set_formula_weights(*backend_, reader.weights(), 3, 4);
  Draws draw(13);
  Checked d(reader, {.blocks = 2, .tokens = 48, .sequences = 4});
  int const a = d.add(), b = d.add();
  d.feed({{a, draw(30)}});
  Tokens const three = draw(3), nine = draw(9);
  std::vector<model::Piece> const pieces{{b, three}, {a, nine}};
  EXPECT_THROW(d.cache->append(*backend_, pieces), Error);
  EXPECT_EQ(d.cache->length(a), 30);
  EXPECT_EQ(d.cache->length(b), 0);
  d.feed({{a, nine}});  // as if nothing had been asked
  EXPECT_LE(d.worst, bound());
}

TEST_P(Decoding, PastTheContextOrThePlannedCallIsRefused) {
  Reader reader(*backend_, config(8, 2, 13), GetParam().dtype);
  set_formula_weights(*backend_, reader.weights(), 3, 4);
  Draws draw(13);
  Checked d(reader, {.blocks = 8, .tokens = 48, .sequences = 1});
  int const a = d.add(), b = d.add();
  d.feed({{a, draw(48)}}), d.feed({{a, draw(30)}});
  Tokens const three = draw(3), many = draw(49), one = draw(1);
  EXPECT_THROW(d.cache->append(*backend_, std::vector<model::Piece>{{a, three}}), Error);
  EXPECT_THROW(d.cache->append(*backend_, std::vector<model::Piece>{{b, many}}), Error);
  EXPECT_THROW(d.cache->append(*backend_, std::vector<model::Piece>{{a, one}, {b, one}}), Error);
  EXPECT_EQ(d.cache->length(a), 78);
  EXPECT_EQ(d.cache->length(b), 0);
  d.feed({{a, draw(2)}});
  EXPECT_LE(d.worst, bound());
}

// Prompts of different lengths, then three tokens each: M sequences in one call and each by itself.
TEST_P(Decoding, ARowOfABatchHasTheBitsItHasAlone) {
  int64_t const vocab = 203;
  Reader reader(*backend_, config(96, 3, vocab), GetParam().dtype, 400);
  set_formula_weights(*backend_, reader.weights(), 3, 2);
  for (int64_t const M : {1, 2, 7, 8, 32, 64}) {
    Draws draw(vocab);
    std::vector<std::vector<Tokens>> calls(4);
    for (int64_t s = 0; s < M; ++s) calls[0].push_back(draw(1 + (s * 5 + 2) % 9));
    for (size_t call = 1; call < 4; ++call)
      for (int64_t s = 0; s < M; ++s) calls[call].push_back(draw(1));
    Decoder together(reader, {.blocks = M, .tokens = 400, .sequences = M});
    for (int64_t s = 0; s < M; ++s) together.add();
    std::vector<std::vector<std::vector<double>>> batched;
    for (auto const& call : calls) {
      Pieces pieces;
      for (int64_t s = 0; s < M; ++s) pieces.push_back({int(s), call[s]});
      batched.push_back(together.feed(pieces));
    }
    for (int64_t s = 0; s < M; s += std::max<int64_t>(1, M / 8)) {
      Decoder alone(reader, {.blocks = 1, .tokens = 400, .sequences = 1});
      int const only = alone.add();
      for (size_t call = 0; call < 4; ++call)
        ASSERT_EQ(alone.feed({{only, calls[call][s]}})[0], batched[call][s])
            << "sequence " << s << " of " << M << ", call " << call;
    }
  }
}

// Token by token, in pieces and at once: a logit has the same bits.
TEST_P(Decoding, TokenByTokenHasTheBitsOfOneCall) {
  int64_t const vocab = 101;
  Reader reader(*backend_, config(96, 3, vocab), GetParam().dtype);
  set_formula_weights(*backend_, reader.weights(), 3, 2);
  Tokens const tokens = Draws(vocab)(75);
  auto run = [&](std::vector<int64_t> const& sizes) {
    Decoder d(reader, {.blocks = 3, .tokens = 80, .sequences = 1});
    int const s = d.add();
    std::vector<double> logits;
    for (size_t at = 0, i = 0; at < tokens.size(); ++i) {
      size_t const n = std::min(size_t(sizes[i % sizes.size()]), tokens.size() - at);
      auto const got = d.feed({{s, Tokens(tokens.begin() + at, tokens.begin() + at + n)}});
      logits.insert(logits.end(), got[0].begin(), got[0].end());
      at += n;
    }
    return logits;
  };
  auto const whole = run({75});
  EXPECT_EQ(run({1}), whole);
  EXPECT_EQ(run({1, 31, 2, 33}), whole);
}

INSTANTIATE_TEST_SUITE_P(, Decoding, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

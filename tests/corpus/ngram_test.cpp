// The n-gram yardstick itself: by hand on a tiny text, and as a distribution.
#include "tests/corpus/ngram.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace {

using folio::corpus::Ngram;

TEST(Ngram, EstimatesByHand) {
  Ngram const model({"abab", "ac"}, 2);
  // Order 1: a 3, b 2, c 1; 6 bytes, 3 types.
  double const a1 = (3 + 3.0 / 256) / 9, b1 = (2 + 3.0 / 256) / 9, z1 = (3.0 / 256) / 9;
  EXPECT_DOUBLE_EQ(model.probabilities("", 'a')[0], a1);
  EXPECT_DOUBLE_EQ(model.probabilities("", 'z')[0], z1);
  // After a: b twice, c once; 3 bytes, 2 types. The boundary of the documents is no bigram (b, a would be two).
  EXPECT_DOUBLE_EQ(model.probabilities("a", 'b')[1], (2 + 2 * b1) / 5);
  EXPECT_DOUBLE_EQ(model.probabilities("a", 'a')[1], (2 * a1) / 5);
  EXPECT_DOUBLE_EQ(model.probabilities("b", 'a')[1], (1 + 1 * a1) / 2);
  EXPECT_DOUBLE_EQ(model.probabilities("c", 'a')[1], a1);  // c was never followed by anything
  EXPECT_DOUBLE_EQ(model.probabilities("", 'b')[1], b1);   // nothing before: the lower order
}

TEST(Ngram, BitsPerByteAverageOverBytes) {
  Ngram const model({"abab"}, 1);
  double const p = (2 + 2.0 / 256) / 6, q = (2.0 / 256) / 6;
  EXPECT_DOUBLE_EQ(model.bits_per_byte({"a", "zb"})[0], -(2 * std::log2(p) + std::log2(q)) / 3);
}

TEST(Ngram, SumsToOneInEveryContext) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += static_cast<char>("etaoin\xff\n\0 shr"[random() % 13]);
  Ngram const model({text}, Ngram::kMaxOrder);
  for (int trial = 0; trial < 200; ++trial) {
    auto context = text.substr(random() % (text.size() - 10), random() % 9);
    if (trial % 4 == 0) context += "\xff\xff\xff\xff\xff\xff\xff";
    if (trial % 7 == 0 && !context.empty()) context.back() = 'Q';  // never seen
    std::vector<double> sums(model.order());
    for (int c = 0; c < 256; ++c) {
      auto const p = model.probabilities(context, static_cast<unsigned char>(c));
      for (size_t n = 0; n < p.size(); ++n) {
        EXPECT_GT(p[n], 0);
        sums[n] += p[n];
      }
    }
    for (double sum : sums) EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(Ngram, RefusesOrdersThatDoNotFit) {
  EXPECT_THROW(Ngram({"a"}, 0), std::invalid_argument);
  EXPECT_THROW(Ngram({"a"}, 8), std::invalid_argument);
}

}  // namespace

// Processors by their definitions, draws by their statistics, stop strings by every way of cutting them.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "generate/processors.h"
#include "generate/sampler.h"
#include "generate/stop.h"

namespace folio::generate {
namespace {

std::vector<Candidate> candidates(std::vector<float> logits) {
  std::vector<Candidate> c;
  fill(c, logits);
  return c;
}
std::vector<int32_t> ids(std::vector<Candidate> const& c) {
  std::vector<int32_t> out;
  for (auto const& x : c) out.push_back(x.id);
  return out;
}

TEST(Processors, TopKKeepsTheLikeliestTiesByLowerId) {
  auto c = candidates({1, 3, 2, 3, 0});
  top_k(c, 3);
  EXPECT_EQ(ids(c), (std::vector<int32_t>{1, 3, 2}));
  top_k(c, 100);
  EXPECT_EQ(c.size(), 3u);
}

TEST(Processors, TopPKeepsTheFewestThatReachP) {
  std::vector<float> const logits = {std::log(0.1f), std::log(0.5f), std::log(0.15f), std::log(0.25f)};
  for (auto [p, kept] :
       std::map<double, size_t>{{0.01, 1}, {0.49, 1}, {0.51, 2}, {0.74, 2}, {0.76, 3}, {0.95, 4}, {1, 4}}) {
    auto c = candidates(logits);
    top_p(c, p);
    EXPECT_EQ(c.size(), kept) << "p " << p;
  }
  auto c = candidates(logits);
  top_p(c, 0.76);
  EXPECT_EQ(ids(c), (std::vector<int32_t>{1, 3, 2}));
}

TEST(Processors, TopPOverManyTokensIsTheSortedPrefix) {
  std::vector<float> logits;
  for (int i = 0; i < 5000; ++i) logits.push_back(float(std::sin(i * 12.9898) * 2));
  auto all = candidates(logits), c = all;
  std::sort(all.begin(), all.end(), likelier);
  std::vector<double> weights;
  double const sum = weigh(all, weights);
  size_t n = 0;
  for (double reached = 0; reached < 0.9 * sum; ++n) reached += weights[n];
  top_p(c, 0.9);
  ASSERT_EQ(c.size(), n);
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(c[i].id, all[i].id);
}

TEST(Processors, ThePenaltyMakesEverySeenTokenLessLikelyWhenSignAware) {
  std::vector<int32_t> const seen = {0, 1, 0};
  auto aware = candidates({2, -2, 1}), plain = aware;
  repetition_penalty(aware, seen, 2, true);
  repetition_penalty(plain, seen, 2, false);
  EXPECT_FLOAT_EQ(aware[0].logit, 1);
  EXPECT_FLOAT_EQ(aware[1].logit, -4);
  EXPECT_FLOAT_EQ(aware[2].logit, 1);
  EXPECT_FLOAT_EQ(plain[0].logit, 1);
  EXPECT_FLOAT_EQ(plain[1].logit, -1);
  EXPECT_FLOAT_EQ(plain[2].logit, 1);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  SamplingOptions o;
  Sampler sampler(o);
  std::vector<float> const logits = {std::log(0.1f), std::log(0.6f), std::log(0.3f)};
  std::map<int32_t, int> count;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) ++count[sampler.pick(logits, {}, uint64_t(i % 100), i / 100)];
  EXPECT_NEAR(count[0] / double(kDraws), 0.1, 0.01);
  EXPECT_NEAR(count[1] / double(kDraws), 0.6, 0.015);
  EXPECT_NEAR(count[2] / double(kDraws), 0.3, 0.015);
}

TEST(Sampler, ALowTemperatureIsGreedy) {
  SamplingOptions o;
  o.temperature = 1e-3;
  Sampler sampler(o);
  std::vector<float> const logits = {1, 3, 2};
  for (int i = 0; i < 200; ++i) EXPECT_EQ(sampler.pick(logits, {}, 0, i), 1);
}

TEST(Sampler, DrawsDependOnSeedSampleAndPositionAndLieInTheUnitInterval) {
  std::set<double> seen;
  for (uint64_t seed : {1, 2})
    for (uint64_t sample : {0, 1, 2})
      for (int64_t position : {0, 1, 2}) seen.insert(sampling_draw(seed, sample, position));
  EXPECT_EQ(seen.size(), 18u);
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_LT(*seen.rbegin(), 1);
}

TEST(Sampler, ABrokenModelIsRefused) {
  Sampler sampler({});
  std::vector<float> const nan = {1, NAN}, infinite = {INFINITY, 1};
  EXPECT_THROW(sampler.pick(nan, {}, 0, 0), Error);
  EXPECT_THROW(sampler.pick(infinite, {}, 0, 0), Error);
}

TEST(StopStrings, AreFoundHoweverTheTextIsCut) {
  std::string const text = "to be, or not to bee: to be";
  for (std::string const stop : {"to bee", "e", "or not", "to be, or not to bee: to be", "zzz"})
    for (size_t piece = 1; piece <= 7; ++piece) {
      StopStrings s({stop});
      std::string shown;
      for (size_t at = 0; at < text.size() && !s.found(); at += piece) shown += s.push(text.substr(at, piece));
      shown += s.finish();
      EXPECT_EQ(s.found(), text.find(stop) != std::string::npos) << stop;
      EXPECT_EQ(shown, text.substr(0, text.find(stop))) << stop << " in pieces of " << piece;
    }
}

TEST(StopStrings, TheEarliestOfSeveralEndsTheText) {
  StopStrings s({"fox", "quick"});
  EXPECT_EQ(s.push("the quick brown fox"), "the ");
  EXPECT_TRUE(s.found());
  EXPECT_THROW(StopStrings({""}), Error);
}

}  // namespace
}  // namespace folio::generate

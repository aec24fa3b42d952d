// Every lesson's numbers against values that are known without folio: closed forms, or the same computed here.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/random.h"
#include "learn/classroom.h"
#include "learn/stack.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

Page const& page_of(std::string const& topic) {
  static std::map<std::string, Page> const pages = [] {
    std::map<std::string, Page> all;
    auto const backend = make_cpu_backend();
    for (Topic const& t : topics()) all[t.name] = t.run(*backend);
    return all;
  }();
  return pages.at(topic);
}

// The numbers of a column, or its texts where it has them.
template <class T = double>
std::vector<T> column(std::string const& topic, std::string const& key, std::string const& head) {
  for (Numbers const& n : page_of(topic).numbers)
    for (size_t c = 0; n.key == key && c < n.columns.size(); ++c) {
      if (n.columns[c].head != head) continue;
      std::vector<T> out;
      for (auto const& row : n.rows) out.push_back(std::get<T>(row[c]));
      return out;
    }
  ADD_FAILURE() << topic << " has no " << key << ", " << head;
  return std::vector<T>(64);
}

std::vector<report::Point> line(std::string const& topic, size_t picture, size_t which) {
  return std::get<report::LineChart>(page_of(topic).pictures.at(picture)).lines.at(which).points;
}

void near(std::vector<double> const& a, std::vector<double> const& b, double most, char const* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], most * std::max(1.0, std::abs(b[i]))) << what << " " << i;
}

TEST(Lesson, CrossEntropyOfThreeWords) {
  near(column("cross-entropy", "words", "probability"), {0.6285, 0.2312, 0.1402}, 5e-5, "softmax([2, 1, 0.5])");
  near(column("cross-entropy", "words", "loss"), {0.4644, 1.4644, 1.9644}, 5e-5, "loss");
  near(column("cross-entropy", "words", "gradient"), {0.6285, 0.2312 - 1, 0.1402}, 5e-5, "p - 1 at dog");
  EXPECT_NE(page_of("cross-entropy").finding.find("1.464"), std::string::npos);
}

TEST(Lesson, RightAnswerIsMinusLogarithmAndItsSlope) {
  std::vector<double> const p = {0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
  near(column("right-answer", "probabilities", "probability"), p, 1e-6, "probability");
  std::vector<double> loss, pull;
  for (double const x : p) loss.push_back(-std::log(x)), pull.push_back(x - 1);
  near(column("right-answer", "probabilities", "loss"), loss, 1e-5, "loss");
  near(column("right-answer", "probabilities", "gradient"), pull, 1e-5, "gradient");
}

// The entropy of each place, given all that stands before it, counted in sentences.
TEST(Lesson, TheClassroomsEntropiesAreThoseOfItsSentences) {
  constexpr int kCounted = 20000;
  std::map<std::vector<int32_t>, std::map<int32_t, double>> counts;
  for (uint64_t n = 0; n < kCounted; ++n) {
    std::vector<int32_t> const ids = sentence_numbered(3, n);
    for (size_t i = 1; i < ids.size(); ++i) counts[{ids.begin(), ids.begin() + std::ptrdiff_t(i)}][ids[i]] += 1;
  }
  std::vector<double> entropy(kSentence);
  for (auto const& [before, next] : counts) {
    double total = 0;
    for (auto const& [id, n] : next) total += n;
    for (auto const& [id, n] : next) entropy[before.size() - 1] -= n / kCounted * std::log(n / total);
  }
  near(entropies(), entropy, 0.002, "entropy");
}

TEST(Lesson, ATaughtModelCostsWhatTheLanguageLeavesOpen) {
  near(column("sentence", "words", "loss"), column("sentence", "words", "possible"), 0.25, "loss");
  std::vector<double> const loss = column("sentence", "words", "loss"), p = column("sentence", "words", "probability");
  double total = 0;
  for (size_t i = 0; i < loss.size(); ++i) {
    EXPECT_NEAR(loss[i], -std::log(p[i]), 1e-9);
    total += loss[i];
  }
  EXPECT_NEAR(total, 5 * std::log(2.0), 0.3);
}

TEST(Lesson, DescentMultipliesByOneMinusTwiceTheRate) {
  std::vector<double> const steps = column("descent", "steps", "step");
  for (double const rate : {0.1, 0.45, 0.9, 1.05}) {
    std::vector<double> expected;
    for (double const n : steps) expected.push_back(3 * std::pow(1 - 2 * rate, n));
    near(column("descent", "steps", fmt::format("rate {}", rate)), expected, 1e-4, "x");
  }
}

struct Walk {  // an optimizer's formula, in f64, on ½((x − 4)² + 100 (y − 1)²)
  double rate, decay, momentum;
  bool adam, decoupled;
};
std::pair<double, double> walked(Walk const& k) {
  double w[2] = {0, 0}, m[2] = {}, v[2] = {};
  for (int t = 1; t <= 200; ++t) {
    double const g0[2] = {w[0] - 4, 100 * (w[1] - 1)};
    for (int i = 0; i < 2; ++i) {
      double const g = g0[i] + (k.decoupled ? 0 : k.decay * w[i]);
      m[i] = k.adam ? 0.9 * m[i] + 0.1 * g : k.momentum * m[i] + g;
      v[i] = 0.99 * v[i] + 0.01 * g * g;
      double const step =
          k.adam ? m[i] / (1 - std::pow(0.9, t)) / (std::sqrt(v[i] / (1 - std::pow(0.99, t))) + 1e-8) : m[i];
      w[i] -= k.rate * (step + (k.decoupled ? k.decay * w[i] : 0));
    }
  }
  return {w[0], w[1]};
}

TEST(Lesson, OptimizersWalkAsTheirFormulas) {
  std::vector<double> const x = column("optimizers", "walks", "x"), y = column("optimizers", "walks", "y");
  std::vector<Walk> const walks = {
      {0.018, 0, 0, false, false}, {0.02, 0, 0.9, false, false}, {0.1, 0.5, 0, true, false}, {0.1, 0.5, 0, true, true}};
  for (size_t i = 0; i < walks.size(); ++i) {
    auto const [wx, wy] = walked(walks[i]);
    EXPECT_NEAR(x[i], wx, 2e-4) << i;
    EXPECT_NEAR(y[i], wy, 2e-4) << i;
  }
  EXPECT_NEAR(x[2], 4 / 1.5, 1e-2) << "a penalty moves the lowest point";
}

TEST(Lesson, DecayOfAWeightAloneIsGeometricExceptInAdam) {
  std::vector<double> const steps = column("weight-decay", "falls", "step");
  std::vector<double> expected, adam;
  for (double const n : steps) expected.push_back(std::pow(1 - 0.001, n));
  near(column("weight-decay", "falls", "AdamW"), expected, 1e-5, "AdamW");
  near(column("weight-decay", "falls", "SGD, L2"), expected, 1e-5, "SGD");
  double w = 1, m = 0, v = 0;
  for (int t = 1; t <= 300; ++t) {
    double const g = 0.1 * w;
    m = 0.9 * m + 0.1 * g, v = 0.95 * v + 0.05 * g * g;
    w -= 0.01 * m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
    if (double(t) == steps[adam.size()]) adam.push_back(w);
  }
  near(column("weight-decay", "falls", "Adam, L2"), adam, 1e-4, "Adam");
  std::vector<double> const norms = column("weight-decay", "models", "matrices");
  for (size_t i = 1; i < norms.size(); ++i) EXPECT_LT(norms[i], norms[i - 1]);
}

TEST(Lesson, WarmUpScalesTheFirstStepAndRisesStraight) {
  double const none = column("warm-up", "steps", "moved, none")[0], with = column("warm-up", "steps", "moved, with")[0];
  EXPECT_NEAR(none / with, 20, 0.02) << "the first step of Adam is the rate times what does not depend on it";
  std::vector<report::Point> const rate = line("warm-up", 1, 1);
  for (size_t i = 0; i < 20; ++i) EXPECT_NEAR(rate[i].y, 0.04 * double(i + 1) / 20, 1e-12);
  EXPECT_NEAR(line("warm-up", 1, 0)[0].y, 0.04, 1e-12);
  EXPECT_NEAR(line("warm-up", 0, 0)[0].y, std::log(32.0), 0.1);
}

TEST(Lesson, AccumulationIsTheSameStepAndTheMeanOfMeansIsNot) {
  std::vector<double> const off = column("accumulation", "ways", "gradient off"),
                            loss = column("accumulation", "ways", "loss");
  EXPECT_LT(off[1], 1e-6);
  EXPECT_LT(off[2], 1e-6);
  EXPECT_GT(off[3], 1e-2);
  EXPECT_NEAR(loss[1], loss[0], 1e-6);
  EXPECT_NEAR(loss[2], loss[0], 1e-6);
  EXPECT_GT(std::abs(loss[3] - loss[0]), 1e-3);
  int counted = 0;
  for (int s = 0; s < 16; ++s) counted += 2 + s / 2;
  EXPECT_NE(page_of("accumulation").see[1].find(fmt::format("({})", counted)), std::string::npos);
}

TEST(Lesson, TheStackIsThatOfTheReferenceBackend) {
  auto const cpu = make_cpu_backend(), reference = make_reference_backend();
  for (StackOptions const& o : {StackOptions{},
                                {.norm = false},
                                {.residual = false, .norm = false},
                                {.residual = false},
                                {.norm = false, .scale = 12}}) {
    StackNumbers const a = run_stack(*cpu, o), b = run_stack(*reference, o);
    for (size_t i = 0; i < a.gradient.size(); ++i) {
      EXPECT_NEAR(a.gradient[i] / b.gradient[i], 1, 1e-3) << i;
      EXPECT_NEAR(a.deviation[i] / b.deviation[i], 1, 1e-3) << i;
    }
  }
}

TEST(Lesson, ResidualsCarryTheGradientAndNormsTheScale) {
  EXPECT_LT(column("residuals", "layers", "without").back(), 1e-20);
  EXPECT_NEAR(column("residuals", "layers", "with").back(), 1, 0.01);
  std::vector<double> const reads = column("layer-norm", "weights", "reads, 12th");
  for (size_t i = 1; i < reads.size(); i += 2) EXPECT_NEAR(reads[i], 1, 1e-3) << "a norm's output has deviation 1";
  EXPECT_GT(reads[4], 10);
}

TEST(Lesson, DropoutDropsTheElementsWhoseWordIsLow) {
  std::vector<double> const rates = column("dropout", "rates", "rate"), zero = column("dropout", "rates", "zero");
  for (size_t r = 0; r < rates.size(); ++r) {
    double dropped = 0;
    auto const below = uint64_t(std::llround(rates[r] * 4294967296.0));
    for (uint64_t i = 0; i < 100000; ++i) dropped += random_word(11, Domain::dropout, 1, 0, 0, i) < below;
    EXPECT_NEAR(zero[r], dropped / 100000, 1e-12) << rates[r];
    EXPECT_NEAR(column("dropout", "rates", "kept ones")[r], 1 / (1 - rates[r]), 1e-6);
    EXPECT_NEAR(column("dropout", "rates", "mean")[r], (1 - dropped / 100000) / (1 - rates[r]), 1e-5);
  }
  std::vector<double> const loss = column("dropout", "ensembles", "loss");
  EXPECT_LT(loss[3], loss[4]) << "-log is convex: the mean of probabilities costs less than the mean of losses";
  EXPECT_LT(loss[5], loss[4]);
}

TEST(Lesson, AttentionLooksBackOnlyAndSumsToOne) {
  auto const& grid = std::get<report::GridChart>(page_of("attention").pictures[0]);
  ASSERT_EQ(grid.rows.size(), size_t(kSentence));
  for (size_t t = 0; t < grid.rows.size(); ++t) {
    double sum = 0;
    for (size_t j = 0; j < grid.columns(); ++j) {
      double const w = grid.shares[t * grid.columns() + j];
      EXPECT_EQ(std::isnan(w), j > t);
      EXPECT_FALSE(w < 0);
      sum += j <= t ? w : 0;
    }
    EXPECT_NEAR(sum, 1, 1e-5) << t;
  }
  EXPECT_GT(grid.shares[8 * grid.columns() + 3], 0.4) << "the place is known by the person";
}

TEST(Lesson, PlainAttentionKeepsTheSquareAndGivesTheSame) {
  std::vector<double> const T = column("fused-attention", "lengths", "T");
  for (size_t i = 0; i < T.size(); ++i) {
    EXPECT_EQ(column("fused-attention", "lengths", "plain")[i], 4 * 4 * T[i] * T[i]);
    EXPECT_EQ(column("fused-attention", "lengths", "fused")[i], 4 * 4 * T[i]);
    EXPECT_LT(column("fused-attention", "lengths", "differ")[i], 1e-5);
  }
  EXPECT_TRUE(page_of("fused-attention").timed);
}

TEST(Lesson, TyingSavesOneMatrixAndSumsItsGradients) {
  std::vector<double> const tied = column("tying", "sizes", "tied"), untied = column("tying", "sizes", "untied");
  std::vector<double> const published = {124439808, 354823168, 774030080, 1557611200}, widths = {768, 1024, 1280, 1600};
  for (size_t i = 0; i < published.size(); ++i) {
    EXPECT_EQ(tied[i + 1], published[i]);
    EXPECT_EQ(untied[i + 1] - tied[i + 1], 50257 * widths[i]);
  }
  std::vector<double> const norm = column("tying", "gradients", "norm");
  EXPECT_NEAR(norm[2], norm[3], 1e-5);
  EXPECT_LE(norm[2], norm[0] + norm[1]);
}

TEST(Lesson, F16LosesWhatTheHistogramHasBelowItsRange) {
  std::vector<report::Point> const plain = line("mixed-precision", 0, 0), scaled = line("mixed-precision", 0, 1);
  double below = 0, bits_missing = 0, below_scaled = 0;
  for (report::Point const p : plain) {
    if (p.x < -25) below += p.y;  // at most half of 2^-24, the least
    else if (p.x < -14) bits_missing += p.y;
  }
  for (report::Point const p : scaled) below_scaled += p.x < -25 ? p.y : 0;
  // What the pass in f16 has, beside what the range alone would do to the gradients of f32.
  std::vector<double> const zero = column("mixed-precision", "types", "zero"),
                            norm = column("mixed-precision", "types", "norm");
  EXPECT_NEAR(zero[1], below, 0.01);
  EXPECT_NEAR(zero[2], below_scaled, 0.01);
  EXPECT_NEAR(column("mixed-precision", "types", "imprecise")[1], bits_missing, 0.01);
  for (size_t i = 1; i < norm.size(); ++i) EXPECT_NEAR(norm[i], norm[0], (i == 3 ? 0.01 : 1e-3) * norm[0]) << i;
  for (size_t i = 20; i < plain.size(); ++i)
    EXPECT_NEAR(scaled[i].y, plain[i - 16].y, 1e-3) << "2^16 moves every gradient by 16 powers of 2, " << scaled[i].x;
  EXPECT_GT(below, 0.05);
  EXPECT_LT(below_scaled, 0.02);
}

TEST(Lesson, TheScalerHalvesItsScaleForEachStepItSkips) {
  std::vector<double> const first = column("mixed-precision", "runs", "first scale"),
                            skipped = column("mixed-precision", "runs", "skipped"),
                            last = column("mixed-precision", "runs", "last scale"),
                            loss = column("mixed-precision", "runs", "loss");
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(last[i], std::ldexp(first[i], -int(skipped[i]))) << i;
    EXPECT_NEAR(loss[i], loss[0], 0.02) << i;
  }
  EXPECT_GT(skipped[3], 5);
  EXPECT_EQ(skipped[2], 0);
}

TEST(Lesson, SamplingShapesAsTheFormulas) {
  std::vector<double> const logits = {3.0, 2.4, 1.8, 1.2, 0.6, 0.0, -0.6, -1.2};
  struct Way {
    char const* name;
    double temperature;
    size_t kept;
  };
  std::vector<Way> const ways = {
      {"as it is", 1, 8}, {"T 0.5", 0.5, 8}, {"T 2", 2, 8}, {"top-k 3", 1, 3}, {"top-p 0.9", 1, 4}};
  std::vector<double> const entropy = column("sampling", "ways", "entropy"),
                            off = column("sampling", "ways", "draws off by");
  for (size_t w = 0; w < ways.size(); ++w) {
    std::vector<double> p(logits.size());
    double sum = 0, expected = 0;
    for (size_t i = 0; i < ways[w].kept; ++i) sum += p[i] = std::exp(logits[i] / ways[w].temperature);
    for (double& x : p) x /= sum, expected -= x > 0 ? x * std::log(x) : 0;
    near(column("sampling", "words", ways[w].name), p, 1e-6, ways[w].name);
    EXPECT_NEAR(entropy[w], expected, 1e-6);
    EXPECT_LT(off[w], 4 * std::sqrt(0.25 / 10000)) << ways[w].name;
  }
}

}  // namespace
}  // namespace folio::learn

// Logits of a random 124M model against transformers, in f32 on the cpu and the cuda backend
// (tests/golden/logits_124m.safetensors): four prompts, 26 positions; at each 200 chosen ids, the eight largest, the
// log of the sum, and which is the largest.
#include <gtest/gtest.h>

#include "tests/support/formula_weights.h"
#include "tests/support/golden.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"

namespace folio::test {
namespace {

constexpr double kBound = 2e-4;

class Logits124M : public testing::TestWithParam<Kind> {
 protected:
  static void SetUpTestSuite() { golden_ = new Golden(read_golden("logits_124m")); }
  static void TearDownTestSuite() {
    let_go();
    delete golden_;
  }
  void SetUp() override {  // the model of one kind stays for its rows
    if (made_for_ == GetParam().name) return;
    let_go();
    backend_ = GetParam().make().release();
    reader_ = new Reader(*backend_, golden_->models.at(""), DType::f32, 512);
    set_formula_weights(*backend_, reader_->weights(), golden_->seed, golden_->scale);
    made_for_ = GetParam().name;
  }
  static void let_go() {
    delete reader_, delete backend_;
    reader_ = nullptr, backend_ = nullptr, made_for_.clear();
  }

  // Rows (R, V) of one prompt; returns the largest difference from transformers in f32, and in f64.
  struct Difference {
    double f32 = 0, f64 = 0;
  };
  static void compare(std::vector<double> const& rows, std::string const& key, Difference& worst) {
    int64_t const V = golden_->models.at("").vocab;
    auto const chosen = golden_->integers(key + "chosen"), top = golden_->integers(key + "top");
    size_t const R = rows.size() / size_t(V), K = chosen.size();
    ASSERT_EQ(R, golden_->integers(key + "rows").size());
    for (std::string const tag : {"f32", "f64"}) {
      auto const logits = golden_->values(key + "logits." + tag), largest = golden_->values(key + "top_logits." + tag),
                 log_sum = golden_->values(key + "log_sum_exp." + tag);
      double e = 0;
      for (size_t r = 0; r < R; ++r) {
        double const* z = &rows[r * size_t(V)];
        double sum = 0;
        for (int64_t v = 0; v < V; ++v) sum += std::exp(z[v]);
        std::vector<double> got{std::log(sum)}, expected{log_sum[r]};
        for (size_t k = 0; k < K; ++k) got.push_back(z[chosen[k]]), expected.push_back(logits[r * K + k]);
        for (size_t k = 0; k < 8; ++k) got.push_back(z[top[r * 8 + k]]), expected.push_back(largest[r * 8 + k]);
        for (size_t i = 0; i < got.size(); ++i) {
          ASSERT_TRUE(std::isfinite(got[i])) << key << " row " << r;
          e = std::max(e, std::abs(got[i] - expected[i]));
        }
        bool const clear = largest[r * 8] - largest[r * 8 + 1] > 2 * kBound;
        EXPECT_TRUE(!clear || std::max_element(z, z + V) - z == top[r * 8]) << key << " row " << r;
      }
      EXPECT_LE(e, kBound) << key << tag;
      (tag == "f32" ? worst.f32 : worst.f64) = std::max(tag == "f32" ? worst.f32 : worst.f64, e);
    }
  }
  static void report(char const* what, Difference const& d) {
    std::printf("  %s: largest difference %.1e from transformers in f32, %.1e from it in f64\n", what, d.f32, d.f64);
  }

  static inline std::string made_for_;
  static Golden* golden_;
  static Backend* backend_;
  static Reader* reader_;
};
Golden* Logits124M::golden_ = nullptr;
Backend* Logits124M::backend_ = nullptr;
Reader* Logits124M::reader_ = nullptr;

constexpr char const* kPrompts[] = {"1.", "7.", "64.", "257."};

TEST_P(Logits124M, OfAForwardPassAreThoseOfTransformers) {
  Difference worst;
  for (std::string const key : kPrompts)
    compare(reader_->full(golden_->integers(key + "tokens"), 1, golden_->integers(key + "rows")).logits, key, worst);
  report("forward", worst);
}

// All four prompts in one call.
TEST_P(Logits124M, OfARaggedBatchAreThoseOfTransformers) {
  Decoder decoder(*reader_, {.blocks = 16, .tokens = 329, .sequences = 4});
  std::vector<std::pair<int, Tokens>> news;
  std::vector<Tokens> rows;
  for (std::string const key : kPrompts) {
    news.push_back({decoder.add(), golden_->integers(key + "tokens")});
    rows.push_back(golden_->integers(key + "rows"));
  }
  auto const got = decoder.feed(news, rows);
  Difference worst;
  for (size_t i = 0; i < got.size(); ++i) compare(got[i], kPrompts[i], worst);
  report("ragged", worst);
}

// Prefill, then token by token with the cache: the last rows of the third prompt.
TEST_P(Logits124M, OfTokensDecodedOneByOneAreThoseOfTransformers) {
  Tokens const tokens = golden_->integers("64.tokens"), rows = golden_->integers("64.rows");
  Decoder decoder(*reader_, {.blocks = 2, .tokens = 64, .sequences = 1});
  int const s = decoder.add();
  std::vector<double> logits;
  size_t const first = 48;  // rows of the file up to here come from the prefill
  Tokens early;
  for (int32_t r : rows)
    if (size_t(r) < first) early.push_back(r);
  logits = decoder.feed({{s, Tokens(tokens.begin(), tokens.begin() + first)}}, {early})[0];
  for (size_t t = first; t < tokens.size(); ++t) {
    bool const wanted = std::find(rows.begin(), rows.end(), int32_t(t)) != rows.end();
    auto const row = decoder.feed({{s, {tokens[t]}}})[0];
    if (wanted) logits.insert(logits.end(), row.begin(), row.end());
  }
  Difference worst;
  compare(logits, "64.", worst);
  report("decoded", worst);
}

INSTANTIATE_TEST_SUITE_P(, Logits124M, testing::Values(kCpu, kCuda), kind_name);

}  // namespace
}  // namespace folio::test

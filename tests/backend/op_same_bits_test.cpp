// The rule for inference: row r of a batch has the bits of that row alone, whatever the batch and the thread count.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpSameBits : public OpTest {};

constexpr int64_t kRowsOfAll = 64;

// The rows of the largest batch, computed in batches of M.
template <class F>
Values in_batches(Values const& x, int64_t width, int64_t M, F f) {
  Values out;
  for (int64_t first = 0; first < kRowsOfAll; first += M) {
    int64_t const rows = std::min(M, kRowsOfAll - first);
    Values const part = f(Values(x.begin() + first * width, x.begin() + (first + rows) * width), rows);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

TEST_P(OpSameBits, RowsOfInferenceDoNotDependOnTheBatch) {
  struct Case {
    int64_t I, O;
  };
  for (Case const& c : {Case{768, 2304}, {96, 100}, {300, 97}, {1, 1}, {257, 16}, {1100, 80}}) {
    bool const slow =
        candidate().name == std::string("reference_f32") || std::string(candidate().name).ends_with("5_threads");
    if (slow && c.O > 500) continue;
    Draw draw(1);
    Values const x = draw.normal(kRowsOfAll * c.I), w = draw.normal(c.I * c.O), b = draw.normal(c.O);
    Rig rig(candidate().make(), candidate().dtype);
    Affine const a{rig.weight({c.I, c.O}, {.linear = true}, w), rig.weight({c.O}, {}, b)};
    Weight const h = rig.weight({c.O, c.I}, {.head = true}, w);
    Affine const n{rig.weight({c.I}, {}, Values(x.begin(), x.begin() + c.I)),
                   rig.weight({c.I}, {}, Values(x.end() - c.I, x.end()))};
    rig.lend({.rows = kRowsOfAll, .context = 64, .channels = c.I, .vocab = c.O, .chunk = 16});
    auto const linear = [&](Values const& v, int64_t rows) {
      Tensor const in = rig.real({1, rows, c.I}, v), y = rig.output({1, rows, c.O}), pre = rig.output({1, rows, c.O}),
                   act = rig.output({1, rows, c.O});
      rig.backend->linear(y, in, a), rig.backend->linear_gelu(act, pre, in, a);
      EXPECT_EQ(rig.read(y), rig.read(pre));
      return rig.read(act);
    };
    auto const head = [&](Values const& v, int64_t rows) {
      Tensor const z = rig.output_wide({1, rows, c.O});
      rig.backend->head(z, rig.real({1, rows, c.I}, v), h);
      return rig.read(z);
    };
    auto const scores = [&](Values const& v, int64_t rows) {
      Tensor const s = rig.output_f64({1, rows, 3});
      rig.backend->token_loss(s, rig.real({1, rows, c.I}, v), h,
                              rig.ids({1, rows}, std::vector<int32_t>(size_t(rows), int32_t(c.O / 2))));
      return rig.read(s);
    };
    auto const norm = [&](Values const& v, int64_t rows) {
      Tensor const y = rig.output({1, rows, c.I});
      rig.backend->layer_norm(y, {}, rig.real_wide({1, rows, c.I}, v), n);
      return rig.read(y);
    };
    Values const one[] = {in_batches(x, c.I, 1, linear), in_batches(x, c.I, 1, head), in_batches(x, c.I, 1, scores),
                          in_batches(x, c.I, 1, norm)};
    for (int64_t const M : {2, 3, 4, 5, 6, 7, 8, 13, 32, 64}) {
      EXPECT_EQ(in_batches(x, c.I, M, linear), one[0]) << "linear, " << c.I << " to " << c.O << ", rows " << M;
      EXPECT_EQ(in_batches(x, c.I, M, head), one[1]) << "head, " << c.I << " to " << c.O << ", rows " << M;
      EXPECT_EQ(in_batches(x, c.I, M, scores), one[2]) << "token_loss, " << c.I << " to " << c.O << ", rows " << M;
      EXPECT_EQ(in_batches(x, c.I, M, norm), one[3]) << "layer_norm of " << c.I << ", rows " << M;
    }
  }
}

FOLIO_ON_EVERY_BACKEND(OpSameBits);

TEST(OpSameBitsAcrossThreads, InferenceOnTheProcessorDoesNotDependOnTheThreadCount) {
  Values const x = Draw(1).normal(5 * 300), w = Draw(2).normal(300 * 700);
  for (DType const dtype : {DType::f32, DType::bf16, DType::f16}) {
    std::vector<Values> results;
    for (int const threads : {1, 2, 3, 7}) {
      Rig rig(make_cpu_backend(threads), dtype);
      Weight const a = rig.weight({300, 700}, {.linear = true}, w), h = rig.weight({700, 300}, {.head = true}, w);
      rig.lend({.rows = 5, .channels = 700, .vocab = 700, .chunk = 5});
      for (int64_t const rows : {1, 5}) {
        Tensor const in = rig.real({1, rows, 300}, Values(x.begin(), x.begin() + rows * 300)),
                     y = rig.output({1, rows, 700}), z = rig.output_wide({1, rows, 700});
        rig.backend->linear(y, in, {a, {}});
        results.push_back(rig.read(y));
        rig.backend->head(z, in, h);
        results.push_back(rig.read(z));
      }
    }
    for (size_t k = 4; k < results.size(); ++k) EXPECT_EQ(results[k], results[k % 4]);
  }
}

}  // namespace
}  // namespace folio::test

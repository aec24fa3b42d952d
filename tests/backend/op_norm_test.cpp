#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpNorm : public OpTest {};

struct Case {
  int64_t N, C;
  bool bias;
};
std::vector<Case> const kCases = {{1, 1, true},   {3, 2, false},    {5, 13, true}, {7, 64, true},
                                  {67, 31, true}, {40, 100, false}, {9, 768, true}};

Affine norm(Rig& rig, Case const& c, bool training) {
  Draw draw(2);
  Values const gain = draw.normal(c.C, 0.3, 1), bias = draw.normal(c.C), dgain = draw.normal(c.C),
               dbias = draw.normal(c.C);
  Affine a;
  a.weight = rig.weight({c.C}, {}, gain, training ? dgain : Values{});
  if (c.bias) a.bias = rig.weight({c.C}, {}, bias, training ? dbias : Values{});
  return a;
}

TEST_P(OpNorm, ForwardGivesRowsAndStatistics) {
  for (Case const& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.N << " rows of " << c.C);
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Affine const a = norm(rig, c, false);
      Tensor const x = rig.real_wide({c.N, c.C}, Draw(4).normal(c.N * c.C, 2, 1.5));
      Tensor const y = rig.output({c.N, c.C}), stats = rig.output_wide({c.N, 2}), bare = rig.output({c.N, c.C});
      rig.lend({.rows = c.N, .channels = c.C});
      rig.backend->layer_norm(y, stats, x, a);
      rig.backend->layer_norm(bare, {}, x, a);
      Outputs out = {{"layer_norm", rig.read(y)}, {"layer_norm statistics", rig.read(stats)}};
      EXPECT_EQ(rig.read(bare), out[0].second) << "statistics or none, the rows are the same";
      return out;
    });
  }
}

TEST_P(OpNorm, BackwardTwiceAccumulatesEverything) {
  for (Case const& c : kCases) {
    if (c.C == 1) continue;  // one channel: 1/σ is √10⁵ and the gradient is rounding error
    SCOPED_TRACE(::testing::Message() << c.N << " rows of " << c.C);
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Draw draw(6);
      Affine const a = norm(rig, c, true);
      Tensor const x = rig.real_wide({c.N, c.C}, draw.normal(c.N * c.C, 2, 0.5)),
                   dy = rig.real({c.N, c.C}, draw.normal(c.N * c.C));
      Tensor const dx = rig.real_wide({c.N, c.C}, draw.normal(c.N * c.C)), y = rig.output({c.N, c.C}),
                   stats = rig.output_wide({c.N, 2});
      rig.lend({.rows = c.N, .channels = c.C});
      rig.backend->layer_norm(y, stats, x, a);
      for (int twice = 0; twice < 2; ++twice) rig.backend->layer_norm_backward(dx, dy, x, stats, a);
      Outputs out = {{"layer_norm_backward", rig.read(dx)}, {"layer_norm_backward", rig.read(a.weight.grad)}};
      if (c.bias) out.emplace_back("layer_norm_backward", rig.read(a.bias.grad));
      return out;
    });
  }
}

FOLIO_ON_EVERY_BACKEND(OpNorm);

}  // namespace
}  // namespace folio::test

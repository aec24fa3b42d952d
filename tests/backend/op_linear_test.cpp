// linear, linear_gelu and their backward passes; embeddings' matrix twin, the head, is in op_classifier_test.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

struct Case {
  int64_t B, T, I, O;
  bool bias;
};
std::vector<Case> const kCases = {{1, 1, 1, 1, true},     {1, 1, 7, 13, true},   {2, 3, 17, 5, false},
                                  {1, 5, 64, 48, true},   {3, 7, 31, 97, true},  {1, 2, 300, 33, true},
                                  {2, 32, 96, 128, true}, {1, 1, 513, 70, false}};

Affine layer(Rig& rig, Case const& c, bool training) {
  Draw draw(3);
  Values const w = draw.normal(c.I * c.O, 0.5), b = draw.normal(c.O), dw = draw.normal(c.I * c.O),
               db = draw.normal(c.O);
  Affine a;
  a.weight = rig.weight({c.I, c.O}, {.linear = true}, w, training ? dw : Values{});
  if (c.bias) a.bias = rig.weight({c.O}, {}, b, training ? db : Values{});
  return a;
}

class OpLinear : public OpTest {};

TEST_P(OpLinear, ForwardInTrainingAndInferenceIsXWPlusB) {
  for (Case const& c : kCases)
    for (bool const training : {true, false}) {
      SCOPED_TRACE(::testing::Message() << c.I << " to " << c.O << ", " << c.B * c.T << " rows, training " << training);
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Affine const a = layer(rig, c, training);
        Tensor const x = rig.real({c.B, c.T, c.I}, Draw(5).normal(c.B * c.T * c.I)), y = rig.output({c.B, c.T, c.O});
        Tensor const pre = rig.output({c.B, c.T, c.O}), act = rig.output({c.B, c.T, c.O});
        rig.lend({.rows = c.B * c.T, .context = c.T, .channels = c.I});
        rig.backend->linear(y, x, a);
        rig.backend->linear_gelu(act, pre, x, a);
        return {{"linear", rig.read(y)}, {"linear", rig.read(pre)}, {"linear_gelu", rig.read(act)}};
      });
    }
}

TEST_P(OpLinear, BackwardTwiceAccumulatesParametersAndOverwritesActivations) {
  for (Case const& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.I << " to " << c.O << ", " << c.B * c.T << " rows");
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Draw draw(9);
      int64_t const N = c.B * c.T;
      Affine const a = layer(rig, c, true), g = layer(rig, c, true);
      Tensor const x = rig.real({c.B, c.T, c.I}, draw.normal(N * c.I)),
                   dy = rig.real({c.B, c.T, c.O}, draw.normal(N * c.O));
      Tensor const pre = rig.real({c.B, c.T, c.O}, draw.normal(N * c.O, 2));
      Tensor const dx = rig.output({c.B, c.T, c.I}), dx_gelu = rig.output({c.B, c.T, c.I}),
                   dpre = rig.output({c.B, c.T, c.O});
      rig.lend({.rows = N, .context = c.T, .channels = c.I});
      for (int twice = 0; twice < 2; ++twice) {
        rig.backend->linear_backward(dx, dy, x, a);
        rig.backend->linear_gelu_backward(dx_gelu, dpre, dy, pre, x, g);
      }
      Outputs out;
      auto const add = [&](char const* name, Tensor const& t) { out.emplace_back(name, rig.read(t)); };
      add("linear", dx), add("linear gradient", a.weight.grad), add("linear", dpre);
      add("linear_gelu gradient", dx_gelu), add("linear_gelu gradient", g.weight.grad);
      if (c.bias) add("linear gradient", a.bias.grad), add("linear_gelu gradient", g.bias.grad);
      return out;
    });
  }
}

FOLIO_ON_EVERY_BACKEND(OpLinear);

}  // namespace
}  // namespace folio::test

// embed, its backward, gather, and moving memory.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpEmbedding : public OpTest {};

TEST_P(OpEmbedding, RowsAndTheirGradientsWithRepeatedTokens) {
  struct Case {
    int64_t B, T, C, V;
  };
  for (Case const& c : {Case{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 17, 33, 5}, {2, 40, 64, 50257}})
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Draw draw(1);
      int64_t const N = c.B * c.T;
      std::vector<int32_t> positions(N);
      for (int64_t n = 0; n < N; ++n) positions[n] = int32_t((n + 3) % c.T);  // not 0 … T − 1
      Tensor const tokens = rig.ids({c.B, c.T}, draw.ids(N, c.V)), places = rig.ids({c.B, c.T}, positions);
      Weight const wte = rig.weight({c.V, c.C}, {.lookup = true}, draw.normal(c.V * c.C), Values(c.V * c.C, 0.25));
      Weight const wpe = rig.weight({c.T, c.C}, {.lookup = true}, draw.normal(c.T * c.C), draw.normal(c.T * c.C));
      Tensor const x = rig.output_wide({c.B, c.T, c.C}), dx = rig.real_wide({c.B, c.T, c.C}, draw.normal(N * c.C));
      rig.backend->embed(x, tokens, places, wte, wpe);
      for (int twice = 0; twice < 2; ++twice) rig.backend->embed_backward(dx, tokens, places, wte, wpe);
      return {{"embed", rig.read(x)}, {"linear gradient", rig.read(wte.grad)}, {"linear gradient", rig.read(wpe.grad)}};
    });
}

TEST_P(OpEmbedding, GatherCopyAndZeroMoveBits) {
  check_body(candidate(), [&](Rig& rig) -> Outputs {
    Draw draw(1);
    Tensor const x = rig.real_wide({1, 9, 7}, draw.normal(63)), y = rig.output_wide({4, 7}),
                 z = rig.output_wide({1, 9, 7});
    Tensor const big = rig.real({300000}, draw.normal(300000)), twin = rig.output({300000});
    rig.backend->gather(y, x, rig.ids({4}, {8, 0, 3, 3})), rig.backend->copy(z, x), rig.backend->copy(twin, big);
    EXPECT_EQ(rig.read(twin), rig.read(big));
    rig.backend->zero(big);
    EXPECT_EQ(rig.read(big), Values(300000, 0.0));
    return {{"copy", rig.read(y)}, {"copy", rig.read(z)}};
  });
}

FOLIO_ON_EVERY_BACKEND(OpEmbedding);

}  // namespace
}  // namespace folio::test

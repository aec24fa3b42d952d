// attention and its backward. cached_attention has a file of its own.
#include "core/random.h"
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpAttention : public OpTest {};

struct Case {
  int64_t B, T, H, D;
};
std::vector<Case> const kCases = {{1, 1, 1, 1},    {1, 2, 1, 3},    {2, 5, 3, 7},  {1, 24, 2, 16},
                                  {1, 25, 2, 8},   {2, 47, 1, 33},  {1, 49, 2, 5}, {1, 97, 2, 64},
                                  {2, 130, 2, 32}, {1, 257, 1, 80}, {1, 64, 13, 4}};

StepState dropping_state() {
  StepState s;
  s.seed = 77, s.attempted = 9;
  return s;
}
Dropout dropout(Rig& rig, Case const& c, double rate) {
  std::vector<int64_t> sequences;
  for (int64_t b = 0; b < c.B; ++b) sequences.push_back(1000 - 3 * b);
  return {.rate = rate,
          .layer = 3,
          .site = Site::attention,
          .sequences = rig.numbers({c.B}, sequences),
          .state = rig.object(dropping_state())};
}
Limits limits(Case const& c) {
  return {.rows = c.B * c.T, .sequences = c.B, .context = c.T, .channels = c.H * c.D, .heads = c.H};
}

TEST_P(OpAttention, ForwardWithAndWithoutDropout) {
  for (Case const& c : kCases)
    for (double const rate : {0.0, 0.25}) {
      SCOPED_TRACE(::testing::Message() << "B " << c.B << " T " << c.T << " H " << c.H << " D " << c.D << " rate "
                                        << rate);
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        int64_t const C = c.H * c.D;
        Tensor const qkv = rig.real({c.B, c.T, 3 * C}, Draw(2).normal(c.B * c.T * 3 * C, 1.5));
        Tensor const y = rig.output({c.B, c.T, C}), lse = rig.output_wide({c.B, c.H, c.T});
        rig.lend(limits(c));
        rig.backend->attention(y, lse, qkv, dropout(rig, c, rate));
        return {{"attention", rig.read(y)}, {"attention lse", rig.read(lse)}};
      });
    }
}

TEST_P(OpAttention, BackwardWithAndWithoutDropout) {
  for (Case const& c : kCases)
    for (double const rate : {0.0, 0.25}) {
      SCOPED_TRACE(::testing::Message() << "B " << c.B << " T " << c.T << " H " << c.H << " D " << c.D << " rate "
                                        << rate);
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Draw draw(2);
        int64_t const C = c.H * c.D;
        Tensor const qkv = rig.real({c.B, c.T, 3 * C}, draw.normal(c.B * c.T * 3 * C)),
                     dqkv = rig.output({c.B, c.T, 3 * C});
        Tensor const y = rig.output({c.B, c.T, C}), lse = rig.output_wide({c.B, c.H, c.T}),
                     dy = rig.real({c.B, c.T, C}, draw.normal(c.B * c.T * C));
        rig.lend(limits(c));
        rig.backend->attention(y, lse, qkv, dropout(rig, c, rate));
        for (int twice = 0; twice < 2; ++twice)
          rig.backend->attention_backward(dqkv, dy, y, lse, qkv, dropout(rig, c, rate));
        return {{"attention_backward", rig.read(dqkv)}};
      });
    }
}

// With one key that takes all the weight of a query, the output shows that key's mask: v of key j is j + 1.
TEST_P(OpAttention, DropsTheElementsThatTheWordsName) {
  Case const c{2, 37, 1, 40};
  double const rate = 0.4;
  int64_t const row = 3 * c.D;
  for (int64_t back = 0; back < 3; ++back) {  // the key `back` positions before the query
    Values v(c.B * c.T * row, 0.0);
    for (int64_t n = 0; n < c.B * c.T; ++n) {
      int64_t const t = n % c.T;
      if (t >= back) v[n * row + t - back] = 300;
      v[n * row + c.D + t] = 30;
      v[n * row + 2 * c.D] = double(t + 1);
    }
    Outputs const got = run_body(candidate(), [&](Rig& rig) -> Outputs {
      Tensor const qkv = rig.real({c.B, c.T, row}, v), y = rig.output({c.B, c.T, c.D}),
                   lse = rig.output_wide({c.B, 1, c.T});
      rig.lend(limits(c));
      rig.backend->attention(y, lse, qkv, dropout(rig, c, rate));
      return {{"attention", rig.read(y)}};
    });
    for (int64_t b = 0; b < c.B; ++b)
      for (int64_t i = back; i < c.T; ++i) {
        uint64_t const index = uint64_t(((1000 - 3 * b) * c.T + i) * c.T + i - back);
        bool const kept = random_word(77, Domain::dropout, 9, 3, uint32_t(Site::attention), index) >=
                          std::llround(rate * 4294967296.0);
        double const expected = kept ? double(i - back + 1) / (1 - rate) : 0;
        EXPECT_NEAR(got[0].second[(b * c.T + i) * c.D], expected, 0.01 + 0x1p-8 * expected)
            << "query " << i << ", " << back << " back";
      }
  }
}

FOLIO_ON_EVERY_BACKEND(OpAttention);

}  // namespace
}  // namespace folio::test

// GELU and dropout.
#include "core/random.h"
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpElementwise : public OpTest {};

TEST_P(OpElementwise, GeluAndItsSlopeOverTheWholeRange) {
  Values x;
  for (double v = -30; v < 30; v += 0.0173) x.push_back(static_cast<float>(v));
  for (double v : {0.0, -0.0, 1e-30, -1e-30, 1e-6, 90.0, -90.0, 1e4, -1e4, 1e15, -1e15})
    x.push_back(static_cast<float>(v));
  DType const d = candidate().dtype;
  double const ulp = d == DType::bf16 ? 0x1p-8 : d == DType::f16 ? 0x1p-11 : 0;  // of what is stored
  double const least = d == DType::f16 ? 0x1p-25 : 0;                            // half of f16's smallest number
  if (d == DType::f16) std::erase_if(x, [](double v) { return std::abs(v) > 65504; });
  int64_t const n = int64_t(x.size());
  for (double& v : x)
    v = d == DType::bf16 ? to_float(to_bf16(float(v))) : d == DType::f16 ? to_float(to_f16(float(v))) : v;
  Outputs const got = run_body(candidate(), [&](Rig& rig) -> Outputs {
    Tensor const in = rig.real({n}, x), y = rig.output({n}), dy = rig.real({n}, Values(n, 1.0)), dx = rig.output({n});
    rig.backend->gelu(y, in), rig.backend->gelu_backward(dx, dy, in);
    return {{"gelu", rig.read(y)}, {"gelu", rig.read(dx)}};
  });
  for (int64_t i = 0; i < n; ++i) {
    double const v = x[i], u = 0.7978845608028654 * (v + 0.044715 * v * v * v), t = std::tanh(u);
    double const y = 0.5 * v * (1 + t);
    double const dx = std::abs(v) > 50
                          ? (v > 0)
                          : 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * v * v);
    // 1 + t cancels in f32 on the left side: an error of ε there is no error of the kernel's making
    EXPECT_NEAR(got[0].second[i], y, 2e-7 * std::abs(v) + ulp * std::abs(y) + least + 1e-30) << "gelu(" << v << ")";
    EXPECT_NEAR(got[1].second[i], dx, 8e-7 + ulp * std::abs(dx) + least) << "gelu'(" << v << ")";
  }
}

TEST_P(OpElementwise, GeluOfAnyLength) {
  for (int64_t const n : {1, 7, 8, 9, 61, 1000, 40000})
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      Draw draw(1);
      Tensor const x = rig.real({n}, draw.normal(n, 3)), dy = rig.real({n}, draw.normal(n)), y = rig.output({n}),
                   dx = rig.output({n});
      rig.backend->gelu(y, x), rig.backend->gelu_backward(dx, dy, x);
      rig.backend->gelu_backward(dy, dy, x);  // in place
      EXPECT_EQ(rig.read(dy), rig.read(dx));
      return {{"gelu", rig.read(y)}, {"linear", rig.read(dx)}};
    });
}

TEST_P(OpElementwise, WhatIsNotANumberStaysSo) {
  for (uint32_t const bits : {0x7fc00000u, 0x7fc00001u, 0xffffffffu, 0x7fffffffu}) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    Rig rig(candidate().make(), candidate().dtype);
    Tensor const x = rig.real({9}, Values(9, value)), y = rig.output({9}), one = rig.real({9}, Values(9, 1.0)),
                 dx = rig.output({9});
    std::vector<float> const raw(9, value);
    bool const halves = rig.dtype == DType::f16;  // one of its own, with the last bits of this one
    std::vector<uint16_t> const half(9, uint16_t(halves ? 0x7e00 | (bits & 0x81ff) : bits >> 16));
    rig.backend->upload(x, rig.dtype == DType::f32 ? static_cast<void const*>(raw.data()) : half.data());
    rig.backend->gelu(y, x), rig.backend->gelu_backward(dx, one, x);
    for (int64_t i = 0; i < 9; ++i)
      EXPECT_TRUE(std::isnan(rig.read(y)[i]) && std::isnan(rig.read(dx)[i])) << std::hex << bits;
  }
}

StepState state_with(uint64_t seed, int64_t attempted) {
  StepState s;
  s.seed = seed, s.attempted = attempted;
  return s;
}

struct Case {
  int64_t B, T, C;
  double rate;
};
std::vector<Case> const kCases = {{1, 1, 1, 0.5},   {2, 3, 5, 0.1},   {3, 7, 13, 0.2},
                                  {2, 16, 64, 0.3}, {4, 31, 33, 0.9}, {3, 50, 129, 0.5}};

TEST_P(OpElementwise, DropoutDropsTheElementsThatTheWordsName) {
  for (Case const& c : kCases) {
    int64_t const row = c.T * c.C, n = c.B * row;
    std::vector<int64_t> sequences;
    for (int64_t b = 0; b < c.B; ++b) sequences.push_back(b == 1 ? (int64_t{1} << 33) + 5 : 3 + 7 * b);
    uint64_t const seed = 0x123456789abcdefull;
    Outputs const got = run_body(candidate(), [&](Rig& rig) -> Outputs {
      Tensor const branch = rig.real_wide({c.B, c.T, c.C}, Values(n, 1.0)), y = rig.output_wide({c.B, c.T, c.C});
      Dropout const d{.rate = c.rate,
                      .layer = 11,
                      .site = Site::mlp_residual,
                      .sequences = rig.numbers({c.B}, sequences),
                      .state = rig.object(state_with(seed, 42))};
      rig.backend->dropout_add(y, {}, branch, d);
      return {{"dropout", rig.read(y)}};
    });
    for (int64_t i = 0; i < n; ++i) {
      uint64_t const index = uint64_t(sequences[size_t(i / row)] * row + i % row);
      uint32_t const word = random_word(seed, Domain::dropout, 42, 11, uint32_t(Site::mlp_residual), index);
      double const expected = word >= std::llround(c.rate * 4294967296.0) ? 1 / (1 - c.rate) : 0;
      ASSERT_FLOAT_EQ(float(got[0].second[i]), float(expected)) << "element " << i << " of " << n;
    }
  }
}

TEST_P(OpElementwise, DropoutAddsAndMirrorsInPlaceAndNot) {
  for (Case const& c : kCases)
    for (double const rate : {0.0, c.rate})
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Draw draw(8);
        int64_t const n = c.B * c.T * c.C;
        Shape const shape{c.B, c.T, c.C};
        std::vector<int64_t> sequences(c.B);
        for (int64_t b = 0; b < c.B; ++b) sequences[b] = 100 - b;
        Dropout const d{.rate = rate,
                        .layer = 2,
                        .site = Site::embedding,
                        .sequences = rig.numbers({c.B}, sequences),
                        .state = rig.object(state_with(5, 1))};
        Tensor const x = rig.real_wide(shape, draw.normal(n)), branch = rig.real(shape, draw.normal(n)),
                     first = rig.real_wide(shape, draw.normal(n)), y = rig.output_wide(shape);
        Tensor const alone = rig.output_wide(shape), dy = rig.real_wide(shape, draw.normal(n)), db = rig.output(shape),
                     whole = rig.output_wide(shape);
        rig.backend->dropout_add(y, x, branch, d), rig.backend->dropout_add(alone, {}, first, d);
        rig.backend->dropout_backward(db, dy, d), rig.backend->dropout_backward(whole, dy, d);
        Outputs const out = {{"dropout wide", rig.read(y)},
                             {"dropout wide", rig.read(alone)},
                             {"dropout", rig.read(db)},
                             {"dropout wide", rig.read(whole)}};
        rig.backend->dropout_add(x, x, branch, d), rig.backend->dropout_backward(dy, dy, d);
        EXPECT_EQ(rig.read(x), out[0].second) << "y is x";
        EXPECT_EQ(rig.read(dy), out[3].second) << "dbranch is dy";
        rig.backend->dropout_add(first, {}, first, d);
        EXPECT_EQ(rig.read(first), out[1].second) << "y is branch";
        return out;
      });
}

TEST_P(OpElementwise, ARateNearOneDropsEverything) {
  Outputs const got = run_body(candidate(), [&](Rig& rig) -> Outputs {
    Tensor const y = rig.real_wide({1, 8, 8}, Values(64, 1.0));
    Dropout const d{.rate = 1 - 1e-12,
                    .layer = 0,
                    .site = Site::embedding,
                    .sequences = rig.numbers({1}, {0}),
                    .state = rig.object(state_with(5, 1))};
    rig.backend->dropout_add(y, {}, y, d);
    return {{"dropout", rig.read(y)}};
  });
  EXPECT_EQ(got[0].second, Values(64, 0.0));
}

FOLIO_ON_EVERY_BACKEND(OpElementwise);

}  // namespace
}  // namespace folio::test

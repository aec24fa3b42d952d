// bf16: every value survives the way to f32 and back, and rounding is to nearest, ties to even.
#include "core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace folio::test {
namespace {

TEST(Bf16, EveryValueSurvivesTheWayToF32AndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float const f = to_float(bf16{uint16_t(bits)});
    uint16_t const back = to_bf16(f).bits;
    if (std::isnan(f)) EXPECT_TRUE(std::isnan(to_float(bf16{back}))) << bits;
    else EXPECT_EQ(back, bits);
  }
}

TEST(Bf16, RoundsToTheNearestAndTiesToEven) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    uint16_t const low = uint16_t(random() % 0x7f7f);  // and its neighbour above are finite
    float const a = to_float(bf16{low}), b = to_float(bf16{uint16_t(low + 1)}),
                middle = float((double(a) + double(b)) / 2);
    uint16_t const even = low % 2 == 0 ? low : uint16_t(low + 1);
    for (float const sign : {1.0f, -1.0f}) {
      uint16_t const s = sign < 0 ? 0x8000 : 0;
      EXPECT_EQ(to_bf16(sign * middle).bits, even | s);
      EXPECT_EQ(to_bf16(sign * std::nextafter(middle, a)).bits, low | s);
      EXPECT_EQ(to_bf16(sign * std::nextafter(middle, b)).bits, (low + 1) | s);
    }
  }
}

TEST(Bf16, WhatIsTooLargeBecomesInfinityAndNaNStaysNaN) {
  EXPECT_EQ(to_bf16(3.4028235e38f).bits, 0x7f80);
  EXPECT_EQ(to_bf16(-INFINITY).bits, 0xff80);
  for (uint32_t const bits : {0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu, 0x7fc00000u})
    EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(bits))))) << std::hex << bits;
}

TEST(Wide, IsF32ForHalfTypesAndTheTypeItselfElse) {
  EXPECT_EQ(wide(DType::bf16), DType::f32);
  EXPECT_EQ(wide(DType::f16), DType::f32);
  for (DType const d : {DType::f32, DType::f64, DType::c128}) EXPECT_EQ(wide(d), d);
}

}  // namespace
}  // namespace folio::test

// The table of kernels itself, at the level in use: it is whole, and loads and stores of bf16 are those of
// core/dtype.h. What the kernels compute is tested through the ops.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "backend/cpu/table.h"
#include "core/dtype.h"

namespace folio::test {
namespace {

cpu::KernelTable table() { return cpu::table_of(level_in_use()); }

// Bits of numbers of every kind: ties between two bf16, the numbers beside them, infinities, not a number, subnormals.
std::vector<float> numbers() {
  std::vector<uint32_t> bits;
  for (uint32_t const upper :
       {0x0000u, 0x0001u, 0x0080u, 0x3f80u, 0x3f81u, 0x4049u, 0x7f7fu, 0x7f80u, 0x7fc0u, 0x7f81u})
    for (uint32_t const lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      for (uint32_t const sign : {0u, 0x80000000u}) bits.push_back(sign | upper << 16 | lower);
  std::mt19937 random(5);
  while (bits.size() < 5000) bits.push_back(uint32_t(random()));
  std::vector<float> values;
  for (uint32_t const b : bits) values.push_back(std::bit_cast<float>(b));
  return values;
}
bool is_subnormal(float x) { return std::fpclassify(x) == FP_SUBNORMAL; }

}  // namespace

TEST(Kernels, TheTableIsWholeAtEveryLevel) {
  cpu::KernelTable const t = table();
  void* words[sizeof(t) / sizeof(void*)];
  static_assert(sizeof(words) == sizeof(t));
  std::memcpy(words, &t, sizeof(t));
  int const empty = int(std::count(std::begin(words), std::end(words), nullptr));
  EXPECT_EQ(empty, t.multiply_adds_bf16 ? 0 : 2);  // a peak in bf16 is what a level may lack
  EXPECT_EQ(t.multiply_adds_bf16 != nullptr, level_in_use() >= CpuLevel::avx512_bf16);
  EXPECT_EQ(t.f32.panel, t.bf16.panel);
}

TEST(Kernels, RoundToBf16AsTheScalarDoes) {
  auto const values = numbers();
  std::vector<bf16> rounded(values.size());
  table().bf16.narrow(rounded.data(), values.data(), int64_t(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    bf16 const expected = to_bf16(values[i]);
    bool const flushed = is_subnormal(values[i]) && (rounded[i].bits & 0x7fff) == 0;  // BF16's instruction does that
    EXPECT_TRUE(rounded[i].bits == expected.bits || flushed)
        << std::hex << std::bit_cast<uint32_t>(values[i]) << ": " << rounded[i].bits << ", not " << expected.bits;
  }
}

TEST(Kernels, WidenBf16Exactly) {
  std::vector<bf16> all;
  for (uint32_t b = 0; b < 0x10000; ++b) all.push_back({uint16_t(b)});
  std::vector<float> wide(all.size());
  table().bf16.widen(wide.data(), all.data(), int64_t(all.size()));
  for (size_t b = 0; b < all.size(); ++b) ASSERT_EQ(std::bit_cast<uint32_t>(wide[b]), uint32_t(b) << 16);
}

TEST(Kernels, TailsOfBf16AreTheWholeRowsAndNothingIsReadOrWrittenBeyond) {
  auto const values = numbers();
  for (int64_t n = 0; n <= 40; ++n) {
    std::vector<bf16> whole(64), part(64, bf16{0xa5a5});
    std::vector<float> const row(values.begin() + 200, values.begin() + 200 + n);  // its end is the memory's
    table().bf16.narrow(whole.data(), values.data() + 200, 64);
    table().bf16.narrow(part.data(), row.data(), n);
    for (int64_t i = 0; i < 64; ++i)
      EXPECT_EQ(part[size_t(i)].bits, i < n ? whole[size_t(i)].bits : 0xa5a5) << i << " of " << n;
    std::vector<float> wide(64, 7);
    std::vector<bf16> const tail(whole.begin(), whole.begin() + n);
    table().bf16.widen(wide.data(), tail.data(), n);
    for (int64_t i = 0; i < 64; ++i)
      EXPECT_EQ(std::bit_cast<uint32_t>(wide[size_t(i)]),
                i < n ? uint32_t(whole[size_t(i)].bits) << 16 : std::bit_cast<uint32_t>(7.0f));
  }
}

}  // namespace folio::test

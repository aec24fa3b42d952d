// The table of kernels itself, at the level in use: it is whole, and loads and stores of bf16 and f16 are those of
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
  for (uint32_t const half : {0x0000u, 0x0001u, 0x03ffu, 0x0400u, 0x3c00u, 0x3c01u, 0x7bffu})  // and of f16
    for (int const step : {0, 1, 2, 3, 4}) {
      double const low = to_float(f16{uint16_t(half)}),
                   high = half == 0x7bff ? 65536 : to_float(f16{uint16_t(half + 1)});
      bits.push_back(std::bit_cast<uint32_t>(float(low + (high - low) * step / 4)));
      bits.push_back(std::bit_cast<uint32_t>(std::nextafter(float((low + high) / 2), step % 2 ? 0.0f : INFINITY)));
    }
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

template <class S>
S narrowed(float x) {
  if constexpr (std::is_same_v<S, bf16>) return to_bf16(x);
  else return to_f16(x);
}

template <class S>
void rounds_as_the_scalar(cpu::Kernels<S> const& kernels, bool may_flush) {
  auto const values = numbers();
  std::vector<S> rounded(values.size());
  kernels.narrow(rounded.data(), values.data(), int64_t(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    S const expected = narrowed<S>(values[i]);
    bool const flushed = may_flush && is_subnormal(values[i]) && (rounded[i].bits & 0x7fff) == 0;
    EXPECT_TRUE(rounded[i].bits == expected.bits || flushed)
        << std::hex << std::bit_cast<uint32_t>(values[i]) << ": " << rounded[i].bits << ", not " << expected.bits;
  }
}

template <class S>
void widens_exactly(cpu::Kernels<S> const& kernels) {
  std::vector<S> all;
  for (uint32_t b = 0; b < 0x10000; ++b) all.push_back({uint16_t(b)});
  std::vector<float> wide(all.size());
  kernels.widen(wide.data(), all.data(), int64_t(all.size()));
  for (size_t b = 0; b < all.size(); ++b) {
    float const expected = to_float(all[b]);
    if (std::isnan(expected)) ASSERT_TRUE(std::isnan(wide[b])) << b;
    else ASSERT_EQ(std::bit_cast<uint32_t>(wide[b]), std::bit_cast<uint32_t>(expected)) << b;
  }
}

template <class S>
void tails_are_whole_rows(cpu::Kernels<S> const& kernels) {
  auto const values = numbers();
  for (int64_t n = 0; n <= 40; ++n) {
    std::vector<S> whole(64), part(64, S{0xa5a5});
    std::vector<float> const row(values.begin() + 200, values.begin() + 200 + n);  // its end is the memory's
    kernels.narrow(whole.data(), values.data() + 200, 64);
    kernels.narrow(part.data(), row.data(), n);
    for (int64_t i = 0; i < 64; ++i)
      EXPECT_EQ(part[size_t(i)].bits, i < n ? whole[size_t(i)].bits : 0xa5a5) << i << " of " << n;
    std::vector<float> wide(64, 7), all(64);
    std::vector<S> const tail(whole.begin(), whole.begin() + n);
    kernels.widen(all.data(), whole.data(), 64), kernels.widen(wide.data(), tail.data(), n);
    for (int64_t i = 0; i < 64; ++i)
      EXPECT_EQ(std::bit_cast<uint32_t>(wide[size_t(i)]), std::bit_cast<uint32_t>(i < n ? all[size_t(i)] : 7.0f));
  }
}

TEST(Kernels, RoundAsTheScalarDoes) {
  rounds_as_the_scalar(table().bf16, true);  // BF16's instruction takes subnormal numbers for 0
  rounds_as_the_scalar(table().f16, false);
}

TEST(Kernels, WidenExactly) { widens_exactly(table().bf16), widens_exactly(table().f16); }

TEST(Kernels, TailsAreTheWholeRowsAndNothingIsReadOrWrittenBeyond) {
  tails_are_whole_rows(table().bf16), tails_are_whole_rows(table().f16);
}

}  // namespace folio::test

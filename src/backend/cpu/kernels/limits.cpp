// Loops that do nothing but keep the machine busy: see backend/limits.h. The asm keeps the compiler from folding them.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

constexpr int kChains = 12;  // enough to hide the latency of two units, few enough for 16 registers

void multiply_adds(int64_t steps) {
  Vec sums[kChains], x = all(1.0f);
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) sums[c] = zero();
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = fma(sums[c], x, x);
      asm volatile("" : "+v"(sums[c]));
    }
}

#ifdef __AVX512BF16__
void multiply_adds_bf16(int64_t steps) {
  Vec sums[kChains];
  __m512bh const x = __m512bh(_mm512_set1_epi16(0x3f80));
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) sums[c] = zero();
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_dpbf16_ps(sums[c], x, x);
      asm volatile("" : "+v"(sums[c]));
    }
}
constexpr auto kMultiplyAddsBf16 = multiply_adds_bf16;
constexpr double kFlopsBf16 = 4.0 * kLanes * kChains;
#else
constexpr void (*kMultiplyAddsBf16)(int64_t) = nullptr;
constexpr double kFlopsBf16 = 0;
#endif

void read(float const* p, int64_t n) {
  Vec sums[8];
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) sums[k] = zero();
  for (int64_t i = 0; i + 8 * kLanes <= n; i += 8 * kLanes)
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) sums[k] = sums[k] + load(p + i + k * kLanes);
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) asm volatile("" : "+v"(sums[k]));
}

}  // namespace

void fill_limits(KernelTable& t) {
  static_cast<LimitKernels&>(t) = {.flops = 2.0 * kLanes * kChains,
                                   .multiply_adds = multiply_adds,
                                   .flops_bf16 = kFlopsBf16,
                                   .multiply_adds_bf16 = kMultiplyAddsBf16,
                                   .read = read};
}

}  // namespace folio::cpu::FOLIO_LEVEL

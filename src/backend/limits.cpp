#include "backend/limits.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "backend/info.h"
#include "core/error.h"

namespace folio {
namespace {

constexpr int kChains = 12;  // enough to hide the latency of two units, few enough for 16 registers
constexpr int64_t kSteps = 20'000'000;

// The asm keeps the compiler from folding or leaving out the loop.
__attribute__((target("avx512f"))) void multiply_add_512() {
  __m512 sums[kChains];
  __m512 const x = _mm512_set1_ps(1.0f);
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_setzero_ps();
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm512_fmadd_ps(sums[c], x, x);
      asm volatile("" : "+v"(sums[c]));
    }
}
__attribute__((target("avx2,fma"))) void multiply_add_256() {
  __m256 sums[kChains];
  __m256 const x = _mm256_set1_ps(1.0f);
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) sums[c] = _mm256_setzero_ps();
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) {
      sums[c] = _mm256_fmadd_ps(sums[c], x, x);
      asm volatile("" : "+x"(sums[c]));
    }
}

__attribute__((target("avx2"))) void read_all(float const* p, int64_t n) {
  __m256 sums[8];
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) sums[k] = _mm256_setzero_ps();
  for (int64_t i = 0; i + 64 <= n; i += 64)
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) sums[k] = _mm256_add_ps(sums[k], _mm256_loadu_ps(p + i + 8 * k));
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) asm volatile("" : "+x"(sums[k]));
}

template <class F>
double best_seconds(int threads, F f) {  // f(thread), all at once; the best of five
  double best = 1e300;
  for (int repetition = 0; repetition < 5; ++repetition) {
    auto const begin = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; ++t) f(t);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

int count_of(int threads) { return threads > 0 ? threads : openmp_threads(); }
void need_avx2() {
  check(processor().avx2, Fault::device,
        "the machine's limits are measured with AVX2 and FMA, which this processor lacks");
}

}  // namespace

MatrixPeak measure_matrix_peak(int threads) {
  need_avx2();
  int const n = count_of(threads);
  bool const wide = processor().avx512;
  double const seconds = best_seconds(n, [&](int) { wide ? multiply_add_512() : multiply_add_256(); });
  return {double(n) * 2 * (wide ? 16 : 8) * kChains * double(kSteps) / seconds, wide ? "AVX-512" : "AVX2"};
}

double measure_read_bandwidth(int threads) {
  need_avx2();
  int const n = count_of(threads);
  constexpr int64_t kFloats = int64_t{512} << 18;
  std::unique_ptr<float, decltype(&std::free)> const memory(static_cast<float*>(std::aligned_alloc(64, kFloats * 4)),
                                                            std::free);
  check(memory != nullptr, Fault::memory, "out of memory: 512 MiB asked for, to measure read bandwidth");
  int64_t const share = kFloats / n / 64 * 64;
  auto const part = [&](int t) { return memory.get() + t * share; };
  best_seconds(n, [&](int t) { std::fill_n(part(t), share, 1.0f); });  // touched by who reads it
  return double(n * share) * 4 / best_seconds(n, [&](int t) { read_all(part(t), share); });
}

}  // namespace folio

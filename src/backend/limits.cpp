#include "backend/limits.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "backend/cpu/table.h"
#include "backend/info.h"
#include "core/error.h"

namespace folio {
namespace {

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

int count_of(int threads) { return threads > 0 ? threads : default_threads(); }

}  // namespace

MatrixPeak measure_matrix_peak(int threads) {
  cpu::KernelTable const table = cpu::table_of(level_in_use());
  int const n = count_of(threads);
  auto const rate = [&](double flops, void (*loop)(int64_t)) {
    constexpr int64_t kSteps = 20'000'000;
    return loop ? double(n) * flops * double(kSteps) / best_seconds(n, [&](int) { loop(kSteps); }) : 0;
  };
  return {rate(table.flops, table.multiply_adds), rate(table.flops_bf16, table.multiply_adds_bf16),
          std::min(level_in_use(), CpuLevel::avx512_bf16)};
}

double measure_read_bandwidth(int threads) {
  cpu::KernelTable const table = cpu::table_of(level_in_use());
  int const n = count_of(threads);
  constexpr int64_t kFloats = int64_t{512} << 18;
  std::unique_ptr<float, decltype(&std::free)> const memory(static_cast<float*>(std::aligned_alloc(64, kFloats * 4)),
                                                            std::free);
  check(memory != nullptr, Fault::memory, "out of memory: 512 MiB asked for, to measure read bandwidth");
  int64_t const share = kFloats / n / 128 * 128;
  auto const part = [&](int t) { return memory.get() + t * share; };
  best_seconds(n, [&](int t) { std::fill_n(part(t), share, 1.0f); });  // touched by who reads it
  return double(n * share) * 4 / best_seconds(n, [&](int t) { table.read(part(t), share); });
}

}  // namespace folio

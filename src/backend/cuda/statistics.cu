// What values are like, for who watches a run.
#include "backend/checksum.h"
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"

namespace folio::cuda {
namespace {

constexpr int kThreads = 512, kColumns = 256, kMostRowParts = 64;
static_assert(kNormParts <= kThreads);  // join_sums: one a thread

template <class S>
__global__ void __launch_bounds__(kThreads) value_sums(ValueSums* parts, S const* x, S const* before, int64_t n) {
  __shared__ double shared[kWarp];
  __shared__ float extremes[kWarp];
  double sum = 0, squares = 0;
  float least = INFINITY, largest = -INFINITY;
#pragma unroll 4
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads) {
    float const v = before ? widen(x[i]) - widen(before[i]) : widen(x[i]);
    sum += double(v), squares += double(v) * double(v);
    least = fminf(least, v), largest = fmaxf(largest, v);
  }
  sum = block_sum(sum, shared), squares = block_sum(squares, shared);
  least = -block_max(-least, extremes), largest = block_max(largest, extremes);
  if (threadIdx.x == 0) parts[blockIdx.x] = {sum, squares, least, largest};
}

__global__ void __launch_bounds__(kThreads) join_sums(double* summary, ValueSums const* parts, int count) {
  __shared__ double shared[kWarp];
  __shared__ float extremes[kWarp];
  ValueSums const own = threadIdx.x < unsigned(count) ? parts[threadIdx.x] : ValueSums{0, 0, INFINITY, -INFINITY};
  double const sum = block_sum(own.sum, shared), squares = block_sum(own.squares, shared);
  float const least = -block_max(-own.least, extremes), largest = block_max(own.largest, extremes);
  if (threadIdx.x != 0) return;
  summary[0] += sum, summary[1] += squares;
  summary[2] = fmin(summary[2], double(least)), summary[3] = fmax(summary[3], double(largest));
}

// A maximum is the same in any order, and numbers of at least 0 are ordered as their bits are.
template <class S>
__global__ void column_maxima(float* to, S const* x, int64_t rows, int64_t C) {
  int64_t const c = int64_t(blockIdx.x) * kColumns + threadIdx.x;
  if (c >= C) return;
  float largest = 0;
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) largest = fmaxf(largest, fabsf(widen(x[r * C + c])));
  atomicMax(reinterpret_cast<int*>(to + c), __float_as_int(largest));
}

// A sum modulo 2^64 is the same in any order.
__global__ void __launch_bounds__(kThreads)
    add_terms(unsigned long long* sum, unsigned char const* bytes, int64_t size) {
  unsigned long long own = 0;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; 4 * i < size; i += int64_t(gridDim.x) * kThreads)
    own += checksum_term(bytes, size, i);
  own = warp_sum(own);
  if (threadIdx.x % kWarp == 0) atomicAdd(sum, own);
}

}  // namespace

void Cuda::do_summarize(Tensor summary, Tensor x, Tensor before) {
  auto* const parts = static_cast<ValueSums*>(sums_.get());
  int const count = int(std::clamp<int64_t>(parts_of(x.size(), kThreads), 1, kNormParts));
  with_storage(x.dtype, [&]<class S>() {
    value_sums<S><<<unsigned(count), kThreads, 0, stream()>>>(parts, x.as<S>(),
                                                              before.empty() ? nullptr : before.as<S>(), x.size());
  });
  join_sums<<<1, kThreads, 0, stream()>>>(summary.as<double>(), parts, count);
  launched("summarize: {}");
}

void Cuda::do_largest_columns(Tensor largest, Tensor x) {
  int64_t const C = x.shape[-1], rows = x.rows();
  dim3 const blocks(unsigned(parts_of(C, kColumns)), unsigned(std::min<int64_t>(rows, kMostRowParts)));
  with_storage(x.dtype, [&]<class S>() {
    column_maxima<S><<<blocks, kColumns, 0, stream()>>>(largest.as<float>(), x.as<S>(), rows, C);
  });
  launched("largest_columns: {}");
}

void Cuda::do_checksum(Tensor sum, Tensor x) {
  auto const size = int64_t(x.bytes());
  unsigned const blocks = unsigned(std::clamp<int64_t>(parts_of((size + 3) / 4, kThreads), 1, kNormParts));
  add_terms<<<blocks, kThreads, 0, stream()>>>(reinterpret_cast<unsigned long long*>(sum.as<int64_t>()),
                                               static_cast<unsigned char const*>(x.data), size);
  launched("checksum: {}");
}

}  // namespace folio::cuda

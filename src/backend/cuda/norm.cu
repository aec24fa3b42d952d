// Layer norm: a warp works on a row, whose elements it reads again from the cache in each of its passes.
#include "backend/cuda/cuda.h"
#include "backend/cuda/fours.cuh"

namespace folio::cuda {
namespace {

constexpr int kRows = 8;         // of a block, a warp each
constexpr int64_t kParts = 64;   // ranges of rows whose sums of the parameters' gradients are taken apart
constexpr int kColumns = 32;     // of a block that takes them
constexpr int kRowsAtOnce = 16;  // and its rows

// f(c, count of elements there) for the fours of a row that this lane has.
template <class F>
__device__ void each_four(int64_t C, F f) {
  for (int64_t c = 4 * (threadIdx.x % kWarp); c < C; c += 4 * kWarp) f(c, C - c);
}
__device__ float sum_of(float4 v) { return (v.x + v.y) + (v.z + v.w); }
__device__ int64_t row_of_warp() { return int64_t(blockIdx.x) * kRows + threadIdx.x / kWarp; }

template <class S>
__global__ void norm_kernel(S* y, float* stats, float const* x, float const* gain, float const* bias, int64_t rows,
                            int64_t C) {
  int64_t const n = row_of_warp();
  if (n >= rows) return;
  float const* const from = x + n * C;
  float sum = 0, squares = 0;
  each_four(C, [&](int64_t c, int64_t count) { sum += sum_of(load_four(from + c, count)); });
  float const mean = warp_sum(sum) / float(C);
  each_four(C, [&](int64_t c, int64_t count) {
    float4 d = each_of_four([&](float v) { return v - mean; }, load_four(from + c, count));
    if (count < 2) d.y = 0;
    if (count < 3) d.z = 0;
    if (count < 4) d.w = 0;
    squares += sum_of(each_of_four([](float v) { return v * v; }, d));
  });
  float const rstd = 1 / sqrtf(warp_sum(squares) / float(C) + 1e-5f);
  each_four(C, [&](int64_t c, int64_t count) {
    float4 const b = bias ? load_four(bias + c, count) : float4{0, 0, 0, 0};
    auto const one = [&](float v, float g, float add) { return fmaf((v - mean) * rstd, g, add); };
    store_four(y + n * C + c, each_of_four(one, load_four(from + c, count), load_four(gain + c, count), b), count);
  });
  if (stats && threadIdx.x % kWarp == 0) stats[2 * n] = mean, stats[2 * n + 1] = rstd;
}

// With x̂ = (x − μ)/σ and g = dy · gain: dx += (g − mean(g) − x̂ · mean(g x̂)) / σ
template <class S>
__global__ void norm_backward_kernel(float* dx, S const* dy, float const* x, float const* stats, float const* gain,
                                     int64_t rows, int64_t C) {
  int64_t const n = row_of_warp();
  if (n >= rows) return;
  float const mean = stats[2 * n], rstd = stats[2 * n + 1];
  auto const multiply = [](float a, float b) { return a * b; };
  auto const normed = [&](int64_t c, int64_t count) {
    return each_of_four([&](float v) { return (v - mean) * rstd; }, load_four(x + n * C + c, count));
  };
  auto const slope = [&](int64_t c, int64_t count) {  // 0 past the end of the row
    return each_of_four(multiply, load_four(dy + n * C + c, count), load_four(gain + c, count));
  };
  float sum = 0, along = 0;
  each_four(C, [&](int64_t c, int64_t count) {
    float4 const g = slope(c, count);
    sum += sum_of(g), along += sum_of(each_of_four(multiply, g, normed(c, count)));
  });
  float const mean_g = warp_sum(sum) / float(C), mean_gx = warp_sum(along) / float(C);
  each_four(C, [&](int64_t c, int64_t count) {
    float* const to = dx + n * C + c;
    auto const one = [&](float old, float g, float v) { return old + (g - mean_g - v * mean_gx) * rstd; };
    store_four(to, each_of_four(one, load_four(to, count), slope(c, count), normed(c, count)), count);
  });
}

// sums (kParts, 2, C): Σ dy x̂ and Σ dy of each range of rows.
template <class S>
__global__ void norm_sums_kernel(float* sums, S const* dy, float const* x, float const* stats, int64_t rows, int64_t C,
                                 int64_t rows_of_part) {
  __shared__ float parts[2][kRowsAtOnce][kColumns];
  int const lane = threadIdx.x % kColumns, y = threadIdx.x / kColumns;
  int64_t const c = int64_t(blockIdx.x) * kColumns + lane, first = int64_t(blockIdx.y) * rows_of_part;
  int64_t const end = min(rows, first + rows_of_part);
  float gain = 0, bias = 0;
  if (c < C)
    for (int64_t n = first + y; n < end; n += kRowsAtOnce) {
      float const g = widen(dy[n * C + c]);
      gain = fmaf(g, (x[n * C + c] - stats[2 * n]) * stats[2 * n + 1], gain), bias += g;
    }
  parts[0][y][lane] = gain, parts[1][y][lane] = bias;
  __syncthreads();
  if (y >= 2 || c >= C) return;
  float sum = 0;
  for (int row = 0; row < kRowsAtOnce; ++row) sum += parts[y][row][lane];
  sums[(int64_t(blockIdx.y) * 2 + y) * C + c] = sum;
}

__global__ void add_norm_sums_kernel(float* gain, float* bias, float const* sums, int64_t C) {
  int64_t const c = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float of_gain = 0, of_bias = 0;
#pragma unroll 16
  for (int64_t part = 0; part < kParts; ++part)
    of_gain += sums[2 * part * C + c], of_bias += sums[(2 * part + 1) * C + c];
  gain[c] += of_gain;
  if (bias) bias[c] += of_bias;
}

}  // namespace

int64_t scratch_of_norm(Limits const& l) { return round_up(kParts * 2 * l.channels * int64_t(sizeof(float)), 256); }

void Cuda::do_layer_norm(Tensor y, Tensor stats, Tensor x, Affine const& a) {
  int64_t const rows = x.rows(), C = x.shape[-1];
  with_storage(y.dtype, [&]<class S> {
    norm_kernel<S><<<unsigned(parts_of(rows, kRows)), kRows * kWarp, 0, stream()>>>(
        y.as<S>(), stats.empty() ? nullptr : stats.as<float>(), x.as<float>(), a.weight.master.as<float>(),
        a.bias.empty() ? nullptr : a.bias.master.as<float>(), rows, C);
    launched("layer_norm: {}");
  });
}

void Cuda::do_layer_norm_backward(Tensor dx, Tensor dy, Tensor x, Tensor stats, Affine const& a) {
  int64_t const rows = x.rows(), C = x.shape[-1];
  float* const sums = room("layer_norm_backward").take<float>(kParts * 2 * C);
  with_storage(dy.dtype, [&]<class S> {
    norm_backward_kernel<S><<<unsigned(parts_of(rows, kRows)), kRows * kWarp, 0, stream()>>>(
        dx.as<float>(), dy.as<S>(), x.as<float>(), stats.as<float>(), a.weight.master.as<float>(), rows, C);
    launched("layer_norm_backward: {}");
    norm_sums_kernel<S><<<dim3(unsigned(parts_of(C, kColumns)), kParts), kColumns * kRowsAtOnce, 0, stream()>>>(
        sums, dy.as<S>(), x.as<float>(), stats.as<float>(), rows, C, parts_of(rows, kParts));
    launched("layer_norm_backward: {}");
  });
  add_norm_sums_kernel<<<unsigned(parts_of(C, 256)), 256, 0, stream()>>>(
      a.weight.grad.as<float>(), a.bias.empty() ? nullptr : a.bias.grad.as<float>(), sums, C);
  launched("layer_norm_backward: {}");
}

}  // namespace folio::cuda

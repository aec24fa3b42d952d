// Linear layers. Training multiplies with cublasLt; inference (a weight without gradient) with inference_product.h.
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"
#include "backend/cuda/inference_product.h"

namespace folio::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void narrow(bf16* y, float const* x, int64_t n) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += int64_t(gridDim.x) * blockDim.x)
    store(y[i], x[i]);
}
__global__ void narrow_with_bias(bf16* y, float const* x, float const* bias, int64_t n, int64_t O) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += int64_t(gridDim.x) * blockDim.x)
    store(y[i], x[i] + bias[i % O]);
}

// Column sums: each part of the rows in its own block, 8 chains a column, then the parts in order.
constexpr int kLines = 8;
constexpr int64_t kPartRows = 64, kMostParts = 64;
int64_t column_parts(int64_t rows) { return std::clamp<int64_t>(parts_of(rows, kPartRows), 1, kMostParts); }

template <class S>
__global__ void __launch_bounds__(kWarp* kLines)
    sum_columns(float* partial, S const* x, int64_t rows, int64_t O, int64_t part) {
  __shared__ float lines[kLines][kWarp];
  int const lane = threadIdx.x % kWarp, line = threadIdx.x / kWarp;
  int64_t const o = int64_t(blockIdx.x) * kWarp + lane, begin = blockIdx.y * part, end = min(rows, begin + part);
  float sum = 0;
  if (o < O)
    for (int64_t n = begin + line; n < end; n += kLines) sum += widen(x[n * O + o]);
  lines[line][lane] = sum;
  __syncthreads();
  if (line > 0 || o >= O) return;
  for (int i = 1; i < kLines; ++i) sum += lines[i][lane];
  partial[blockIdx.y * O + o] = sum;
}
__global__ void add_parts(float* y, float const* partial, int64_t parts, int64_t O) {
  int64_t const o = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (o >= O) return;
  float sum = 0;
  for (int64_t p = 0; p < parts; ++p) sum += partial[p * O + o];
  y[o] += sum;
}

constexpr int64_t kWideBytes = int64_t{128} << 20;  // of products before bias and rounding, at most

}  // namespace

size_t Cuda::compute_bytes(Shape const& shape, DType dtype, Uses uses) const {
  check_type(Fault::value, dtype);
  return dtype == DType::bf16 && (uses.linear || uses.head) ? size_t(shape.size()) * sizeof(bf16) : 0;
}

void Cuda::do_prepare(Weight const& w) {
  if (w.compute.empty() || w.shape.size() == 0) return;
  narrow<<<stride_blocks(w.shape.size()), kStrideThreads, 0, stream()>>>(factor<bf16>(w), w.master.as<float>(),
                                                                         w.shape.size());
  launched("prepare: {}");
}

// The widest layer has 4 C outputs.
int64_t scratch_of_linear(Limits const& l) {
  int64_t const row = 4 * std::max<int64_t>(l.channels, 1) * int64_t(sizeof(float));
  int64_t const wide = l.dtype == DType::bf16 ? std::max(row, std::min(l.rows * row, kWideBytes)) : 0;
  return int64_t(Products::kWorkspace) + Room::kAlign + std::max(wide, column_parts(l.rows) * row);
}

template <class S>
void Cuda::linear_in(Tensor y, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), I = x.shape[-1], O = y.shape[-1];
  S *const Y = y.as<S>(), *const X = x.as<S>(), *const W = factor<S>(a.weight);
  float const* const bias = a.bias.empty() ? nullptr : a.bias.master.as<float>();
  if (a.weight.grad.empty()) return product<false>(stream(), Y, O, X, W, bias, N, O, I);
  Room room = this->room("linear");
  if constexpr (std::is_same_v<S, float>) {
    multiply(Y, O, false, matrix(X, I), matrix(W, O), bias, N, O, I, room);
  } else {
    if (!bias) return multiply(Y, O, false, matrix(X, I), matrix(W, O), nullptr, N, O, I, room);
    // cublasLt adds only a bias of bf16 to an output of bf16; the sum is to be rounded once.
    Room products = room;
    products.take<std::byte>(Products::kWorkspace);
    int64_t const most = std::clamp<int64_t>(products.left() / (O * int64_t(sizeof(float))), 1, N),
                  rows = parts_of(N, parts_of(N, most));
    float* const wide = products.take<float>(rows * O);
    for (int64_t first = 0; first < N; first += rows) {
      int64_t const some = std::min(rows, N - first);
      multiply(wide, O, false, matrix(X + first * I, I), matrix(W, O), nullptr, some, O, I, room);
      narrow_with_bias<<<stride_blocks(some * O), kStrideThreads, 0, stream()>>>(Y + first * O, wide, bias, some * O,
                                                                                 O);
      launched("linear: {}");
    }
  }
}

void Cuda::do_linear(Tensor y, Tensor x, Affine const& a) {
  with_storage(y.dtype, [&]<class S> { linear_in<S>(y, x, a); });
}

template <class S>
void Cuda::linear_backward_in(Tensor dx, Tensor dy, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), I = x.shape[-1], O = dy.shape[-1];
  S *const dX = dx.as<S>(), *const dY = dy.as<S>(), *const X = x.as<S>(), *const W = factor<S>(a.weight);
  Room room = this->room("linear_backward");
  multiply(dX, I, false, matrix(dY, O), matrix(W, O, true), nullptr, N, I, O, room);
  multiply(a.weight.grad.as<float>(), O, true, matrix(X, I, true), matrix(dY, O), nullptr, I, O, N, room);
  if (a.bias.empty()) return;
  int64_t const parts = column_parts(N);
  float* const partial = room.take<float>(parts * O);
  dim3 const grid(unsigned(parts_of(O, kWarp)), unsigned(parts));
  sum_columns<<<grid, kWarp * kLines, 0, stream()>>>(partial, dY, N, O, parts_of(N, parts));
  add_parts<<<unsigned(parts_of(O, kThreads)), kThreads, 0, stream()>>>(a.bias.grad.as<float>(), partial, parts, O);
  launched("linear_backward: {}");
}

void Cuda::do_linear_backward(Tensor dx, Tensor dy, Tensor x, Affine const& a) {
  with_storage(dy.dtype, [&]<class S> { linear_backward_in<S>(dx, dy, x, a); });
}

}  // namespace folio::cuda

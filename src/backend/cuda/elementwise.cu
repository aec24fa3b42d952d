// GELU and dropout. A thread has four consecutive elements.
#include "backend/cuda/cuda.h"
#include "backend/cuda/dropout.cuh"
#include "backend/cuda/fours.cuh"

namespace folio::cuda {
namespace {

constexpr float kAlpha = 0.7978845608028654f;  // √(2/π)
constexpr float kBeta = 0.044715f;
constexpr int kThreads = 256;

unsigned blocks_for(int64_t n) { return unsigned(parts_of(n, 4 * kThreads)); }
__device__ int64_t first_of_thread() { return 4 * (int64_t(blockIdx.x) * kThreads + threadIdx.x); }

template <class S>
__global__ void gelu_kernel(S* y, S const* x, int64_t n) {
  int64_t const i = first_of_thread();
  if (i >= n) return;
  auto const one = [](float v) { return 0.5f * v * (1 + tanhf(kAlpha * (v + kBeta * v * v * v))); };
  store_four(y + i, each_of_four(one, load_four(x + i, n - i)), n - i);
}

// Far out 1 − t² is 0 and its factors may be infinite.
template <class S>
__global__ void gelu_backward_kernel(S* dx, S const* dy, S const* x, int64_t n) {
  int64_t const i = first_of_thread();
  if (i >= n) return;
  auto const one = [](float g, float v) {
    float const t = tanhf(kAlpha * (v + kBeta * v * v * v)), slope = 1 - t * t;
    float const curve = slope == 0 ? 0 : v * slope * (kAlpha * (1 + 3 * kBeta * v * v));
    return g * 0.5f * (1 + t + curve);
  };
  store_four(dx + i, each_of_four(one, load_four(dy + i, n - i), load_four(x + i, n - i)), n - i);
}

// y = x + mask · branch, of sequences of `row` elements each; x null: without the sum. Y and S differ at most in width.
template <class Y, class S>
__global__ void dropout_kernel(Y* y, float const* x, S const* branch, int64_t n, int64_t row, DropoutKey key) {
  int64_t const i = first_of_thread();
  if (i >= n) return;
  float4 factors = {1, 1, 1, 1};
  if (key.state) {
    DropoutCounter const counter = counter_of(key);
    auto const index = [&](int64_t at) { return uint64_t(key.sequences[at / row] * row + at % row); };
    auto const one = [&](int64_t at) {
      return at < n ? dropout_factor(key, counter.seed, counter.attempted, index(at)) : 0;
    };
    factors =
        row % 4 == 0 ? dropout_factors(key, counter, index(i)) : float4{one(i), one(i + 1), one(i + 2), one(i + 3)};
  }
  float4 const b = load_four(branch + i, n - i);
  float4 const sum =
      x ? each_of_four([](float a, float f, float v) { return fmaf(v, f, a); }, load_four(x + i, n - i), factors, b)
        : each_of_four([](float f, float v) { return v * f; }, factors, b);
  store_four(y + i, sum, n - i);
}

template <class Y, class S>
void launch_dropout(char const* what, cudaStream_t stream, Tensor y, Tensor x, Tensor branch, Dropout const& d) {
  int64_t const n = y.size();
  dropout_kernel<Y, S><<<blocks_for(n), kThreads, 0, stream>>>(y.as<Y>(), x.empty() ? nullptr : x.as<float>(),
                                                               branch.as<S>(), n, n / y.shape[0], key_of(d));
  launched(what);
}

}  // namespace

void Cuda::do_gelu(Tensor y, Tensor x) {
  with_storage(x.dtype, [&]<class S> {
    gelu_kernel<S><<<blocks_for(x.size()), kThreads, 0, stream()>>>(y.as<S>(), x.as<S>(), x.size());
    launched("gelu: {}");
  });
}

void Cuda::do_gelu_backward(Tensor dx, Tensor dy, Tensor x) {
  with_storage(x.dtype, [&]<class S> {
    gelu_backward_kernel<S>
        <<<blocks_for(x.size()), kThreads, 0, stream()>>>(dx.as<S>(), dy.as<S>(), x.as<S>(), x.size());
    launched("gelu_backward: {}");
  });
}

void Cuda::do_dropout_add(Tensor y, Tensor x, Tensor branch, Dropout const& d) {
  if (d.rate == 0 && x.empty() && y.data == branch.data) return;
  with_storage(branch.dtype, [&]<class S> { launch_dropout<float, S>("dropout_add: {}", stream(), y, x, branch, d); });
}

void Cuda::do_dropout_backward(Tensor dbranch, Tensor dy, Dropout const& d) {
  if (d.rate == 0 && dbranch.data == dy.data) return;
  with_storage(dbranch.dtype,
               [&]<class S> { launch_dropout<S, float>("dropout_backward: {}", stream(), dbranch, {}, dy, d); });
}

}  // namespace folio::cuda

// Rows by id. An id out of range reads NaN and adds nothing.
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"

namespace folio::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

__device__ float read(float const* table, int32_t id, int64_t below, int64_t c, int64_t C) {
  return 0 <= id && id < below ? table[id * C + c] : NAN;
}

__global__ void add_rows(float* x, int32_t const* tokens, int32_t const* positions, float const* wte, int64_t V,
                         float const* wpe, int64_t T, int64_t size, int64_t C) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += int64_t(gridDim.x) * blockDim.x) {
    int64_t const n = i / C, c = i % C;
    x[i] = read(wte, tokens[n], V, c, C) + read(wpe, positions[n], T, c, C);
  }
}

__global__ void copy_rows(float* y, float const* x, int32_t const* rows, int64_t below, int64_t size, int64_t C) {
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += int64_t(gridDim.x) * blockDim.x)
    y[i] = read(x, rows[i / C], below, i % C, C);
}

// The block of the first row of an id adds all rows of that id, in order; the others end at once. To find them costs
// less than to sort: ids × N reads that lie in the cache, and no scratch.
__global__ void __launch_bounds__(kThreads)
    add_to_rows(float* grad, int64_t below, float const* dx, int32_t const* ids, int64_t N, int64_t C) {
  __shared__ int64_t list[kThreads];
  __shared__ int counts[kWarps];
  int64_t const own = blockIdx.x;
  int const lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int32_t const id = ids[own];
  if (id < 0 || id >= below) return;
  for (int64_t from = 0; from < own; from += kThreads) {
    int64_t const n = from + threadIdx.x;
    if (__syncthreads_or(n < own && ids[n] == id)) return;
  }
  float* const row = grad + id * C;
  for (int64_t from = own; from < N; from += kThreads) {
    int64_t const n = from + threadIdx.x;
    bool const hit = n < N && ids[n] == id;
    if (!__syncthreads_or(hit)) continue;
    unsigned const votes = __ballot_sync(~0u, hit);
    if (lane == 0) counts[warp] = __popc(votes);
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < kWarps; ++w) before += w < warp ? counts[w] : 0, total += counts[w];
    if (hit) list[before + __popc(votes & ((1u << lane) - 1))] = n;
    __syncthreads();
    for (int64_t c = threadIdx.x; c < C; c += kThreads) {
      float sum = row[c];
#pragma unroll 4
      for (int i = 0; i < total; ++i) sum += dx[list[i] * C + c];
      row[c] = sum;
    }
  }
}

}  // namespace

int64_t scratch_of_embedding(Limits const&) { return 0; }

void Cuda::do_embed(Tensor x, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe) {
  add_rows<<<stride_blocks(x.size()), kStrideThreads, 0, stream()>>>(
      x.as<float>(), tokens.as<int32_t>(), positions.as<int32_t>(), wte.master.as<float>(), wte.shape[0],
      wpe.master.as<float>(), wpe.shape[0], x.size(), x.shape[-1]);
  launched("embed: {}");
}

void Cuda::do_embed_backward(Tensor dx, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe) {
  int64_t const N = dx.rows(), C = dx.shape[-1];
  auto const add = [&](Weight const& w, Tensor const& ids) {
    add_to_rows<<<unsigned(N), kThreads, 0, stream()>>>(w.grad.as<float>(), w.shape[0], dx.as<float>(),
                                                        ids.as<int32_t>(), N, C);
    launched("embed_backward: {}");
  };
  add(wte, tokens), add(wpe, positions);
}

void Cuda::do_gather(Tensor y, Tensor x, Tensor rows) {
  copy_rows<<<stride_blocks(y.size()), kStrideThreads, 0, stream()>>>(y.as<float>(), x.as<float>(), rows.as<int32_t>(),
                                                                      x.rows(), y.size(), y.shape[-1]);
  launched("gather: {}");
}

}  // namespace folio::cuda

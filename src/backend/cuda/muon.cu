// Muon: the moment of a matrix, made nearly orthogonal by products of its own shape and of its short side's. Their
// factors are bf16 where a weight is, else f32; sums and the matrix itself are f32. In a refused step the products run
// on what lies in scratch, and nothing of them is kept.
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"
#include "backend/host.h"

namespace folio::cuda {
namespace {

constexpr int kThreads = 512;
static_assert(kNormParts <= kThreads);  // normalise: a part a thread

struct Part {  // (I, O) of the columns of a weight
  int64_t I, O;
  int64_t first, ld;  // its first column; elements from one row of the weight to the next
  __device__ int64_t at(int64_t i) const { return i / O * ld + first + i % O; }
};

/// u (I, O), and the sum of its squares in parts.
__global__ void __launch_bounds__(kThreads)
    direction(float* u, double* parts, float* m, float const* grad, Part part, StepState const* state, Optimizer o) {
  if (!state->accept) return;
  __shared__ double shared[kWarp];
  float const factor = float(state->grad_factor), momentum = float(o.momentum), rest = float(1 - o.momentum);
  double sum = 0;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < part.I * part.O;
       i += int64_t(gridDim.x) * kThreads) {
    float step = grad[part.at(i)] * factor;
    if (m) {
      float const fresh = rest * step;
      step = fmaf(momentum, m[part.at(i)], fresh);
      m[part.at(i)] = step;
      if (o.nesterov) step = fmaf(momentum, step, fresh);
    }
    u[i] = step;
    sum += double(step) * double(step);
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/// rounded = x over its norm, x = factor · that; without parts of the norm, x is normal already.
template <class F>
__global__ void __launch_bounds__(kThreads)
    stage(F* rounded, float* x, float factor, double const* parts, int count, int64_t n) {
  __shared__ double shared[kWarp];
  float scale = 1;
  if (parts) {
    double const squares = block_sum(threadIdx.x < unsigned(count) ? parts[threadIdx.x] : 0.0, shared);
    scale = float(1 / fmax(sqrt(squares), NewtonSchulz::least_norm));
  }
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads) {
    float const v = x[i] * scale;
    store(rounded[i], v);
    x[i] = factor * v;
  }
}

__global__ void narrow(bf16* y, float const* x, int64_t n) {
  for (int64_t i = int64_t(blockIdx.x) * kStrideThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kStrideThreads)
    store(y[i], x[i]);
}

/// y = of_a · a + of_b · b; y may be b.
template <class F>
__global__ void blend(F* y, float const* a, float of_a, float const* b, float of_b, int64_t n) {
  for (int64_t i = int64_t(blockIdx.x) * kStrideThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kStrideThreads)
    store(y[i], fmaf(of_a, a[i], of_b * b[i]));
}

__global__ void __launch_bounds__(kThreads)
    update(float* w, bf16* rounded, float const* x, float scale, Part part, StepState const* state, Optimizer o) {
  if (!state->accept) return;
  float const rate = float(state->input.rate * o.rate), decay = float(o.decay);
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < part.I * part.O;
       i += int64_t(gridDim.x) * kThreads) {
    int64_t const at = part.at(i);
    float const moved = fmaf(-rate, fmaf(decay, w[at], scale * x[i]), w[at]);
    w[at] = moved;
    if (rounded) store(rounded[at], moved);
  }
}

int grid_of(int64_t n) { return int(std::clamp<int64_t>(parts_of(n, kThreads), 1, kNormParts)); }

}  // namespace

// A matrix of 4 C² as it is and as a factor, two squares of C² likewise.
int64_t scratch_of_muon(Limits const& l) {
  int64_t const square = l.channels * l.channels;
  return l.muon ? int64_t(Products::kWorkspace) + 2 * (4 + 2) * square * int64_t(sizeof(float)) + 8 * Room::kAlign : 0;
}

template <class F>
void Cuda::orthogonalise(float* x, int64_t I, int64_t O, Room room) {
  int64_t const size = I * O, side = std::min(I, O), square = side * side;
  constexpr bool kWide = std::is_same_v<F, float>;
  float *const a = room.take<float>(square), *const aa = room.take<float>(square);
  F* const xs = room.take<F>(size);
  F *as = nullptr, *polynomial = nullptr;
  if constexpr (kWide) as = a, polynomial = aa;
  else as = room.take<F>(square), polynomial = room.take<F>(square);
  using N = NewtonSchulz;
  Matrix const straight = matrix(xs, O), turned = matrix(xs, O, true), p = matrix(polynomial, side);
  auto const* const parts = static_cast<double const*>(sums_.get());
  for (int round = 0; round < N::rounds; ++round) {
    stage<<<grid_of(size), kThreads, 0, stream()>>>(xs, x, float(N::a), round == 0 ? parts : nullptr, grid_of(size),
                                                    size);
    if (I <= O) multiply(a, side, false, straight, turned, nullptr, side, side, O, room);
    else multiply(a, side, false, turned, straight, nullptr, side, side, I, room);
    if constexpr (!kWide) narrow<<<stride_blocks(square), kStrideThreads, 0, stream()>>>(as, a, square);
    multiply(aa, side, false, matrix(as, side), matrix(as, side), nullptr, side, side, side, room);
    blend<<<stride_blocks(square), kStrideThreads, 0, stream()>>>(polynomial, a, float(N::b), aa, float(N::c), square);
    if (I <= O) multiply(x, O, true, p, straight, nullptr, I, O, side, room);
    else multiply(x, O, true, straight, p, nullptr, I, O, side, room);
  }
}

void Cuda::muon(Weight const& w, Tensor m, Tensor state, Optimizer const& o) {
  auto const* const s = reinterpret_cast<StepState const*>(state.as<unsigned char>());
  int64_t const I = w.shape[0], O = w.shape[1] / o.parts;
  Room room = this->room("optimize");
  float* const x = room.take<float>(I * O);
  unsigned const blocks = unsigned(grid_of(I * O));
  bf16* const rounded = w.compute.empty() ? nullptr : factor<bf16>(w);
  for (int64_t i = 0; i < o.parts; ++i) {
    Part const part{.I = I, .O = O, .first = i * O, .ld = w.shape[1]};
    direction<<<blocks, kThreads, 0, stream()>>>(x, static_cast<double*>(sums_.get()),
                                                 m.empty() ? nullptr : m.as<float>(), w.grad.as<float>(), part, s, o);
    if (w.dtype == DType::bf16) orthogonalise<bf16>(x, I, O, room);
    else orthogonalise<float>(x, I, O, room);
    update<<<blocks, kThreads, 0, stream()>>>(w.master.as<float>(), rounded, x, float(muon_scale(I, O)), part, s, o);
  }
  launched("optimize: {}");
}

}  // namespace folio::cuda

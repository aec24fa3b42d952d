// The step, through StepState alone.
#include "backend/cuda/cuda.h"
#include "backend/cuda/device.cuh"
#include "backend/host.h"

namespace folio::cuda {
namespace {

constexpr int kThreads = 512;
static_assert(kNormParts <= kThreads);  // add_parts: one a thread

__global__ void begin_one(StepState* s, StepInput const* input) { begin(*s, *input); }
__global__ void decide_one(StepState* s, DecideOptions o) { decide(*s, o); }

__global__ void __launch_bounds__(kThreads) sum_squares(double* parts, float const* grad, int64_t n) {
  __shared__ double shared[kWarp];
  double sum = 0;
#pragma unroll 4
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads)
    sum += double(grad[i]) * double(grad[i]);
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
__global__ void __launch_bounds__(kThreads) add_parts(StepState* s, double const* parts, int count) {
  __shared__ double shared[kWarp];
  double const sum = block_sum(threadIdx.x < unsigned(count) ? parts[threadIdx.x] : 0.0, shared);
  if (threadIdx.x == 0) s->norm_squared += sum;
}

// A penalty of 0 adds nothing, so Adam and AdamW are one kernel.
__global__ void __launch_bounds__(kThreads) adam(float* w, bf16* rounded, float* m, float* v, float const* grad,
                                                 int64_t n, StepState const* state, Optimizer o) {
  if (!state->accept) return;
  __shared__ BiasCorrection correction;
  if (threadIdx.x == 0) correction = bias_correction(*state, o);
  __syncthreads();
  bool const coupled = o.rule == Optimizer::Rule::adam;
  float const m_scale = float(correction.m), v_scale = float(correction.v), factor = float(state->grad_factor),
              rate = float(state->input.rate * o.rate), beta1 = float(o.beta1), beta2 = float(o.beta2),
              rest1 = float(1 - o.beta1), rest2 = float(1 - o.beta2), epsilon = float(o.epsilon),
              decay = float(coupled ? 0 : o.decay), penalty = float(coupled ? o.decay : 0);
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads) {
    float const old = w[i], g = fmaf(penalty, old, grad[i] * factor);
    float const first = fmaf(beta1, m[i], rest1 * g), second = fmaf(beta2, v[i], rest2 * g * g);
    float const step = first * m_scale / (sqrtf(second * v_scale) + epsilon);
    float const moved = fmaf(-rate, fmaf(decay, old, step), old);
    m[i] = first, v[i] = second, w[i] = moved;
    if (rounded) store(rounded[i], moved);
  }
}

__global__ void __launch_bounds__(kThreads)
    sgd(float* w, bf16* rounded, float* m, float const* grad, int64_t n, StepState const* state, Optimizer o) {
  if (!state->accept) return;
  float const factor = float(state->grad_factor), rate = float(state->input.rate * o.rate), penalty = float(o.decay),
              momentum = float(o.momentum);
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += int64_t(gridDim.x) * kThreads) {
    float const old = w[i];
    float step = fmaf(penalty, old, grad[i] * factor);
    if (m) {
      float const moment = fmaf(momentum, m[i], step);
      m[i] = moment;
      step = o.nesterov ? fmaf(momentum, moment, step) : moment;
    }
    float const moved = fmaf(-rate, step, old);
    w[i] = moved;
    if (rounded) store(rounded[i], moved);
  }
}

StepState* on_device(Tensor const& state) { return reinterpret_cast<StepState*>(state.as<unsigned char>()); }

}  // namespace

void Cuda::do_begin_step(Tensor state, Tensor input) {
  begin_one<<<1, 1, 0, stream()>>>(on_device(state), reinterpret_cast<StepInput const*>(input.as<unsigned char>()));
  launched("begin_step: {}");
}

void Cuda::do_add_norm(Tensor state, Tensor grad) {
  double* const parts = static_cast<double*>(sums_.get());
  int const count = int(std::clamp<int64_t>(parts_of(grad.size(), kThreads), 1, kNormParts));
  sum_squares<<<unsigned(count), kThreads, 0, stream()>>>(parts, grad.as<float>(), grad.size());
  add_parts<<<1, kThreads, 0, stream()>>>(on_device(state), parts, count);
  launched("add_norm: {}");
}

void Cuda::do_decide_step(Tensor state, DecideOptions const& o) {
  decide_one<<<1, 1, 0, stream()>>>(on_device(state), o);
  launched("decide_step: {}");
}

void Cuda::do_optimize(Weight const& w, Moments const& moments, Tensor state, Optimizer const& o) {
  int64_t const n = w.master.size();
  if (n == 0) return;
  if (o.rule == Optimizer::Rule::muon) return muon(w, moments.m, state, o);
  unsigned const blocks = unsigned(std::min<int64_t>(parts_of(n, kThreads), 2048));
  float *const W = w.master.as<float>(), *const G = w.grad.as<float>();
  float* const m = o.moments() > 0 ? moments.m.as<float>() : nullptr;
  bf16* const rounded = w.compute.empty() ? nullptr : factor<bf16>(w);
  if (o.rule == Optimizer::Rule::sgd) sgd<<<blocks, kThreads, 0, stream()>>>(W, rounded, m, G, n, on_device(state), o);
  else adam<<<blocks, kThreads, 0, stream()>>>(W, rounded, m, moments.v.as<float>(), G, n, on_device(state), o);
  launched("optimize: {}");
}

}  // namespace folio::cuda

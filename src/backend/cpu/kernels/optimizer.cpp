// Optimizers over a flat range.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

template <class S>
void put(float* w, S* rounded, int64_t i, Vec moved, int64_t left) {
  store(w + i, moved, left);
  if (rounded) store(rounded + i, moved, left);
}

// A penalty of 0 adds nothing, so Adam and AdamW are one loop.
template <class S>
void adam(float* w, S* rounded, float* m, float* v, float const* g, int64_t n, AdamFactors const& f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec const weight = load(w + i, left);
    Vec const grad = fma(all(f.penalty), weight, load(g + i, left) * all(f.grad_factor));
    Vec const first = fma(all(f.beta1), load(m + i, left), all(f.one_minus_beta1) * grad);
    Vec const second = fma(all(f.beta2), load(v + i, left), all(f.one_minus_beta2) * grad * grad);
    Vec const step = first * all(f.m_scale) / (sqrt(second * all(f.v_scale)) + all(f.epsilon));
    store(m + i, first, left), store(v + i, second, left);
    Vec const moved = fnma(all(f.rate), fma(all(f.decay), weight, step), weight);
    put(w, rounded, i, moved, left);
  }
}

template <class S>
void sgd(float* w, S* rounded, float* m, float const* g, int64_t n, SgdFactors const& f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec const weight = load(w + i, left);
    Vec step = fma(all(f.penalty), weight, load(g + i, left) * all(f.grad_factor));
    if (m) {
      Vec const moment = fma(all(f.momentum), load(m + i, left), step);
      store(m + i, moment, left);
      step = f.nesterov ? fma(all(f.momentum), moment, step) : moment;
    }
    Vec const moved = fnma(all(f.rate), step, weight);
    put(w, rounded, i, moved, left);
  }
}

void muon_direction(float* u, float* m, float const* g, int64_t n, MuonFactors const& f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec direction = load(g + i, left) * all(f.grad_factor);
    if (m) {
      Vec const fresh = all(f.one_minus_momentum) * direction;
      direction = fma(all(f.momentum), load(m + i, left), fresh);
      store(m + i, direction, left);
      if (f.nesterov) direction = fma(all(f.momentum), direction, fresh);
    }
    store(u + i, direction, left);
  }
}

template <class S>
void muon_step(float* w, S* rounded, float const* x, int64_t n, MuonFactors const& f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec const weight = load(w + i, left);
    Vec const step = fma(all(f.decay), weight, all(f.scale) * load(x + i, left));
    put(w, rounded, i, fnma(all(f.rate), step, weight), left);
  }
}

template <class S>
void stage(S* rounded, float* x, float scale, float factor, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    Vec const v = load(x + i, n - i);
    store(rounded + i, v * all(scale), n - i), store(x + i, v * all(factor), n - i);
  }
}

template <class S>
void blend(S* y, float const* a, float of_a, float const* b, float of_b, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes)
    store(y + i, fma(all(of_a), load(a + i, n - i), all(of_b) * load(b + i, n - i)), n - i);
}

template <class S>
void fill_for(OptimizerKernels<S>& k) {
  k = {.adam = adam<S>,
       .sgd = sgd<S>,
       .muon_direction = muon_direction,
       .muon_step = muon_step<S>,
       .stage = stage<S>,
       .blend = blend<S>};
}

}  // namespace

void fill_optimizer(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

// AdamW over a flat range.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

void adamw(float* w, bf16* rounded, float* m, float* v, float const* g, int64_t n, AdamFactors const& f) {
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec const grad = load(g + i, left) * all(f.grad_factor), weight = load(w + i, left);
    Vec const first = fma(all(f.beta1), load(m + i, left), all(f.one_minus_beta1) * grad);
    Vec const second = fma(all(f.beta2), load(v + i, left), all(f.one_minus_beta2) * grad * grad);
    Vec const step = first * all(f.m_scale) / (sqrt(second * all(f.v_scale)) + all(f.epsilon));
    store(m + i, first, left), store(v + i, second, left);
    Vec const moved = fnma(all(f.rate), fma(all(f.decay), weight, step), weight);
    store(w + i, moved, left);
    if (rounded) store(rounded + i, moved, left);
  }
}

}  // namespace

void fill_optimizer(KernelTable& t) { static_cast<OptimizerKernels&>(t) = {.adamw = adamw}; }

}  // namespace folio::cpu::FOLIO_LEVEL

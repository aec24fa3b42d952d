// The step, through StepState alone.
#include "backend/cpu/cpu.h"

namespace folio::cpu {

void Cpu::do_begin_step(Tensor state, Tensor input) {
  begin(step_state(state), *reinterpret_cast<StepInput const*>(input.as<unsigned char>()));
}

// A fixed number of pieces, each summed in double and then added in order: no thread count changes a bit.
void Cpu::do_add_norm(Tensor state, Tensor grad) {
  constexpr int64_t kPieces = 64;
  double sums[kPieces] = {};
  int64_t const n = grad.size(), piece = round_up((n + kPieces - 1) / kPieces, 16);
  float const* g = grad.as<float>();
  divide(kPieces, 1 + (1 << 15) / std::max<int64_t>(piece, 1), 1, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t p = begin; p < end && p * piece < n; ++p)
      sums[p] = table_.f32.sum_of_squares(g + p * piece, std::min(piece, n - p * piece));
  });
  for (double const s : sums) step_state(state).norm_squared += s;
}

void Cpu::do_decide_step(Tensor state, DecideOptions const& o) { decide(step_state(state), o); }

void Cpu::do_adamw(Weight const& w, Tensor m, Tensor v, Tensor state, AdamW const& o) {
  StepState const& s = step_state(state);
  if (!s.accept) return;
  BiasCorrection const correction = bias_correction(s, o);
  AdamFactors const f = {.beta1 = float(o.beta1),
                         .beta2 = float(o.beta2),
                         .one_minus_beta1 = float(1 - o.beta1),
                         .one_minus_beta2 = float(1 - o.beta2),
                         .epsilon = float(o.epsilon),
                         .decay = float(o.decay),
                         .rate = float(s.input.rate),
                         .grad_factor = float(s.grad_factor),
                         .m_scale = float(correction.m),
                         .v_scale = float(correction.v)};
  float *W = w.master.as<float>(), *G = w.grad.as<float>(), *M = m.as<float>(), *V = v.as<float>();
  bf16* const rounded = w.compute.empty() ? nullptr : factor<bf16>(w);
  divide(w.master.size(), 1 << 13, 16, [&](int64_t begin, int64_t end, int64_t) {
    table_.adamw(W + begin, rounded ? rounded + begin : nullptr, M + begin, V + begin, G + begin, end - begin, f);
  });
}

}  // namespace folio::cpu

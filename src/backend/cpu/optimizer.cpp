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

void Cpu::do_optimize(Weight const& w, Moments const& moments, Tensor state, Optimizer const& o) {
  StepState const& s = step_state(state);
  if (!s.accept) return;
  using Rule = Optimizer::Rule;
  float *W = w.master.as<float>(), *G = w.grad.as<float>(), *M = o.moments() > 0 ? moments.m.as<float>() : nullptr;
  UpdateFactors const common = {.rate = float(s.input.rate * o.rate),
                                .grad_factor = float(s.grad_factor),
                                .penalty = float(o.rule == Rule::adamw ? 0 : o.decay)};
  auto const pieces = [&](auto f) { divide(w.master.size(), 1 << 13, 16, f); };
  with_storage(w.compute.empty() ? DType::f32 : w.dtype, [&]<class S> {
    if (o.rule == Rule::muon) {
      if constexpr (std::is_same_v<S, bf16>)
        if (native<S>() && std::min(w.shape[0], w.shape[1] / o.parts) >= kNarrowSide)
          return muon<S, S>(w, moments.m, s, o);
      return muon<S, float>(w, moments.m, s, o);
    }
    S* rounded = nullptr;
    if constexpr (!std::is_same_v<S, float>) rounded = factor<S>(w);
    auto const at = [](auto* p, int64_t i) { return p ? p + i : nullptr; };
    if (o.rule == Rule::sgd) {
      SgdFactors const f = {common, float(o.momentum), o.nesterov};
      return pieces([&](int64_t begin, int64_t end, int64_t) {
        kernels<S>().sgd(W + begin, at(rounded, begin), at(M, begin), G + begin, end - begin, f);
      });
    }
    BiasCorrection const correction = bias_correction(s, o);
    AdamFactors const f = {common,
                           float(o.rule == Rule::adamw ? o.decay : 0),
                           float(o.beta1),
                           float(o.beta2),
                           float(1 - o.beta1),
                           float(1 - o.beta2),
                           float(o.epsilon),
                           float(correction.m),
                           float(correction.v)};
    float* const V = moments.v.as<float>();
    pieces([&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().adam(W + begin, at(rounded, begin), M + begin, V + begin, G + begin, end - begin, f);
    });
  });
}

}  // namespace folio::cpu

// What backends have in common, written once: how a step changes StepState, when an element is dropped (on a GPU too),
// and, where the host can reach a backend's memory, which ids are refused.
#pragma once

#include <cmath>

#include "backend/backend.h"
#include "backend/host_device.h"
#include "backend/spike_score.h"
#include "core/error.h"

namespace folio {

inline StepState& step_state(Tensor const& t) { return *reinterpret_cast<StepState*>(t.as<unsigned char>()); }

FOLIO_HOST_DEVICE inline void begin(StepState& s, StepInput const& input) {
  s.input = input;
  s.attempted += 1;
  s.loss = s.norm_squared = 0;
}

/// What the next step multiplies its gradients by (Micikevicius et al. 2018, §3.2, with automatic scaling).
FOLIO_HOST_DEVICE inline void scale_loss(StepState& s, bool finite, int64_t every) {
  if (every == 0) return;
  double const half = s.loss_scale / 2;
  if (!finite) s.loss_scale = half < kLeastLossScale ? kLeastLossScale : half;
  s.clean_steps = finite ? s.clean_steps + 1 : 0;
  if (s.clean_steps < every) return;
  s.loss_scale *= 2;
  s.clean_steps = 0;
}

FOLIO_HOST_DEVICE inline void decide(StepState& s, DecideOptions const& o) {
  double const scale = s.loss_scale;
  s.norm = std::sqrt(s.norm_squared) / scale;
  bool const finite = std::isfinite(s.norm) && std::isfinite(s.loss);
  s.spike_score = finite ? spike_score(s) : 0;
  bool const spike = o.spike > 0 && s.spike_score > o.spike, another_level = s.spikes_in_a_row >= kMostSpikes;
  s.accept = finite && (!spike || another_level);
  s.non_finite += !finite;
  scale_loss(s, finite, o.scale_every);
  if (!s.accept) {
    s.spikes_in_a_row += spike;
    return;
  }
  s.accepted += 1;
  if (spike) s.scored = 0;
  s.spikes_in_a_row = 0;
  enter(s);
  s.grad_factor = clip_factor(s.norm, o.clip) / scale;
}

struct BiasCorrection {  // 1/(1 − βᵗ), t = accepted steps
  double m, v;
};
FOLIO_HOST_DEVICE inline BiasCorrection bias_correction(StepState const& s, Optimizer const& o) {
  double const t = static_cast<double>(s.accepted);
  return {1 / (1 - std::pow(o.beta1, t)), 1 / (1 - std::pow(o.beta2, t))};
}

/// Of Muon's quintic (Jordan et al. 2024): five rounds bring singular values of 0.002 to 1 between 0.68 and 1.21.
struct NewtonSchulz {
  static constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  static constexpr int rounds = 5;
  static constexpr double least_norm = 1e-7;  // of what is divided by its norm
};
/// Makes the elements of an orthogonal matrix (I, O) as large as those of a usual step of AdamW, 0.2 (Liu et al. 2025).
inline double muon_scale(int64_t I, int64_t O) { return 0.2 * std::sqrt(double(I > O ? I : O)); }

inline void check_ids(char const* op, char const* what, Tensor const& ids, int64_t below) {
  for (int64_t n = 0; n < ids.size(); ++n) {
    int32_t const id = ids.as<int32_t>()[n];
    check(0 <= id && id < below, "{}: {} {} at {}; 0 to {} expected", op, what, id, n, below - 1);
  }
}

/// Sequences in order, their positions too, inside the table, and every block that they use inside the pool.
inline void check_ragged(Ragged const& r, int64_t tokens, int64_t blocks) {
  int32_t const *start = r.query_start.as<int32_t>(), *table = r.block_table.as<int32_t>();
  int32_t const* position = r.positions.as<int32_t>();
  int64_t const S = r.block_table.shape[0], M = r.block_table.shape[1];
  check(start[0] == 0 && start[S] == tokens, "cached_attention: query_start from {} to {} for {} tokens", start[0],
        start[S], tokens);
  for (int64_t s = 0; s < S; ++s) {
    check(start[s] <= start[s + 1], "cached_attention: query_start goes from {} to {}", start[s], start[s + 1]);
    for (int64_t n = start[s]; n < start[s + 1]; ++n)
      check(0 <= position[n] && position[n] < M * kBlock && (n == start[s] || position[n] == position[n - 1] + 1),
            "cached_attention: position {} of token {}; expected one after the other, below {}", position[n], n,
            M * kBlock);
    int64_t const used = start[s] < start[s + 1] ? position[start[s + 1] - 1] / kBlock + 1 : 0;
    for (int64_t m = 0; m < used; ++m)
      check(0 <= table[s * M + m] && table[s * M + m] < blocks, "cached_attention: block {} of {}", table[s * M + m],
            blocks);
  }
}

/// A random word below this drops its element: round(p · 2³²).
inline uint64_t dropout_threshold(double rate) { return static_cast<uint64_t>(std::llround(rate * 4294967296.0)); }

}  // namespace folio

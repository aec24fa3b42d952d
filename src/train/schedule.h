// The learning rate of a step. `it` counts accepted steps from 0; W is the warm-up, N the whole run, lr the peak, min
// the floor (min_lr), p = (it − W) / (N − W) the part that is done of what follows the warm-up.
//
//   warm-up       it < W: lr · (it + 1) / W (above-zero), or lr · it / W (zero), whose first step has rate 0
//   constant      lr
//   linear        lr + (min − lr) p
//   cosine        min + ½ (lr − min)(1 + cos π p) (Loshchilov, Hutter 2017, eq. 5)
//   step          lr · factor^⌊(it − W) / every⌋, never below min
//   inverse-sqrt  lr · √(w / (w + it − W)), w = max(1, W), never below min (Vaswani et al. 2017, eq. 3, with lr at W)
//   polynomial    min + (lr − min)(1 − p)^power
//   wsd           lr until the last D steps; then from lr to min by u, the part done of them: straight (linear), as
//                 cosine (cosine), or lr + (min − lr)√u (1-sqrt) (Hu et al. 2024; Hägele et al. 2024)
//   restarts      cosine, again and again: cycle i begins round(P (gⁱ − 1) / (g − 1)) steps behind the warm-up, or i P
//                 where g is 1 (Loshchilov, Hutter 2017); P: restart_every, g: restart_growth
// Beyond N the value at N holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/api.h"
#include "core/fields.h"

namespace folio::train {

struct ScheduleOptions {
  std::string schedule = "cosine";
  double lr = 1e-3;
  double min_lr = 1e-4;  // the floor; constant does not read it
  int64_t warmup = 100;
  std::string warmup_start = "above-zero";  // or zero
  double step_factor = 0.1;
  int64_t step_every = 0;  // 0: not given, which step refuses
  double polynomial_power = 2;
  std::string wsd_tail = "1-sqrt";  // or linear, cosine
  int64_t wsd_tail_steps = 0;       // D; 0: a fifth of N, at most N − W
  int64_t restart_every = 0;        // P; 0: not given, which restarts refuses
  double restart_growth = 1;
};

FOLIO_API std::vector<std::string> const& schedule_names();
/// By the names of the flags; they point into the options, which outlive them.
FOLIO_API Fields fields(ScheduleOptions&);
/// Throws Fault::value where the options contradict each other or the length of the run.
FOLIO_API void validate(ScheduleOptions const&, int64_t steps);
/// The learning rate of the step after `it` accepted ones, of `steps` in all.
FOLIO_API double rate_at(ScheduleOptions const&, int64_t it, int64_t steps);

struct RatesInShort {
  double start, middle, end;  // of the first step, of step ⌊N/2⌋ (from 0), of the last
  double peak, mean;          // over all steps; above a million of them, of a million evenly spaced ones
};
FOLIO_API RatesInShort rates_in_short(ScheduleOptions const&, int64_t steps);

}  // namespace folio::train

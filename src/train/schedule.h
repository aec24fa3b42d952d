// The learning rate of a step. `it` counts accepted steps from 0; W is the warm-up, N the whole run.
//
//   warm-up     it < W: lr · (it + 1) / W. The other convention, lr · it / W, makes the first step a step of rate 0;
//               it is not used.
//   constant    lr
//   linear      from lr at W to min_lr at N, in a straight line
//   cosine      min_lr + ½ (lr − min_lr)(1 + cos π p), p = (it − W) / (N − W) (Loshchilov, Hutter 2017, eq. 5)
//   step        lr · factor^⌊(it − W) / every⌋, never below min_lr
// Beyond N the value at N holds.
#pragma once

#include <cstdint>
#include <string>

#include "core/api.h"
#include "core/fields.h"

namespace folio::train {

struct ScheduleOptions {
  std::string schedule = "cosine";
  double lr = 1e-3;
  double min_lr = 1e-4;  // the floor; constant does not read it
  int64_t warmup = 100;
  double step_factor = 0.1;
  int64_t step_every = 1000;
};

/// By the names of the flags; they point into the options, which outlive them.
FOLIO_API Fields fields(ScheduleOptions&);
/// Throws Fault::value where the options contradict each other or the length of the run.
FOLIO_API void validate(ScheduleOptions const&, int64_t steps);
/// The learning rate of the step after `it` accepted ones, of `steps` in all.
FOLIO_API double rate_at(ScheduleOptions const&, int64_t it, int64_t steps);

}  // namespace folio::train

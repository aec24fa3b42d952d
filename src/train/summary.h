// A run in numbers, from its log.
#pragma once

#include "train/history.h"

namespace folio::train {

struct Summary {  // losses in nats a token; NaN where not known
  int64_t last_step = 0;
  bool judged_by_val = false;  // else, without a validation split, by the training loss of evaluations
  double first = NAN;          // of the first evaluation, before a step is taken
  double best = NAN;
  int64_t best_step = 0;
  double final = NAN, final_train = NAN;  // of the last evaluation
  double best_bits_per_byte = NAN;
  double gap = NAN;          // val less train, at the last evaluation
  double removed = NAN;      // share of the first loss: (first − best) / first
  int64_t half_step = -1;    // by which half of first − best was removed; −1: never
  int64_t broken_step = -1;  // the first whose loss or norm was not finite; −1: none
  int64_t refused = 0;       // steps that were not taken for it
  int64_t overflowed = 0;    // that the gradient scaler of f16 skipped
  double seconds = NAN, median_speed = NAN, peak_memory = NAN;  // s, tokens a second, bytes
};
Summary summary_of(History const&);

/// A loss in words and tables of a terminal: 1.582; of a run that is lost 2.4e+15.
std::string loss_number(double loss, int digits = 3);

/// The share of steps `first` < step ≤ `last` whose norm was above `clip`; 0 where it never clips.
double clipped_share(std::vector<StepReport> const&, double clip, int64_t first, int64_t last);

}  // namespace folio::train

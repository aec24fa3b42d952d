// How far a step's loss or gradient norm stands above those of the steps before it, in deviations that outliers do not
// move: the median and the median absolute deviation (Hampel 1974) of what is left when the trend of the window is
// taken out. The window holds accepted steps only, so a spike that is refused never enters it, and one that is taken
// moves no median.
#pragma once

#include <cmath>

#include "backend/host_device.h"
#include "backend/step_state.h"

namespace folio {

FOLIO_HOST_DEVICE inline double log_of(double norm) { return std::log(norm < 1e-30 ? 1e-30 : norm); }

/// The value of rank k, 0 the least, of n values, which are reordered (Hoare 1961, FIND).
FOLIO_HOST_DEVICE inline double of_rank(double* values, int64_t n, int64_t k) {
  for (int64_t low = 0, high = n - 1; low < high;) {
    double const pivot = values[k];
    int64_t i = low, j = high;
    while (i <= j) {
      while (values[i] < pivot) ++i;
      while (pivot < values[j]) --j;
      if (i > j) break;
      double const v = values[i];
      values[i++] = values[j], values[j--] = v;
    }
    if (j < k) low = i;
    if (k < i) high = j;
  }
  return values[k];
}
FOLIO_HOST_DEVICE inline double median_of(double* values, int64_t n) { return of_rank(values, n, n / 2); }

/// Of `value` against the last `count` of a ring of kScoredSteps into which `count` were put. The level that it is
/// compared with is the median of the newest third; the trend that is taken out is the line through the medians of the
/// first and the last third (Tukey's resistant line). `least` is added to the deviation: a window without noise calls
/// nothing a spike that is not above that.
FOLIO_HOST_DEVICE inline double robust_score(double value, double const* ring, int64_t count, double least_share,
                                             double least) {
  double v[kScoredSteps] = {};
  int64_t const n = count < kScoredSteps ? count : kScoredSteps, third = n / 3, first = count - n;
  for (int64_t i = 0; i < third; ++i) v[i] = ring[(first + i) % kScoredSteps];
  double const begin = median_of(v, third);
  for (int64_t i = 0; i < third; ++i) v[i] = ring[(first + n - third + i) % kScoredSteps];
  double const level = median_of(v, third), slope = (level - begin) / static_cast<double>(n - third);
  auto const detrended = [&](int64_t i) { return ring[(first + i) % kScoredSteps] - slope * static_cast<double>(i); };
  for (int64_t i = 0; i < n; ++i) v[i] = detrended(i);
  double const centre = median_of(v, n);
  for (int64_t i = 0; i < n; ++i) v[i] = std::fabs(detrended(i) - centre);
  double const deviation = 1.4826 * median_of(v, n);
  return (value - level) / (deviation + least_share * std::fabs(level) + least);
}

/// Of the step whose loss and norm are in the state, both finite: the larger of its two scores. 0 as long as the window
/// has fewer than kLeastScored steps.
FOLIO_HOST_DEVICE inline double spike_score(StepState const& s) {
  if (s.scored < kLeastScored) return 0;
  double const of_loss = robust_score(s.loss, s.losses, s.scored, 0.01, 1e-6),
               of_norm = robust_score(log_of(s.norm), s.log_norms, s.scored, 0, 0.2);
  return of_loss < of_norm ? of_norm : of_loss;
}

/// Takes an accepted step into the window.
FOLIO_HOST_DEVICE inline void enter(StepState& s) {
  int64_t const at = s.scored % kScoredSteps;
  s.losses[at] = s.loss, s.log_norms[at] = log_of(s.norm);
  s.scored += 1;
}

}  // namespace folio

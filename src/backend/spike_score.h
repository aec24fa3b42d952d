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

inline constexpr int64_t kTogether = 5;     // steps in a row that are scored together
inline constexpr double kMostTogether = 5;  // that one of them adds

/// What a value is compared with: its score is its distance above the level in deviations.
struct Usual {
  double level = 0, deviation = 0;
  FOLIO_HOST_DEVICE double score(double value) const { return (value - level) / deviation; }
};
/// Of a ring of kScoredSteps into which `count` values were put, without the newest `apart`. The level is the median of
/// the newest third; the trend that is taken out is the line through the medians of the first and the last third
/// (Tukey's resistant line). `least_share` of the level and `least` are added to the deviation: a window without noise
/// calls nothing a spike that is not above that.
FOLIO_HOST_DEVICE inline Usual usual(double const* ring, int64_t count, int64_t apart, double least_share,
                                     double least) {
  double v[kScoredSteps] = {};
  int64_t const end = count - apart, most = kScoredSteps - apart;
  int64_t const n = end < most ? end : most, third = n / 3, first = end - n;
  auto const at = [&](int64_t i) { return ring[(first + i) % kScoredSteps]; };
  for (int64_t i = 0; i < third; ++i) v[i] = at(i);
  double const begin = median_of(v, third);
  for (int64_t i = 0; i < third; ++i) v[i] = at(n - third + i);
  double const level = median_of(v, third), slope = (level - begin) / static_cast<double>(n - third);
  auto const detrended = [&](int64_t i) { return at(i) - slope * static_cast<double>(i); };
  for (int64_t i = 0; i < n; ++i) v[i] = detrended(i);
  double const centre = median_of(v, n);
  for (int64_t i = 0; i < n; ++i) v[i] = std::fabs(detrended(i) - centre);
  return {level, 1.4826 * median_of(v, n) + least_share * std::fabs(level) + least};
}

/// Of this step's loss and those of the accepted ones just before it, against the steps before them all: the sum of
/// their scores over the root of how many they are, as noise would grow (Stouffer 1949). No score counts for more than
/// kMostTogether, so that one outlier among them is not enough.
FOLIO_HOST_DEVICE inline double score_together(StepState const& s) {
  constexpr int64_t kBefore = kTogether - 1;
  Usual const u = usual(s.losses, s.scored, kBefore, 0.01, 1e-6);
  double sum = 0;
  for (int64_t i = 0; i <= kBefore; ++i) {
    double const score = u.score(i == 0 ? s.loss : s.losses[(s.scored - i) % kScoredSteps]);
    sum += score < kMostTogether ? score : kMostTogether;
  }
  return sum / std::sqrt(static_cast<double>(kTogether));
}

/// Of the step whose loss and norm are in the state, both finite: the largest of its loss's score, its norm's, and that
/// of its loss together with those before it. One loss that is a little high is noise; five in a row are what a burst
/// of the rate leaves. 0 as long as the window has fewer than kLeastScored steps.
FOLIO_HOST_DEVICE inline double spike_score(StepState const& s) {
  if (s.scored < kLeastScored) return 0;
  double const of_loss = usual(s.losses, s.scored, 0, 0.01, 1e-6).score(s.loss),
               of_norm = usual(s.log_norms, s.scored, 0, 0, 0.2).score(log_of(s.norm));
  double const of_one = of_loss < of_norm ? of_norm : of_loss;
  if (s.scored < kLeastScored + kTogether) return of_one;
  double const together = score_together(s);
  return of_one < together ? together : of_one;
}

/// Takes an accepted step into the window.
FOLIO_HOST_DEVICE inline void enter(StepState& s) {
  int64_t const at = s.scored % kScoredSteps;
  s.losses[at] = s.loss, s.log_norms[at] = log_of(s.norm);
  s.scored += 1;
}

}  // namespace folio

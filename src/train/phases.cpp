#include "train/phases.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace folio::train {
namespace {

struct Spot {
  double log_step, loss;
};

double slope_of(std::vector<Spot> const& spots) {
  double const n = double(spots.size());
  double x = 0, y = 0, xx = 0, xy = 0;
  for (Spot const& s : spots) x += s.log_step / n, y += s.loss / n;
  for (Spot const& s : spots) xx += (s.log_step - x) * (s.log_step - x), xy += (s.log_step - x) * (s.loss - y);
  return xx > 0 ? xy / xx : NAN;
}

// Of evaluation `at`, among those that are kept.
double gain_at(std::vector<EvalReport> const& evals, size_t at) {
  std::vector<Spot> spots;
  for (size_t i = at + 1; i-- > 0;) {
    EvalReport const& e = evals[i];
    if (e.step == 0 || (spots.size() >= 3 && 4 * e.step < 3 * evals[at].step)) break;
    spots.push_back({std::log(double(e.step)), e.train});
  }
  if (spots.size() >= 2) return -slope_of(spots) * std::log(1.1) / evals[at].train;
  return at == 1 && evals[0].step == 0 ? 0.1 * (evals[0].train - evals[1].train) / evals[1].train : NAN;
}

Phase phase_of(double gain) {
  if (std::isnan(gain) || gain >= kFastGain) return Phase::fast;
  return gain >= kSteadyGain ? Phase::steady : gain >= kConvergingGain ? Phase::converging : Phase::converged;
}

}  // namespace

char const* name_of(Phase phase) {
  constexpr std::array<char const*, 5> kNames = {"start", "fast", "steady", "converging", "converged"};
  return kNames[static_cast<size_t>(phase)];
}

std::vector<PhaseAt> phases_of(std::vector<EvalReport> const& all, double uniform) {
  std::vector<EvalReport> evals;
  for (EvalReport const& e : all)
    if (std::isfinite(e.train) && e.train > 0 && (evals.empty() || e.step > evals.back().step)) evals.push_back(e);
  std::vector<PhaseAt> phases;
  for (size_t i = 0; i < evals.size(); ++i) {
    double const gain = gain_at(evals, i);
    bool const started = evals[i].train <= kStartLoss * evals[0].train || evals[i].train <= kStartLoss * uniform ||
                         (i > 0 && phases.back().phase != Phase::start);
    phases.push_back({evals[i].step, started ? phase_of(gain) : Phase::start, gain});
  }
  // Where there is no slope yet, the phase is that of the first which has one.
  for (size_t i = phases.size(); i-- > 1;)
    if (std::isnan(phases[i - 1].gain) && phases[i - 1].phase != Phase::start) phases[i - 1].phase = phases[i].phase;
  return phases;
}

}  // namespace folio::train

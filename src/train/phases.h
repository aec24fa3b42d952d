// How far the learning of a run has come, at each evaluation. It is judged by the loss on training data, averaged over
// the same batches each time; what unseen text makes of it is the diagnosis' matter.
//
// The gain at step s is the part of the loss that a tenth more steps would remove: −slope · ln 1.1 / loss, where slope
// is the least-squares slope of the loss against ln(step) over the evaluations from 3 s/4 to s, at least three of them
// where there are. Of the first evaluation after step 0, which has no logarithm, it is the slope of the straight line
// from there: a tenth of the fall so far / loss.
//
//   start        the loss has not been below 95 % of the first yet, nor of ln V, from where an untrained model begins
//   fast         gain of 2 % and more
//   steady       gain of 0.5 % and more
//   converging   gain of 0.1 % and more
//   converged    less
#pragma once

#include <vector>

#include "train/metrics.h"

namespace folio::train {

enum class Phase { start, fast, steady, converging, converged };
char const* name_of(Phase);

inline constexpr double kStartLoss = 0.95, kFastGain = 0.02, kSteadyGain = 0.005, kConvergingGain = 0.001;

struct PhaseAt {
  int64_t step;
  Phase phase;
  double gain;  // NaN where there is no slope yet
};
/// By rising step; evaluations whose loss is not finite are left out. `uniform` is ln V; NaN where it is not known.
std::vector<PhaseAt> phases_of(std::vector<EvalReport> const&, double uniform);

}  // namespace folio::train

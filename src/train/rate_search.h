// Which learning rate suits a model, its data and its optimizer: the rate rises exponentially over a few hundred steps
// from the initial weights, and the loss of each step is looked at (Smith 2017, "range test"). It falls as soon as the
// rate is high enough to learn, and turns where steps are too large. Done for several seeds, which give other weights
// and other batches. The weights are thrown away.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "data/dataset.h"
#include "train/options.h"

namespace folio::train {

struct RateSearch {
  double low = 1e-5, high = 1;  // rate of the first step and of the last
  int64_t steps = 300;
  int64_t seeds = 3;
};
Fields fields(RateSearch&);
void validate(RateSearch const&);                 // Fault::value where low is not below high
double rate_of(RateSearch const&, int64_t step);  // of step 0 to steps − 1

struct RatePoint {
  double rate, loss;  // loss of the step's batch before its update
};

struct FoundRate {
  double rate = 0;                    // to use as --lr
  double lowest = 0;                  // where the smoothed loss is lowest
  double risen = 0;                   // above that, where it has risen by 5 % of its fall
  bool turned = false;                // false: it had not risen so far at the highest rate, which is `risen`
  std::vector<RatePoint> curve = {};  // smoothed, mean over seeds
  std::string why = {};               // a sentence
};

/// Of the curves of the seeds, which end where the loss left all bounds. The rate is `risen` / 4.5, the least distance
/// from where a step is too large at which runs of several hundred steps hold, and at most `lowest`, where the loss
/// hardly rises over a decade (docs/numerics.md has the figures).
/// Fault::failed where no rate stands out.
FoundRate find_rate(RateSearch const&, std::vector<std::vector<RatePoint>> const& curves);

struct RateTrial {  // what a curve is trained on
  Backend& backend;
  TrainerOptions options;
  RunOptions const& run;  // of which the batches are
  data::Split const& split;
  std::function<void(Trainer&)> fill = {};  // the weights of a model to start from; none: a new one's
};

/// One curve: trains from the initial weights, to the last step or until the loss is not finite or far above where it
/// began, or `stop` says so of the number of steps done.
std::vector<RatePoint> rate_curve(RateTrial const&, RateSearch const&, uint64_t seed,
                                  std::function<bool(int64_t)> const& stop);

}  // namespace folio::train

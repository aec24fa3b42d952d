// What the rules of diagnosis.cpp look at, and the rules. Thresholds stand where they are used; docs/diagnosis.md says
// why they are what they are.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/diagnosis.h"

namespace folio::train::rules {

struct Block {  // so many steps side by side that their mean says something; the steps that were taken alone
  int64_t first = 0, last = 0;
  double loss = 0, error = 0;  // mean, and its standard error
  double rate = 0, norm = 0;   // means
};

struct Seen {
  History const& history;
  Facts const& facts;
  int64_t step = 0;       // the last one
  int64_t steps = 0;      // of the whole run
  double uniform = 0;     // ln V: the loss of a model that knows nothing
  double first_loss = 0;  // at the beginning
  double peak_rate = 0;   // so far
  double epochs = 0;      // how often each token was seen; NaN where not known
  std::vector<Block> blocks = {};
};
/// Was this the state that was logged last? It takes more to leave a state than not to enter it, so each rule has a
/// second threshold for one that stands.
bool was(Seen const&, State);
bool was(Seen const&, State, std::string const& grade);
Seen look_at(History const&, Facts const&);

/// Blocks [begin, end) as one.
Block joined(std::vector<Block> const&, size_t begin, size_t end);

struct Trend {  // of a straight line through points, by least squares
  double slope = 0, error = 0;
};
Trend trend_of(std::vector<std::pair<double, double>> const& points);

/// A rate that GPT-2s of this width usually learn well with: 6e-4 at 768 channels (Brown et al. 2020, table 2.1, 125M),
/// and inversely with the width (Yang et al. 2022). Of Adam and AdamW; NaN for SGD, whose steps grow with the gradient,
/// so that no comparison with it holds.
double usual_rate(Facts const&);
double at_most_usual(Facts const&, double rate);
/// What a rate that is named can be compared with: "models of 384 channels usually learn with 1.2e-3".
std::string beside_usual(Facts const&);

/// Flags that the run's own command takes, whatever its schedule and its floor are.
/// "--lr 3e-4", and where the floor is above a tenth of that, a tenth as the floor.
std::string rate_flags(Facts const&, double rate);
/// The same with a schedule that lets the rate fall, where the run's is constant: another has options that count only
/// with it.
std::string falling_rate_flags(Facts const&, double rate);
/// " --warmup 200", or as much of it as the run has room for; empty where the run's is as long.
std::string warmup_flag(Facts const&, int64_t warmup);

std::string rate_text(double);   // 3e-4: one significant digit, or two from 1.5 to 9.5 where needed
std::string loss_text(double);   // 1.582, 2.4e+15
std::string share_text(double);  // 5.7 %

using Rule = std::optional<Finding> (*)(Seen const&);
std::optional<Finding> not_finite(Seen const&);
std::optional<Finding> exploding_or_vanishing(Seen const&);
std::optional<Finding> quiet_layer(Seen const&);
std::optional<Finding> rate_too_high(Seen const&);
std::optional<Finding> not_learning_or_rate_too_low(Seen const&);
std::optional<Finding> overfitting(Seen const&);
std::optional<Finding> repeating_data(Seen const&);
std::optional<Finding> plateau(Seen const&);

}  // namespace folio::train::rules

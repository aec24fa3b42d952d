// How a run is doing, in words: what its log shows, since when, on what evidence, and which flags to try next. Each
// rule looks at one thing, and docs/diagnosis.md gives its threshold and the reason for it.
#pragma once

#include <cmath>

#include "model/config.h"
#include "train/history.h"
#include "train/options.h"

namespace folio::train {

struct Facts {  // of the run, beside its log
  RunOptions options;
  model::Config config;
  bool from_model = false;  // it began with a model's weights, so its shape is that model's
};

enum class Severity { healthy, warning, bad };
Severity severity_of(Finding const&);

/// "overfitting, severe": the state and its grade.
std::string title_of(Finding const&);
/// What a terminal shows when the state has changed: the state, since when, and the first piece of evidence.
std::string line_of(Finding const&);

/// The gradient norm of each block, input to output, of its tensors together; empty where they are not known.
std::vector<double> block_norms(Statistics const&);

/// The state after the last step of the log: all that was found, the main one first. Where nothing is wrong, it is one
/// finding, healthy. The same log gives the same findings.
std::vector<Finding> diagnose(History const&, Facts const&);

}  // namespace folio::train

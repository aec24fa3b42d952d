// Twelve layers of GPT-2's MLP by the model's own weights and ops, with what can be left away: the residual connection,
// the layer norm.
#pragma once

#include <vector>

#include "learn/lab.h"
#include "model/weights.h"

namespace folio::learn {

struct StackOptions {
  bool residual = true, norm = true;
  double scale = 1;  // of the initial weights
};

struct StackNumbers {              // at the input of each layer, and behind the last: 13
  std::vector<double> deviation;   // of the stream
  std::vector<double> gradient;    // norm of the stream's gradient, where that behind the last layer has norm 1
  std::vector<double> into_layer;  // (12) deviation of what the layer's first matrix reads
};

inline constexpr int64_t kStackLayers = 12;
StackNumbers run_stack(Backend&, StackOptions const&);

}  // namespace folio::learn

// folio inspect --gradients: one pass forward and backward, and what it says of the model.
#pragma once

#include "cli/backend_choice.h"
#include "model/checkpoint.h"

namespace folio::cli {

struct GradientOptions {
  bool gradients = false;
  std::string data;
  int64_t batch = 4;
  double clip = 1;
  uint64_t seed = 1337;
  BackendChoice backend;

  Fields fields();
};

/// Of a model directory, or where that is null of a new model of the shape. `run`: the run that the model lies in,
/// whose own data are read where none are given; empty: none.
void inspect_gradients(model::Config const&, model::ModelDirectory const*, Path const& run, GradientOptions const&,
                       bool json);

}  // namespace folio::cli

// One step in a file, so that it can be taken again elsewhere: weights, batch, rate and the state before it, and what
// the run computes it with. docs/formats.md lists what is in it. It is a safetensors file; nothing in it is believed
// before it is checked, but that weights may be no numbers: such steps are what it is for.
#pragma once

#include "core/file.h"
#include "train/options.h"

namespace folio::train {

struct SavedStep {
  RunOptions options;
  model::Config config;
  DType dtype = DType::f32;
  data::HostBatch batch;
  double rate = 0;
  StepState before;
};

void save_step(Path const&, Backend&, Trainer const&, SavedStep const&);

/// All but the weights. Throws Fault::missing, and Fault::content with what is wrong.
SavedStep read_step(Path const&);
/// The weights, for a trainer of that shape. Throws Fault::content where a tensor is missing or of another shape.
void load_step_weights(Path const&, Backend&, Trainer&);

}  // namespace folio::train

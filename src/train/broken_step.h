// Looks for where values begin that are no finite numbers: a step is taken again, from the state before it, and each
// op's outputs are read as it ends. For a step that was refused, whose weights are what they were before it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "train/trainer.h"

namespace folio::train {

struct FirstBroken {
  std::string tensor;   // a weight by its name, an op's output by its label
  std::string op = "";  // that wrote it; empty: a weight that was so before the step
  Phase phase = Phase::forward;
  int layer = -1;                           // −1 outside the blocks
  int64_t micro_batch = 0;                  // from 0
  int64_t nan = 0, infinite = 0, size = 0;  // how many of its values
};

struct LargestWeight {
  std::string tensor;
  double size = 0;  // the largest magnitude of a finite value
};

struct BrokenStep {
  std::optional<FirstBroken> first;  // none: all values were finite
  LargestWeight largest;             // before the step
  StepState after;
};

/// Takes the step `before` stands at. The trainer's weights and state are afterwards as any step leaves them.
BrokenStep take_again(Backend&, Trainer&, data::HostBatch const&, double rate, StepState const& before);

struct BatchNumbers {
  int64_t tokens = 0, counted = 0, distinct = 0;  // ids, targets that count, different ids
  int32_t most_frequent = 0;
  int64_t most = 0;  // how often that is there
};
BatchNumbers numbers_of(data::HostBatch const&);

/// A sentence each: where it begins, the largest weight, what the batch was.
std::vector<std::string> in_words(BrokenStep const&, BatchNumbers const&);
Json to_json(BrokenStep const&, BatchNumbers const&);

}  // namespace folio::train

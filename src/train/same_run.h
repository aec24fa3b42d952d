// Are two runs the same? Compared are the newest checkpoints, bit for bit, and the logs; left aside is what a clock, a
// stop or a resume writes.
#pragma once

#include <string>

#include "core/path.h"

namespace folio::train {

struct RunComparison {
  std::string difference;                      // the first, in words; empty: there is none
  int64_t step = 0;                            // of the checkpoints
  size_t weights = 0, moments = 0, lines = 0;  // tensors and lines of the log that are the same
  bool same() const { return difference.empty(); }
};

/// Throws Fault::missing where a run has no checkpoint, Fault::content where a file cannot be read.
RunComparison compare_runs(Path const& a, Path const& b);

}  // namespace folio::train

// One window of a split as a row of a batch, and the windows that evaluation reads: always the same ones.
#pragma once

#include "core/api.h"
#include "data/batch.h"
#include "data/dataset.h"

namespace folio::data {

/// Fills `row` of a batch whose rows have T places with the T ids from `start` and their targets, the next ids; where
/// the split ends earlier, id 0 and target −1. Returns the weight of its targets.
FOLIO_API double fill_window(Split const&, int64_t start, int64_t row, int64_t T, HostBatch&);
FOLIO_API double window_weight(Split const&, int64_t start, int64_t T);  // the same, without the ids

/// Windows of T ids that do not overlap, so that each id of the split but the first is a target exactly once; the
/// last window may be shorter. All of them, or `batches`·B of them, evenly spread: number j·W/(batches·B), rounded
/// down, of W. Rows that are left over in the last batch have no targets.
class FOLIO_API EvalWindows {
 public:
  /// `batches` 0: all. Throws Fault::content where the split has no target.
  EvalWindows(Split const&, int64_t B, int64_t T, int64_t batches = 0);
  int64_t batches() const { return (windows_ + B_ - 1) / B_; }
  void batch(int64_t number, HostBatch&) const;  // A = 1; total_weight is of this batch
  int64_t windows() const { return windows_; }   // read in all
  bool whole() const { return windows_ == all_; }

 private:
  Split const& split_;
  int64_t B_, T_, all_, windows_;
};

}  // namespace folio::data

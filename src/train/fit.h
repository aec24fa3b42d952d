// How a run is made to fit into memory: a ladder of changes that leave what a step learns from as it is, from the one
// that costs least time to the one that saves most memory.
//
//   1  --save foreground, which has no snapshot; so after each of the rungs below too, where that alone will not do
//   2  a smaller micro-batch, accumulated more often: batch · accumulate, the windows and the evaluations stay
//   3  --recompute mlp, again from the largest micro-batch
//   4  --recompute block
//   5  only where it is asked for: half the context, accumulated twice as often, and all of it again
#pragma once

#include <functional>

#include "train/options.h"

namespace folio::train {

struct Rung {
  RunOptions run;
  int64_t context;
};

enum class Ladder {
  same_bits,  // neither micro-batches nor the context
  same_context,
  shorter_context,
};

/// The rungs, of which the first is the run itself.
std::vector<Rung> ladder(RunOptions const&, int64_t context, Ladder);

/// The flags in which a rung differs: "--batch 6 --accumulate 2 --recompute mlp".
std::string flags_of(Rung const&, RunOptions const& was, int64_t context);

/// The largest number from 1 to `most` that fits, where all below one that fits do too; 0: none.
int64_t largest(int64_t most, std::function<bool(int64_t)> const& fits);

}  // namespace folio::train

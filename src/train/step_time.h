// How long a step of a run will take on this machine, from a moment of real steps: of the same width, context,
// vocabulary and type, but of one block, and of no more sequences than a moment allows. A clock at each op tells what
// blocks take from what is outside them and from the update, so that the whole follows by counting: blocks by layers,
// all of forward and backward by sequences, the update by parameters. Steps that nobody watches, taken in turn, say
// what the clock itself and the gaps between ops cost.
#pragma once

#include "train/options.h"

namespace folio::train {

struct StepTimes {
  double step = 0;              // seconds, all micro-batches and the update
  double evaluation_batch = 0;  // seconds of one batch of an evaluation
  double copy_rate = 0;         // bytes a second from the backend's memory to the host's
  int64_t sequences = 0;        // of the steps that were measured
  int64_t steps = 0;            // measured, beside those that nobody watched
  double seconds = 0;           // spent
};

/// A run from a step to its end, by the clock.
struct RunTime {
  int64_t steps = 0, evaluations = 0, saves = 0;          // how many
  double in_steps = 0, in_evaluations = 0, in_saves = 0;  // seconds
  double total() const { return in_steps + in_evaluations + in_saves; }
};
/// `batches`: of an evaluation, all splits together; `save`: seconds that a save holds the run up. Every evaluation is
/// taken for the best so far, which is saved.
RunTime run_time(RunOptions const&, int64_t from_step, StepTimes const&, int64_t batches, double save);

/// The trainer whose steps are measured.
TrainerOptions measured_options(Backend&, TrainerOptions const&);

/// Takes the memory of that trainer and one evaluation for about `budget` seconds, and gives it back. One step is
/// always measured, however long it takes.
StepTimes measure_step(Backend&, TrainerOptions const&, double budget);

}  // namespace folio::train

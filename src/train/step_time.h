// How long a step of a run will take on this machine, from a moment of real steps: of the same width, context,
// vocabulary and type, but of fewer blocks, as many as little memory holds, and of no more sequences than a moment
// allows. A clock at each op tells what blocks take from what is outside them and from the update, so that the whole
// follows by counting: blocks and their update by layers, all of forward and backward by sequences, the gradient's norm
// by parameters. Steps that nobody watches, taken in turn, say what the clock itself and the gaps between ops cost.
#pragma once

#include <functional>

#include "train/options.h"

namespace folio::train {

struct StepTimes {
  double step = 0;              // seconds, all micro-batches and the update
  double statistics = 0;        // seconds that a step takes longer in which all statistics are taken
  double evaluation_batch = 0;  // seconds of one batch of an evaluation
  double sample = 0;            // seconds of a sample
  double copy_rate = 0;         // bytes a second from the backend's memory to the host's
  int64_t blocks = 0;           // of the steps that were measured
  int64_t sequences = 0;
  int64_t steps = 0;   // measured, beside those that nobody watched
  double seconds = 0;  // spent
};

struct SaveTimes {     // seconds of a save
  double held_up = 0;  // that training waits for it
  double behind = 0;   // that it then takes beside training; the next one begins no sooner
};

/// A run from a step to its end, by the clock.
struct RunTime {
  int64_t steps = 0, statistics = 0, evaluations = 0, samples = 0, saves = 0;                // how many
  double in_steps = 0, in_statistics = 0, in_evaluations = 0, in_samples = 0, in_saves = 0;  // seconds
  double total() const { return in_steps + in_statistics + in_evaluations + in_samples + in_saves; }
};
/// `batches`: of an evaluation, all splits together. Every evaluation is taken for the best so far, which is saved; a
/// verified step for two.
RunTime run_time(RunOptions const&, int64_t from_step, StepTimes const&, int64_t batches, SaveTimes const& save);

/// The trainer whose steps are measured.
TrainerOptions measured_options(Backend&, TrainerOptions const&);

/// With a model's weights, what then writes so many tokens with them.
using SampleWriter = std::function<std::function<void()>(model::Weights const&, int64_t tokens)>;

/// Takes the memory of that trainer, of one evaluation and, where the run has them, of statistics and samples for about
/// `budget` seconds, and gives it back. One step is always measured, however long it takes.
StepTimes measure_step(Backend&, RunOptions const&, TrainerOptions const&, SampleWriter const&, double budget);

}  // namespace folio::train

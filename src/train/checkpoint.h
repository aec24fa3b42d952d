// A checkpoint of a run: a model directory (model/checkpoint.h) plus optimizer.safetensors (the moments that the
// optimizer has), state.json (everything else that moves, floats as their bits) and manifest.json (size and hash of
// every file). What is in it continues bit for bit.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "core/json.h"
#include "data/batcher.h"
#include "model/checkpoint.h"
#include "train/bad_steps.h"
#include "train/early_stopping.h"
#include "train/run_directory.h"
#include "train/statistics.h"
#include "train/trainer.h"

namespace folio::train {

struct Longest {  // seconds
  double step = 0, evaluation = 0, sample = 0, save = 0;
};

struct RunState {
  int64_t step = 0;  // attempted steps
  StepState step_state;
  data::Batcher::State data;
  std::string data_fingerprint;  // of what the run reads
  std::optional<Best> best;
  Patience patience;
  int64_t refused_in_a_row = 0;                // not finite
  std::vector<Rollback> rollbacks;             // of the run so far
  std::optional<ActiveUnits> active;           // none where no statistics are taken
  std::map<std::string, std::string> options;  // of those that may change when the run is resumed
  std::map<std::string, std::string> kept;     // of those that may not; none: of an older folio
  uint64_t metrics_bytes = 0;                  // of metrics.jsonl, when this was saved
  double seconds = 0;                          // of training so far
  bool evaluation_due = false;                 // after this step, and not made: it was cut short
  std::optional<bool> due;                     // see was_due; none: of an older folio
  Longest longest;                             // of the call that saved it, or the last that knew
  std::map<std::string, std::string> made;     // what equal bits depend on: build, instruction set, threads, …
};

struct TrainedTensors {  // of a trainer, or of a copy of them
  model::TensorSource source;
  model::Weights const& weights;
  std::vector<Moments> const& moments;  // in the order of for_each
};

/// Whole or not at all; one that has the name already is exchanged for it.
void save_checkpoint(Path const& final_path, TrainedTensors const&, model::ModelInfo const&,
                     std::span<Attachment const> tokenizer, RunState const&);

/// Verifies the manifest, then fills weights, moments and step state. Throws Fault::content naming what is wrong.
RunState load_checkpoint(Path const&, Backend&, Trainer&);

struct Choice {                                      // of a checkpoint to load
  std::function<bool(int64_t step)> among = {};      // empty: all
  std::function<void(RunState const&)> expect = {};  // throws where the run cannot go on from it
};
/// The newest checkpoint of a run, among those of the choice, that is whole. Newer ones that are not are named and set
/// aside, as step-NNNNNNNN.damaged: nothing is deleted. Throws Fault::content where none is whole, and for one of a
/// newer version; a newer manifest.json beside files of this one is damage. Nothing is loaded before `expect`.
RunState load_newest(RunDirectory&, Backend&, Trainer&, Choice const& = {});
/// The same for a run that has others to go on from; none where none of the choice is there and whole.
std::optional<RunState> load_earlier(RunDirectory&, Backend&, Trainer&, Choice const&);

/// Whether a run that nothing interrupts has the checkpoint of this step too, because it was due, the best or the last:
/// not one that was asked for, by a signal or a limit, and never that of step 0. Its state says so; of an older
/// folio's, or one that cannot be read, whether the step is a multiple of `every` counts.
bool was_due(RunDirectory const&, int64_t step, int64_t every);

Json to_json(StepState const&);  // floats as their bits
StepState step_state_from(Json const&, std::string const& name);
Json to_json(RunState const&);
RunState run_state_from(Json const&, std::string const& name);

}  // namespace folio::train

// A run from its first step, or its checkpoint, to its last: steps, evaluations, checkpoints, the log. Who
// watches is told through Watcher.
#pragma once

#include <functional>

#include "data/batcher.h"
#include "data/windows.h"
#include "model/evaluate.h"
#include "train/checkpoint.h"
#include "train/live_diagnosis.h"
#include "train/metrics.h"
#include "train/options.h"
#include "train/saver.h"
#include "train/statistics.h"

namespace folio::train {

class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void stepped(StepReport const&) {}
  virtual void evaluated(EvalReport const&) {}
  virtual void measured(Statistics const&) {}
  virtual void diagnosed(Finding const&) {}  // the state has changed
  virtual void sampled(Sample const&) {}
  virtual void saved(SaveReport const&) {}
  virtual void refused(StepReport const&, int64_t /*in_a_row*/) {}
  virtual void overflowed(StepReport const&, double /*next_loss_scale*/) {}  // a step in f16, not taken
};

struct Written {
  std::string prompt, text;
};

struct RunParts {  // all outlive the loop
  Backend& backend;
  Trainer& trainer;
  data::Dataset const& data;
  RunDirectory& directory;
  RunOptions const& options;
  model::ModelInfo const& info;
  std::vector<Attachment> const& tokenizer;
  std::vector<int32_t> const& byte_lengths;  // of each id, for bits per byte; empty: not known
  std::map<std::string, std::string> made;   // what equal bits depend on
  bool from_model = false;                   // it began with the weights of --from
  std::function<Written()> write = {};       // a sample, with the weights of now, that changes nothing of the run
};

enum class Outcome { finished, out_of_patience, stopped };

class Loop {
 public:
  explicit Loop(RunParts const&);
  /// Continues from the state that load_checkpoint gave: drops what was logged after it.
  void resume(RunState const&);

  /// Runs until the last step, until patience is at its end, or until `stop` gives between two steps a reason to (for
  /// the log; null: none); a checkpoint is saved then. `stop` gets the number of steps of this call. Throws
  /// Fault::diverged after kMostRefused refused steps in a row.
  Outcome run(Watcher&, std::function<char const*(int64_t)> const& stop);

  RunState const& state() const { return state_; }
  /// Adds a line to the log: a changed option, a resume. `type` is stop, resume or change.
  void note(std::string const& type, Json fields);

  static constexpr int64_t kMostRefused = 5;

 private:
  void note_changes(RunState const& before);
  Outcome end_early(Outcome, char const* why, Watcher&);
  void step(Watcher&);
  void sample(Watcher&);
  void take_statistics(double loss_scale, Watcher&);
  bool evaluate(Watcher&);  // true where it is the best so far
  double loss_of(std::string const& split, double* bits_per_byte);
  void diagnose(Watcher&);
  void look_into(double rate, StepState const& before);  // the step that was refused
  void save();
  void take_saves(Watcher&);    // tells of those that have ended
  void finish_saves(Watcher&);  // of all
  void log(Json const&);
  double seconds() const;

  RunParts p_;
  data::Batcher batcher_;
  data::HostBatch batch_, evaluation_batch_;
  model::Evaluator evaluator_;
  std::optional<StatisticsTaker> statistics_;  // where the options ask for them
  std::unique_ptr<AppendFile> log_;
  uint64_t log_bytes_ = 0;
  Saver saver_;
  RunState state_;
  LiveDiagnosis diagnosis_;
  int64_t saved_step_ = -1, evaluated_step_ = -1;
  double started_ = 0, before_ = 0;  // clock at run(), seconds of earlier calls
};

}  // namespace folio::train

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
  virtual void spiked(StepReport const&, Spike const&) {}
  virtual void rolled_back(Rollback const&) {}
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

struct Pace {
  int64_t steps = 0;  // of this call so far
  /// Seconds until the run would have ended, if it took one more step: that step and what follows it, and a save, each
  /// as long as the longest of this call, or, where it made none yet, of the last. Within an evaluation: if it took one
  /// more batch.
  double next = 0;
  bool has_saved = false;   // in this call, so that `next` knows how long a save takes
  bool evaluating = false;  // asked between two batches of an evaluation
  bool anything = false;    // was made in this call: a step, an evaluation
};
struct Asked {                 // between two steps, or two batches of an evaluation
  char const* stop = nullptr;  // a reason to end here, for the log; null: none
  bool save = false;           // a checkpoint now
};

enum class Outcome { finished, out_of_patience, stopped };

class Loop {
 public:
  explicit Loop(RunParts const&);
  using Ask = std::function<Asked(Pace const&)>;

  /// Continues from the run's newest checkpoint: drops what was logged after it. `ask` is asked first, as before the
  /// first step, or the first batch of an evaluation, that run() makes; what it throws leaves the run as it was. Throws
  /// Fault::content where the checkpoint is another run's, Fault::value where it lies behind the last step.
  void resume(Ask const& ask);

  /// Runs until the last step, until patience is at its end, or until `ask`, asked before each step and each batch of
  /// an evaluation, gives a reason to stop; a checkpoint is saved then. An evaluation that is cut short is made again
  /// when the run is resumed. Throws Fault::diverged where the options' policies for bad steps end the run, the fault
  /// (Fault::io) of kMostFailedSaves failed saves in a row, or of a last one that fails twice, and what `ask` throws.
  Outcome run(Watcher&, Ask const& ask);

  RunState const& state() const { return state_; }
  History const& history() const { return diagnosis_.history(); }
  /// Adds a line to the log: a changed option, a resume. `type` is stop, resume or change.
  void note(std::string const& type, Json fields);

  static constexpr int64_t kMostFailedSaves = 3;

 private:
  /// How much of the log a resumed run keeps: what its checkpoint was `saved` beside, or, with a warning, what is left.
  uint64_t logged_until(uint64_t saved) const;
  void expect_to_go_on(RunState const& before) const;  // what may not change has not, and there is something to do
  void ask_first(RunState const&);                     // before anything of the run changes
  void rotate_again(RunState const&);                  // what was left to remove when the run ended
  void note_changes(RunState const& before);
  void begin_log();
  Longest longest() const;
  double seconds_to_end() const;  // see Pace
  double seconds_to_end_of_batch();
  Asked asked(double next, bool evaluating);
  bool finish_step(Watcher&);  // what comes after it; false: its evaluation was cut short, see cut_
  Outcome end_early(Outcome, char const* why, Watcher&);
  bool step(Watcher&);  // false: the run has gone back to a checkpoint instead
  void sample(Watcher&);
  void take_statistics(double loss_scale, Watcher&);
  bool evaluate(Watcher&);  // false: it was cut short, see cut_, and is to be made again
  double loss_of(std::string const& split, double* bits_per_byte);
  void diagnose(Watcher&);
  /// The step that was refused. Returns the weight that was not finite before it, empty where all were.
  std::string look_into(double rate, StepState const& before);
  // loop_bad_steps.cpp
  bool judge(StepReport const&, double rate, StepState const& before, Watcher&);  // as step
  bool not_finite(StepReport const&, double rate, StepState const& before, Watcher&);
  bool was_due(int64_t step) const;
  std::optional<RunState> load_due(int64_t at_most);  // the newest whole one that was due, of this step or before it
  std::optional<Retreat> where_to();                  // once no save is under way
  bool roll_back(char const* why, Watcher&);          // false where there is nothing to go back to
  /// What a run goes on from that ended behind rollbacks which this state does not know; none: there are none.
  std::optional<RunState> after_rollbacks(RunState);
  void go_on_from(RunState const&);  // which the trainer has loaded
  void save();
  bool due() const;  // a save of this step in a run that nobody asks for one
  void save_as_asked(Watcher&);
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
  std::string broken_weight_;  // what look_into found last
  int64_t saved_step_ = -1;
  double started_ = 0, before_ = 0;  // clock at run(), seconds of earlier calls
  Ask const* ask_ = nullptr;
  char const* cut_ = nullptr;  // why an evaluation was
  bool save_asked_ = false;
  int64_t taken_ = 0, evaluations_ = 0;         // of this call
  Longest here_;                                // of this call; 0: none yet
  double batch_began_ = 0, longest_batch_ = 0;  // of an evaluation
};

}  // namespace folio::train

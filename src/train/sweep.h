// A sweep: which run is trained next and how far, what became of each, and their rank. It starts nothing itself: who
// does asks next(), trains, and tells ended(). A sweep directory:
//
//   sweep.json         the settings, the runs and what became of them, written at every change
//   sweep.html         the report; runs/NAME.html that of a run
//   data/              prepared once, where the data are a text
//   runs/NAME/         a run directory each (train/run_directory.h)
//   runs/NAME.toml     every value of the run, which it is begun with
//   runs/NAME.log      what it said
//   lock
//
// What was reached is read from the run directories, so a sweep that was killed goes on where its checkpoints are.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/file.h"
#include "core/json.h"
#include "train/finding.h"
#include "train/options.h"
#include "train/sweep_spec.h"

namespace folio::train {

enum class RunStatus {
  waiting,   // to be trained, or trained on
  finished,  // its last step, or it stopped early by itself
  dropped,   // by halving
  diverged,
  failed,  // for another reason; tried again by the next call
};
char const* name_of(RunStatus);

struct SweepRun {
  std::string folder;  // under runs/
  size_t setting = 0;
  uint64_t seed = 0;
  int64_t steps = 0, eval_every = 0;               // that it was told
  std::string toml;                                // every value
  std::map<std::string, std::string> values = {};  // of the fields that are varied
  RunOptions options = {};
  model::Config shape = {};  // but for the vocabulary, which the data bring
  RunStatus status = RunStatus::waiting;
  std::string why = {};  // of failed
  int64_t step = 0;      // of its newest checkpoint
  double val = NAN;      // lowest validation loss so far; NaN where there is none
  int64_t best_step = 0;
  double last = NAN;  // the newest one
  double seconds = 0;
  std::optional<Finding> finding = {};  // what its diagnosis said last
  double guessing = NAN;                // ln V, the loss of who guesses evenly; NaN before the first checkpoint
};

inline constexpr double kMostOfGuessing = 1.1;  // above so many times ln V nothing was learnt

struct Ranked {  // a setting
  size_t setting;
  double val = NAN;      // mean over its seeds of the lowest validation loss
  double deviation = 0;  // between seeds
  int64_t step = 0;      // that its runs reached, the least
  RunStatus status = RunStatus::waiting;
  double guessing = NAN;  // ln V
  bool hopeless() const { return val > kMostOfGuessing * guessing; }
  bool learnt() const { return std::isfinite(val) && !hopeless(); }
};

struct SweepJob {
  size_t run;
  int64_t until;  // step
};

class Sweep {
 public:
  /// Begins the sweep in `folder`, or takes up the one there. Fault::exists where the folder is no sweep, or another
  /// process works in it; Fault::value where it was begun with other settings or values. `runs` come in the order of
  /// settings and seeds, with the fields up to `shape`.
  Sweep(Path const& folder, SweepSpec const&, std::vector<SweepRun> runs);

  /// What to train next; none while all that is left waits for runs that are going on, and at the end.
  std::optional<SweepJob> next();
  /// How a job ended: by the exit code of folio train.
  void ended(SweepJob const&, int code, std::string const& why);

  Path const& path() const { return path_; }
  Path folder_of(SweepRun const& r) const { return path_ / "runs" / r.folder; }
  std::vector<Setting> const& settings() const { return spec_.settings; }
  SweepSpec const& spec() const { return spec_; }
  std::vector<SweepRun> const& runs() const { return runs_; }
  bool resumed() const { return resumed_; }
  /// The best first; those that were dropped by how far they came, then those that diverged or failed.
  std::vector<Ranked> ranking() const;
  /// Of a setting at a step, mean over its seeds: the lowest validation loss up to it; infinite where there is none.
  double val_by(size_t setting, int64_t step) const;
  Json json() const;

 private:
  void take_up(Json const& record);
  void look(SweepRun&) const;  // at what its directory says
  double val_at(SweepRun const&, int64_t step) const;
  bool alive(size_t setting) const;
  void halve(int64_t at);
  void save() const;

  Path path_;
  SweepSpec spec_;
  std::vector<SweepRun> runs_;
  std::unique_ptr<FileLock> lock_;
  std::set<size_t> going_on_;
  int64_t level_ = 0;  // number of halvings done
  bool resumed_ = false;
};

/// A name for a run's folder: letters, digits, '.', '-' and '=' of the setting's name.
std::string folder_name(size_t number, std::string const& setting, std::optional<uint64_t> seed);

}  // namespace folio::train

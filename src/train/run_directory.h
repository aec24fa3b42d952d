// A run directory and what lies in it:
//
//   config.toml                   every value of the run
//   metrics.jsonl                 one line a step, an evaluation, a stop, a resume
//   best.json                     which checkpoint had the lowest validation loss
//   checkpoints/step-NNNNNNNN/    see train/checkpoint.h
//   not-finite-NNNNNNNN.safetensors   the first step that was refused for its numbers: see train/step_file.h
//   lock                          who is writing (process, host); held as long as a process trains here
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/file.h"

namespace folio::train {

struct Best {
  int64_t step = 0;
  double val = 0;  // mean validation loss, nats a token
  bool operator==(Best const&) const = default;
};

class RunDirectory {
 public:
  /// A new run, whole or not at all: `fill` gets the folder before it has its name, prepares what the run needs in it
  /// and returns the configuration; what it throws leaves nothing behind. Fault::exists where the path is there
  /// already.
  static RunDirectory create(Path const&, std::function<std::string(Path const& folder)> const& fill);
  /// An existing run. Locks it, and clears away what an interrupted save left (said in `notes`).
  static RunDirectory open(Path const&);

  Path const& path() const { return path_; }
  Path config() const { return path_ / "config.toml"; }
  Path metrics() const { return path_ / "metrics.jsonl"; }
  Path checkpoint(int64_t step) const;  // its place, there or not

  /// The name of the file for a step that broke; empty where the run has one of an earlier step.
  std::string broken_step(int64_t step) const;

  void set_best(Best const&);
  /// Removes the checkpoints behind `step`, of a path that the run has left; `best` is the best of those before it.
  void forget_after(int64_t step, std::optional<Best> const& best);
  /// best.json as a state has it that was loaded: what names a checkpoint that is not there goes.
  void restore_best(std::optional<Best> const&);
  /// Removes all checkpoints but the newest `keep`, the newest `keep` of those that `was_due`, those of a multiple of
  /// `every` steps (0: none), the one that best.json names, and that of `best`, which it may be about to name. Where
  /// the newest was not due none goes that was: a run that nobody asked for it keeps those until its next.
  void rotate(int64_t keep, int64_t every, std::optional<Best> const& best,
              std::function<bool(int64_t step)> const& was_due);

  std::vector<std::string> const& notes() const { return notes_; }

 private:
  explicit RunDirectory(Path const&);
  Path path_;
  std::vector<std::string> notes_;
  std::unique_ptr<FileLock> lock_;
};

bool is_run_directory(Path const&);
std::vector<int64_t> checkpoint_steps(Path const& run);  // ascending
Path checkpoint_path(Path const& run, int64_t step);
std::optional<Best> read_best(Path const& run);  // none where none was evaluated, or its checkpoint is gone
/// The best checkpoint, else the newest. Throws Fault::missing where the run has none.
Path preferred_checkpoint(Path const& run);

}  // namespace folio::train

// The checkpoints of a run, written while it goes on or before it does.
//
// A save is, in this order: the log synced to the length that the state names; the checkpoint written, synced and
// renamed (train/checkpoint.h); best.json, where the best checkpoint is a new one; and then what is no longer kept
// removed. So whatever call is the last, the newest checkpoint that has its name is whole, and best.json names one that
// is there.
//
// In the background, save() copies weights and moments into a snapshot, memory that was taken and touched at start-up,
// and returns; a thread writes the copy. One save is written at a time: the next waits for it. In the foreground there
// is no snapshot, and save() returns when all is written. The files have the same bits.
//
// A save that fails is reported and changes nothing that was there; the next save tries anew, and finish() the last
// one once more.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/snapshot.h"

namespace folio::train {

struct SaveOptions {
  bool background = true;
  int64_t keep = 2;        // newest checkpoints kept, beside the best
  int64_t keep_every = 0;  // those of a multiple of so many steps are kept too; 0: none
  int64_t every = 1;       // steps between those that are due
};

/// Removes what is no longer kept beside the newest checkpoint, which has this state: see RunDirectory::rotate. None
/// while steps are refused.
void rotate(RunDirectory&, SaveOptions const&, RunState const&);

class Saver {
 public:
  /// All of them outlive the saver. Throws Fault::memory where there is none for the snapshot.
  Saver(Backend&, Trainer&, RunDirectory&, SaveOptions const&, model::ModelInfo const&,
        std::vector<Attachment> const& tokenizer);
  /// Waits, and says what went wrong and was not asked for.
  ~Saver();

  /// A checkpoint of the trainer's weights and moments and of `state`, whose metrics_bytes are in `log` by now. The log
  /// stays open until the save is reported.
  void save(RunState const& state, AppendFile& log);
  /// Until nothing is being written.
  void wait();
  /// Waits, and where the save of this step, the run's last, failed tries it once more. Throws what it fails with then.
  void finish(int64_t step);
  /// Of the saves that have ended since the last call.
  std::vector<SaveReport> reports();

  /// What a saver will hold beside a trainer of these roles (Trainer::plan): the snapshot, in the host's memory.
  /// 0 bytes: none.
  static MemoryRole plan(SaveOptions const&, std::vector<MemoryRole> const& trainer);
  static constexpr char const* kRole = "snapshot";

 private:
  void start();
  void write();                                // on the writer's thread, or on the training's
  bool attempt(std::function<void()> const&);  // false: it failed; the report has the first such error
  void write_checkpoint();
  void record_best();

  Backend& backend_;
  Trainer& trainer_;
  RunDirectory& directory_;
  SaveOptions options_;
  model::ModelInfo const& info_;
  std::vector<Attachment> const& tokenizer_;
  std::optional<Snapshot> snapshot_;

  // Of the save that is being written, or was the last: the writer's alone until it has been joined.
  RunState state_;
  AppendFile* log_ = nullptr;
  bool written_ = false;   // the checkpoint is durable
  bool best_due_ = false;  // best.json does not say yet what the state does
  SaveReport report_;

  std::atomic<bool> ended_ = false;  // all of it

  bool pending_ = false;  // a save is not reported yet
  double waited_ = 0;
  int64_t failed_in_a_row_ = 0;
  std::vector<SaveReport> reports_;
  std::jthread writer_;  // ends before anything above goes
};

/// A save that failed, for a person.
std::string in_words(SaveReport const&);

}  // namespace folio::train

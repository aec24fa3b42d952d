// Shows on this machine that resuming is exact: the first steps of a run are trained without an interruption and with
// ones of several kinds, by processes of their own, and the results are compared bit for bit.
#pragma once

#include <functional>

#include "cli/train_setup.h"
#include "train/same_run.h"

namespace folio::cli {

class ProofFolder {  // where the runs lie
 public:
  /// A new one of that name, kept; empty: a temporary one, which goes with this. Fault::exists.
  explicit ProofFolder(Path const&);
  ~ProofFolder();
  ProofFolder(ProofFolder const&) = delete;
  Path const& path() const { return path_; }
  bool kept() const { return !remove_; }

 private:
  Path path_;
  bool remove_;
};

struct ResumeRound {
  std::string name;   // what was done to the run
  std::string where;  // at which steps; empty: it was left alone
  train::RunComparison result;
};

/// `c` is settled. `steps`, 4 or more, is how many of the run's are trained. Told are first the room that the runs take
/// at most, and each round as it is done. Of a folder that goes, so does a run that was the same before the next
/// begins. Throws Fault::failed where a run ends in another way than it was asked to, or goes on from another step than
/// that of its newest checkpoint, Fault::io where there is no room, and Fault::stopped where this process is asked to
/// stop.
std::vector<ResumeRound> prove_resume(TrainCommand c, int64_t steps, ProofFolder const& folder,
                                      std::function<void(std::string const&)> const& told);

std::string text_of(ResumeRound const&);  // a line or two

}  // namespace folio::cli

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

 private:
  Path path_;
  bool remove_;
};

struct ResumeRound {
  std::string name;   // what was done to the run
  std::string where;  // at which steps; empty: it was left alone
  train::RunComparison result;
};

/// `c` is settled; the runs go into `folder`, which is there. `steps` is how many of the run's are trained. Each round
/// is told as it is done. Throws Fault::failed where a run ends in another way than it was asked to, or is over before
/// it can be interrupted, and Fault::stopped where this process is asked to stop.
std::vector<ResumeRound> prove_resume(TrainCommand c, int64_t steps, Path const& folder,
                                      std::function<void(ResumeRound const&)> const& told);

std::string text_of(ResumeRound const&);  // a line or two

}  // namespace folio::cli

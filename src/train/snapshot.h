// What a checkpoint holds of a trainer, copied into the host's memory, so that another thread may write it while the
// trainer goes on.
#pragma once

#include <utility>
#include <vector>

#include "core/host_memory.h"
#include "model/weights.h"

namespace folio::train {

class Snapshot {
 public:
  /// Takes the memory and touches it. The backend, the weights and the moments outlive the snapshot. Throws
  /// Fault::memory.
  Snapshot(Backend&, model::Weights const&, std::vector<Moments> const&);

  /// Copies them, with all the threads that the backend has. Waits for the step.
  void take();

  /// The copies, where the host may read them; of a weight the master alone.
  model::Weights const& weights() const { return weights_; }
  std::vector<Moments> const& moments() const { return moments_; }
  size_t bytes() const { return arena_.bytes(); }

 private:
  void lay_out(model::Weights const&, std::vector<Moments> const&);

  Backend& backend_;
  HostMemory memory_;  // of a device, whose own is not the host's
  Arena arena_{"snapshot"};
  model::Weights weights_;
  std::vector<Moments> moments_;
  std::vector<std::pair<Tensor, Tensor>> copies_;  // to, from
};

}  // namespace folio::train

// What a run will hold in memory, by role, known before anything of it is taken.
#pragma once

#include <string>
#include <vector>

#include "train/options.h"

namespace folio::train {

struct MemoryPlan {
  std::vector<MemoryRole> roles;  // none of 0 bytes; on a device with memory of its own most lie there,
  MemoryRole process;             // and beside them in the process lies this
  MemoryOfDevice device;          // as it is now; total 0: all lies in the process
  size_t held = 0;                // of `process`: what it holds already
  size_t of_roles() const;        // that lie where the tensors do
  size_t asks() const;            // what is still to be taken where the roles lie
  size_t asks_of_host() const;    // and of the machine's own memory, where they lie on a device
  size_t total() const;           // the most that the process will have resident at once
};

/// Does it lie in the host's memory where the run is on a device with memory of its own too?
bool on_host(MemoryRole const&);

/// Gives back what is free again and says what the process holds by now: itself, its libraries, the tokenizer, the
/// data. Before anything of the run is taken.
size_t memory_before();

/// What a run holds by role: the layouts of its trainer, its evaluations and its statistics, which are what they take.
/// Fault::value where an option is out of range.
std::vector<MemoryRole> run_roles(Backend&, RunOptions const&, TrainerOptions const&);

/// `before`: see memory_before.
MemoryPlan memory_plan(Backend const&, std::vector<MemoryRole> const& roles, TrainerOptions const&, size_t before);

}  // namespace folio::train

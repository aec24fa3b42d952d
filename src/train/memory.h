// What a run will hold in memory, by role, known before its first step.
#pragma once

#include <string>
#include <vector>

#include "train/trainer.h"

namespace folio::train {

struct MemoryRole {
  std::string name;
  size_t bytes;
};

struct MemoryPlan {
  std::vector<MemoryRole> roles;  // none of 0 bytes; on a device with memory of its own they lie there,
  MemoryRole process;             // and beside them in the process lies this
  MemoryOfDevice device;          // once the roles are there; total 0: all lies in the process
  size_t of_roles() const;
  size_t total() const;  // the most that the process will have resident at once
};

/// Gives back what is free again and says what the process holds by now: itself, its libraries, the tokenizer, the
/// data. Before the trainer is made.
size_t memory_before();

/// `more`: what is held for the run beside the trainer.
MemoryPlan memory_plan(Backend const&, Trainer&, std::vector<MemoryRole> const& more, size_t before);

}  // namespace folio::train

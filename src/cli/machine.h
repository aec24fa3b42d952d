// What the machine grants this process: cores and memory, by the system, by affinity and by a container's limits.
#pragma once

#include <cstdint>
#include <optional>

#include "core/file.h"

namespace folio::cli {

struct Machine {
  int cores = 0;                            // online
  int usable_cores = 0;                     // by affinity
  std::optional<double> core_quota;         // of a container, in cores
  uint64_t memory = 0, free_memory = 0;     // bytes; 0 where the system does not say
  std::optional<uint64_t> memory_limit;     // of a container
  std::optional<uint64_t> memory_in_limit;  // used of it
};
/// `root` is where /proc and /sys are looked for: another folder in tests.
Machine look_at_machine(Path const& root = "/");

}  // namespace folio::cli

// What the machine grants this process: cores and memory, by the system, by affinity and by a container's limits.
#pragma once

#include <cstdint>
#include <optional>

namespace folio::cli {

struct Machine {
  int cores = 0;                            // online
  int usable_cores = 0;                     // by affinity
  std::optional<double> core_quota;         // of a container, in cores
  uint64_t memory = 0, free_memory = 0;     // bytes; 0 where the system does not say
  std::optional<uint64_t> memory_limit;     // of a container
  std::optional<uint64_t> memory_in_limit;  // used of it
};
Machine look_at_machine();

}  // namespace folio::cli

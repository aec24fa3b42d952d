// What the machine grants this process: cores and memory, by the system, by affinity and by a container's limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/file.h"

namespace folio {

struct Machine {
  int cores = 0;                            // online
  int usable_cores = 0;                     // by affinity
  std::optional<double> core_quota;         // of a container, in cores
  uint64_t memory = 0, free_memory = 0;     // bytes; 0 where the system does not say
  std::optional<uint64_t> memory_limit;     // of a container
  std::optional<uint64_t> memory_in_limit;  // used of it

  /// The cores that may be kept busy: by affinity and, rounded, by the quota; at least 1.
  int granted_cores() const;
  /// Bytes that can be had before the system swaps, a container's limit is reached or one of the process itself
  /// (`ulimit -v`, `-d`), whose threads to come are counted; files that are only cached count as free. No limit that is
  /// known: UINT64_MAX.
  uint64_t available_memory = UINT64_MAX;
  std::string available_by;  // what sets it: "free on this machine", "left of a container's limit of 2.0 GiB"
};
/// `root` is where /proc and /sys are looked for: another folder in tests.
Machine look_at_machine(Path const& root = "/");

}  // namespace folio

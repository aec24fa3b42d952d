// Whether what is about to be taken can be had, said before anything of it is taken.
#pragma once

#include <span>
#include <string>

#include "backend/backend.h"

namespace folio {

struct Available {
  uint64_t bytes = UINT64_MAX;  // UINT64_MAX: no limit is known
  std::string by;               // what sets it: "free on this machine", "left of a container's limit of 2.0 GiB"
};
/// What the backend could still be given: of its device, or of the process, by the machine and all limits.
Available available_memory(Backend const&);

size_t bytes_of(std::span<MemoryRole const>);
/// "31.2 GiB (activations 20.1 GiB, weights 474.7 MiB, …)": the three largest.
std::string amount_text(std::span<MemoryRole const>);

/// Fault::memory where the roles together are more than there is: what asks for how much, and `mends`, what to do.
void expect_room(Backend const&, std::string const& what, std::span<MemoryRole const>, std::string const& mends);

}  // namespace folio

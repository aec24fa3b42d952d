// Whether what is about to be taken can be had, said before anything of it is taken.
#pragma once

#include <span>
#include <string>

#include "backend/backend.h"
#include "core/error.h"

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

/// With what stays free of what can be had: a limit kills who passes it by a page, and what a process takes besides its
/// arenas is an estimate.
size_t with_reserve(size_t bytes);

struct Ask {                             // what is about to be taken at once
  std::string what;                      // "the evaluation"
  std::vector<MemoryRole> roles;         // where the tensors lie
  std::string mends;                     // what asks for less
  std::vector<MemoryRole> in_heap = {};  // beside them in the process, on a device with memory of its own too
};
/// Can it be had? With the reserve; in the process with what whole pages and computing take besides.
bool has_room(Backend const&, Ask const&);
/// Fault::memory where it cannot: what asks for how much, what can be had, and what mends it.
void expect_room(Backend const&, Ask const&);

/// What `take` gives, where it can be had. Where it then cannot all the same, since somebody else was faster, the
/// sentence says what mends it, too.
template <class Take>
auto take_room(Backend const& backend, Ask const& ask, Take const& take) {
  expect_room(backend, ask);
  try {
    return take();
  } catch (Error const& e) {
    if (e.fault != Fault::memory) throw;
    throw Error(e.fault, fmt::format("{}: {}", e.what(), ask.mends), e.where);
  }
}

}  // namespace folio

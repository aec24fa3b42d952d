// The clock that durations are taken with.
#pragma once

#include <chrono>

namespace folio {

/// Seconds of a clock that nobody sets.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace folio

// Durations on the command line: 90s, 30m, 8h, 1h30m, 2d.
#pragma once

#include <string>

namespace folio::cli {

/// Seconds. Throws Fault::usage naming `flag` for what is no duration, or none above 0.
double seconds_from(std::string const& text, std::string const& flag);

}  // namespace folio::cli

#include "cli/duration.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace folio::cli {
namespace {

double unit_of(char c) { return c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : c == 'd' ? 86400 : 0; }

// Numbers each with its unit, the larger unit first: 1d12h, 1.5h.
std::optional<double> read(std::string_view text) {
  double sum = 0, before = INFINITY;
  while (!text.empty()) {
    double n = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n, std::chars_format::fixed);
    if (error != std::errc() || end == text.data() + text.size()) return {};
    double const unit = unit_of(*end);
    if (unit == 0 || unit >= before || !(n >= 0)) return {};
    sum += n * unit, before = unit;
    text.remove_prefix(size_t(end - text.data()) + 1);
  }
  return sum;
}

}  // namespace

double seconds_from(std::string const& text, std::string const& flag) {
  bool const bare = !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos;
  check(!bare, Fault::usage, "--{} {}: of what? Give {}s, {}m or {}h", flag, text, text, text, text);
  std::optional<double> const seconds = read(text);
  check(seconds && *seconds > 0 && *seconds < 1e9, Fault::usage,
        "--{} {}: no duration; give numbers with their units, d, h, m or s, the larger first: 8h, 30m, 1h30m", flag,
        text);
  return *seconds;
}

}  // namespace folio::cli

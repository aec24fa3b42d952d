// Bytes in a sentence for people: in quotes, invalid bytes as \xNN, control characters as \n, \t, \xNN.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace folio::text {

std::string escape(std::string_view bytes);

struct Visible {  // an argument of check(): escaped only when the sentence is needed
  std::string_view bytes;
};
inline Visible visible(std::string_view bytes) { return {bytes}; }

}  // namespace folio::text

template <>
struct fmt::formatter<folio::text::Visible> : fmt::formatter<std::string_view> {
  auto format(folio::text::Visible v, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(folio::text::escape(v.bytes), context);
  }
};

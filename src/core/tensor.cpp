#include "core/tensor.h"

#include <fmt/format.h>

namespace folio {

std::string Shape::text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(dims_[i]);
  return out + ")";
}

}  // namespace folio

fmt::format_context::iterator fmt::formatter<folio::Shape>::format(folio::Shape const& s,
                                                                   format_context& context) const {
  return fmt::formatter<std::string>::format(s.text(), context);
}

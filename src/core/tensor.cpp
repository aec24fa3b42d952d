#include "core/tensor.h"

namespace folio {

std::string Shape::text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(dims_[i]);
  return out + ")";
}

}  // namespace folio

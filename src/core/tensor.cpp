#include "core/tensor.h"

#include <fmt/format.h>

#include "core/error.h"

namespace folio {

std::string Shape::text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(dims_[i]);
  return out + ")";
}

void Shape::refuse_rank() const { fail(Fault::bug, "a shape has at most {} dimensions, not {}", int{kMaxRank}, rank_); }

void Tensor::refuse_as(DType wanted) const {
  fail(Fault::bug, "{}: dtype {} read as {}", label, name_of(dtype), name_of(wanted));
}

void Tensor::refuse_slice(int64_t begin, int64_t end) const {
  fail(Fault::bug, "{}: [{}, {}) of {}", label, begin, end, shape);
}

void Tensor::refuse_shape(Shape const& to) const { fail(Fault::bug, "{}: {} does not hold {}", label, shape, to); }

}  // namespace folio

fmt::format_context::iterator fmt::formatter<folio::Shape>::format(folio::Shape const& s,
                                                                   format_context& context) const {
  return fmt::formatter<std::string>::format(s.text(), context);
}

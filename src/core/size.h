// Sizes read from outside: numbers of any value until a file proves them. Arithmetic on them never wraps; a section
// is handed out only where it lies in the file.
//
//   Size const begin = Size(header.offset), bytes = Size(header.rows) * Size(header.columns) * Size(4);
//   Bytes const rows = section(file.bytes(), begin, bytes, path, "the matrix");
#pragma once

#include <cstdint>
#include <optional>

#include "core/error.h"
#include "core/file.h"

namespace folio {

class Size {  // of bytes or things; more than 64 bits can hold is remembered as "too large", which fits nowhere
 public:
  constexpr Size() = default;
  constexpr explicit Size(uint64_t n) : n_(n) {}
  friend constexpr Size operator+(Size a, Size b) {
    Size c;
    c.over_ = __builtin_add_overflow(a.n_, b.n_, &c.n_) || a.over_ || b.over_;
    return c;
  }
  friend constexpr Size operator*(Size a, Size b) {
    Size c;
    c.over_ = __builtin_mul_overflow(a.n_, b.n_, &c.n_) || a.over_ || b.over_;
    return c;
  }
  constexpr Size rounded_up(uint64_t step) const {  // to a multiple
    return n_ % step == 0 ? *this : *this + Size(step - n_ % step);
  }
  constexpr bool at_most(uint64_t limit) const { return !over_ && n_ <= limit; }
  constexpr bool is(uint64_t n) const { return !over_ && n_ == n; }
  constexpr std::optional<uint64_t> value() const { return over_ ? std::nullopt : std::optional(n_); }
  std::string text() const { return over_ ? "more than 2^64" : std::to_string(n_); }

 private:
  uint64_t n_ = 0;
  bool over_ = false;
};

/// Bytes [begin, begin + bytes) of a file; throws Fault::content with the file's name and `what` where they do not fit.
inline Bytes section(Bytes file, Size begin, Size bytes, Path const& path, char const* what) {
  check((begin + bytes).at_most(file.size()), Fault::content,
        "{}: {} would take bytes {} to {}, but the file ends at {}: it is cut off or damaged", path.string(), what,
        begin.text(), (begin + bytes).text(), file.size());
  return file.subspan(static_cast<size_t>(*begin.value()), static_cast<size_t>(*bytes.value()));
}

}  // namespace folio

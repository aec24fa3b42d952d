// The one way to refuse. A sentence says what was given, what was expected and what to do; it is put together only
// when the check fails, so a check costs a comparison. The library throws and never prints; `main` catches once.
//
//   check(rows == n, "head: {} rows asked for, {} planned", n, rows);                 a broken contract: a bug
//   check(V > 0, Fault::content, "{}: the vocabulary is empty; …", path);             somebody's mistake
//   fail(Fault::missing, "{} does not exist: give a model directory", path);
#pragma once

#include <fmt/core.h>

#include <source_location>
#include <string>

#include "core/fault.h"

namespace folio {

struct Sentence {  // a text with {} for each part; it also picks up the caller's place in the source
  Sentence(char const* text, std::source_location where = std::source_location::current()) : text(text), where(where) {}
  char const* text;
  std::source_location where;
};

[[noreturn]] void fail_with(Fault, Sentence const&, fmt::format_args);

template <class... Parts>
[[noreturn]] void fail(Fault fault, Sentence sentence, Parts const&... parts) {
  fail_with(fault, sentence, fmt::make_format_args(parts...));
}
template <class... Parts>
void check(bool ok, Fault fault, Sentence sentence, Parts const&... parts) {
  if (!ok) [[unlikely]]
    fail_with(fault, sentence, fmt::make_format_args(parts...));
}
template <class... Parts>
void check(bool ok, Sentence sentence, Parts const&... parts) {
  if (!ok) [[unlikely]]
    fail_with(Fault::bug, sentence, fmt::make_format_args(parts...));
}

}  // namespace folio

namespace folio {
class Shape;
}
template <>
struct fmt::formatter<folio::Shape> : fmt::formatter<std::string> {  // "(2, 3)"
  format_context::iterator format(folio::Shape const&, format_context&) const;
};

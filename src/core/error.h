// The one way to refuse. A sentence says what was given, what was expected and what to do; it is put together only
// when the check fails, so a check costs a comparison. The library throws and never prints; `main` catches once.
//
//   check(rows == n, "head: {} rows asked for, {} planned", n, rows);                 a broken contract: a bug
//   check(V > 0, Fault::content, "{}: the vocabulary is empty; …", path);             somebody's mistake
//   fail(Fault::missing, "{} does not exist: give a model directory", path);
#pragma once

#include <fmt/core.h>

#include <source_location>
#include <stdexcept>
#include <string>

namespace folio {

enum class Fault : int {  // the value is the exit code
  failed = 1,             // of no kind below; also a second signal
  usage = 2,              // the command line cannot be read
  diverged = 3,           // training diverged or aborted
  content = 65,           // an input's content is wrong, or one kind was given for another
  missing = 66,           // an input is not there
  device = 69,            // device not available
  bug = 70,               // folio's own mistake
  memory = 71,            // out of memory
  exists = 73,            // an output directory exists
  io = 74,                // reading or writing failed
  stopped = 75,           // stopped as asked, checkpoint saved, resumable
  value = 78,             // a readable value out of range or contradicting another
};

class Error : public std::runtime_error {
 public:
  Error(Fault fault, std::string const& sentence, std::source_location where = std::source_location::current())
      : std::runtime_error(sentence), fault(fault), where(where) {}
  Fault fault;
  std::source_location where;
};

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

// What folio throws. The sentence says what was given, what was expected and what to do; `fault` is its kind, whose
// value the program ends with.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

#include "core/api.h"

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

class FOLIO_API Error : public std::runtime_error {
 public:
  Error(Fault fault, std::string const& sentence, std::source_location where = std::source_location::current())
      : std::runtime_error(sentence), fault(fault), where(where) {}
  Fault fault;
  std::source_location where;
};

}  // namespace folio

// A signal that a run raises itself at an exact place, for folio verify-resume: one from outside comes anywhere. The
// environment variable FOLIO_INTERRUPT names it, as "SIGNAL:STEP:MICRO_BATCH" in numbers; nothing else sets or reads
// it.
#pragma once

#include <optional>
#include <string>

#include "backend/backend.h"

namespace folio::cli {

struct Interruption {
  static constexpr char const* kVariable = "FOLIO_INTERRUPT";
  int signal = 0;
  int64_t step = 0;
  int64_t micro_batch = 0;  // raised behind this one of the step, counted from 1; 0: before the step begins

  std::string text() const;
};

class Interrupter {
 public:
  explicit Interrupter(Backend&);  // Fault::value where the variable cannot be read
  void before_step(int64_t step);

 private:
  Backend& backend_;
  std::optional<Interruption> asked_;
};

}  // namespace folio::cli

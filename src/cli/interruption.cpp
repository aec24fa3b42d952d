#include "cli/interruption.h"

#include <csignal>
#include <cstdlib>
#include <sstream>

#include "core/error.h"

namespace folio::cli {

std::string Interruption::text() const { return fmt::format("{}:{}:{}", signal, step, micro_batch); }

Interrupter::Interrupter(Backend& backend) : backend_(backend) {
  char const* const text = std::getenv(Interruption::kVariable);
  if (!text || !*text) return;
  Interruption& i = asked_.emplace();
  char colons[2] = {};
  std::istringstream in(text);
  in >> i.signal >> colons[0] >> i.step >> colons[1] >> i.micro_batch;
  check(in && i.text() == text, Fault::value, "{} is \"{}\": expected three numbers, SIGNAL:STEP:MICRO_BATCH",
        Interruption::kVariable, text);
}

void Interrupter::before_step(int64_t step) {
  if (asked_ && step == asked_->step + 1) backend_.observe({});
  if (!asked_ || step != asked_->step) return;
  if (asked_->micro_batch == 0) {
    int const signal = asked_->signal;
    asked_.reset();  // once
    std::raise(signal);
    return;
  }
  backend_.observe([signal = asked_->signal, left = asked_->micro_batch](Event const& e) mutable {
    bool const ends_a_micro_batch = e.op == std::string_view("embed_backward");  // the last op of its backward pass
    if (ends_a_micro_batch && --left == 0) std::raise(signal);
  });
}

}  // namespace folio::cli

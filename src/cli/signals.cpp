#include "cli/signals.h"

#include <signal.h>
#include <unistd.h>

namespace folio::cli {
namespace {

volatile sig_atomic_t caught = 0;

void on_signal(int) {
  if (caught) _exit(1);
  caught = 1;
}

}  // namespace

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool signalled() { return caught > 0; }

}  // namespace folio::cli

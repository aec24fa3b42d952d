#include "cli/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

namespace folio::cli {
namespace {

volatile sig_atomic_t caught = 0;
volatile time_t first_second = 0;
long volatile first_nanosecond = 0;
volatile sig_atomic_t save_asked = 0;

void on_signal(int) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // may be called in a handler
  if (caught == 0) {
    first_second = now.tv_sec;
    first_nanosecond = now.tv_nsec;
    caught = 1;
  } else if (double(now.tv_sec - first_second) + 1e-9 * double(now.tv_nsec - first_nanosecond) > 0.5) {
    _exit(1);
  }
}

void on_save_signal(int) { save_asked = 1; }

}  // namespace

void catch_signals(bool wake) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = wake ? 0 : SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited {};
    if (sigaction(signal, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
}

bool signalled() { return caught > 0; }

void catch_save_signal() {
  struct sigaction action {};
  action.sa_handler = on_save_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, nullptr);
}

bool save_asked_for() {
  bool const asked = save_asked != 0;
  save_asked = 0;
  return asked;
}

}  // namespace folio::cli

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

}  // namespace

void catch_signals(bool wake) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = wake ? 0 : SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

bool signalled() { return caught > 0; }

}  // namespace folio::cli

// Ctrl-C, SIGTERM and SIGHUP (a terminal that went away): the first asks the work to end where it can be taken up
// again, another, more than half a second later, ends the program at once with exit code 1. What comes sooner is the
// same wish: `timeout` signals a process and then its group. SIGUSR1 asks for a save, and the work goes on.
#pragma once

namespace folio::cli {

/// What whoever started the program had set to be ignored stays so: SIGHUP under nohup, SIGINT behind a script's &.
/// A call that waits for input goes on waiting after a signal; with `wake` it returns instead.
void catch_signals(bool wake = false);
bool signalled();

/// From now on SIGUSR1 is caught too; without it the signal ends the process.
void catch_save_signal();
/// Was a save asked for since this was asked last?
bool save_asked_for();

}  // namespace folio::cli

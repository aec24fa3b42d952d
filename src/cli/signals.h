// Ctrl-C and SIGTERM: the first asks the work to end where it can be taken up again, the second ends the program at
// once with exit code 1.
#pragma once

namespace folio::cli {

void catch_signals();
bool signalled();

}  // namespace folio::cli

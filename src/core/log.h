// Messages to the person: one place (stderr), so that they never mix with results. The library reports through this
// and never prints; main chooses how much is shown.
#pragma once

#include <string>

namespace folio {

enum class Level { debug, info, warning };

void say(Level, std::string const& sentence);
inline void say(std::string const& sentence) { say(Level::info, sentence); }
void set_quiet(bool);                            // only warnings
void set_progress_line_eraser(void (*erase)());  // called before a message, so that it does not land in a progress line

}  // namespace folio

// Messages to the person: one place (stderr), so that they never mix with results. The library reports through this
// and never prints; main chooses how much is shown.
#pragma once

#include <string>
#include <string_view>

namespace folio {

enum class Level { debug, info, good, warning, bad };  // the last three with a mark: [ok], [!], [x]

void say(Level, std::string const& sentence);
inline void say(std::string const& sentence) { say(Level::info, sentence); }
/// The text without control characters but line end and tab ('?' stands for each): what came from outside must not
/// steer a terminal. say() and main pass all they print through it.
std::string printable(std::string_view text);

void set_quiet(bool);  // only warnings and what is bad, and no progress line
bool is_quiet();
void set_progress_line_eraser(void (*erase)());  // called before a message, so that it does not land in a progress line

}  // namespace folio

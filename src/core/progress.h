// A progress line on stderr: on a terminal one line, rewritten at most four times a second, fields falling away from
// the right where the terminal is narrow; elsewhere the same line every 60 s. The first comes after as long, so that
// work that is soon done shows none. And what the terminal can do.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace folio {

struct Terminal {                // of stderr (and stdout, where it says so)
  bool is_terminal = false;      // stderr
  bool out_is_terminal = false;  // stdout
  bool colour = false;           // NO_COLOR unset, TERM not dumb, a terminal
  bool out_colour = false;       // the same for stdout
  bool utf8 = false;             // by LC_ALL, LC_CTYPE, LANG
  int width = 80;                // columns
};
Terminal terminal();

class Progress {
 public:
  explicit Progress(bool enabled = true);  // --quiet disables it too
  ~Progress();
  Progress(Progress const&) = delete;
  bool due() const;  // whether show() would print now: spare the work of making the fields
  /// Fields, most important first: the last fall away where the terminal is narrow. places[i] is where field i stands
  /// in the line (0 is leftmost); without it the line has the order of importance.
  void show(std::vector<std::string> const& fields, std::vector<size_t> const& places = {});
  void finish();  // ends the line

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_, terminal_, shown_ = false;
  Clock::time_point last_ = Clock::now();  // when it was made, then when a line was shown
};

/// The line that show() draws in `width` columns.
std::string fit_line(std::vector<std::string> const& fields, std::vector<size_t> const& places, size_t width);

std::string format_duration(double seconds);  // 53 s, 12 min, 2 h 23 min
std::string format_count(double n);           // 9.6k, 81.9M
std::string format_rate(double rate);         // 4.6e-4
std::string format_bytes(double n);           // 12.3 MiB

}  // namespace folio

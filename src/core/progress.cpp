#include "core/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace folio {

namespace {

using namespace std::chrono_literals;

std::string_view variable(char const* name) {
  char const* value = std::getenv(name);
  return value ? value : "";
}

int columns() {
  winsize size{};
  for (int file : {STDERR_FILENO, STDOUT_FILENO})
    if (::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  std::string_view const text = variable("COLUMNS");
  int width = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  return error == std::errc{} && end == text.data() + text.size() && width >= 20 && width <= 1000 ? width : 80;
}

size_t width_of(std::string_view text) {  // characters of UTF-8
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

// The line on the terminal, if there is one: messages erase it first (core/log.h).
std::mutex mutex;
size_t on_screen = 0;

void draw(std::string const& line) {  // blanks, not an escape, cover what was there: TERM=dumb has none
  size_t const width = width_of(line);
  std::string const cover(on_screen > width ? on_screen - width : 0, ' ');
  std::string const text = '\r' + line + cover + (line.empty() ? "\r" : "");
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  on_screen = width;
}

void erase() {
  std::lock_guard const lock(mutex);
  if (on_screen > 0) draw("");
}

std::string joined(std::vector<std::string> const& fields, std::vector<size_t> const& chosen) {
  std::string line;
  for (size_t i : chosen) line += (line.empty() ? "" : "  ") + fields[i];
  return line;
}

}  // namespace

Terminal terminal() {
  Terminal t;
  t.is_terminal = ::isatty(STDERR_FILENO) == 1;
  t.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string_view const term = variable("TERM");
  bool const wanted = variable("NO_COLOR").empty() && !term.empty() && term != "dumb";
  t.colour = wanted && t.is_terminal;
  t.out_colour = wanted && t.out_is_terminal;
  std::string locale;
  for (char const* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (locale.empty()) locale = variable(name);
  std::ranges::transform(locale, locale.begin(), [](unsigned char c) { return std::tolower(c); });
  t.utf8 = locale.find("utf-8") != locale.npos || locale.find("utf8") != locale.npos;
  t.width = columns();
  return t;
}

std::string fit_line(std::vector<std::string> const& fields, std::vector<size_t> const& places, size_t width) {
  check(places.empty() || places.size() == fields.size(), "a progress line of {} fields has {} places", fields.size(),
        places.size());
  std::vector<size_t> chosen(fields.size());
  std::iota(chosen.begin(), chosen.end(), size_t{0});
  for (;; chosen.pop_back()) {
    std::vector<size_t> order = chosen;
    if (!places.empty()) std::ranges::sort(order, {}, [&](size_t i) { return places[i]; });
    std::string line = joined(fields, order);
    if (width_of(line) <= width || chosen.empty()) return line;
  }
}

Progress::Progress(bool enabled) : enabled_(enabled), terminal_(terminal().is_terminal) {
  if (enabled_ && terminal_) set_progress_line_eraser(erase);
}

Progress::~Progress() {
  finish();
  if (enabled_ && terminal_) set_progress_line_eraser(nullptr);
}

bool Progress::due() const {
  if (!enabled_ || is_quiet()) return false;
  return Clock::now() - last_ >= (terminal_ ? Clock::duration(250ms) : Clock::duration(60s));
}

void Progress::show(std::vector<std::string> const& fields, std::vector<size_t> const& places) {
  if (!due()) return;
  last_ = Clock::now();
  if (!terminal_) return say(fit_line(fields, places, SIZE_MAX));
  std::lock_guard const lock(mutex);
  draw(fit_line(fields, places, static_cast<size_t>(terminal().width) - 1));
  shown_ = true;
}

void Progress::finish() {
  std::lock_guard const lock(mutex);
  if (std::exchange(shown_, false) && std::exchange(on_screen, 0) > 0) std::fputc('\n', stderr);
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  int64_t const s = std::llround(std::min(seconds, 1e12));
  if (s < 60) return fmt::format("{} s", s);
  int64_t const minutes = (s + 30) / 60;
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes < int64_t{48} * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  int64_t const hours = (minutes + 30) / 60;
  return fmt::format("{} d {} h", hours / 24, hours % 24);
}

namespace {

std::string scaled(double n, double base, std::initializer_list<char const*> units, char const* gap) {
  double value = n;
  for (char const* const* unit = units.begin(); unit != units.end(); ++unit, value /= base) {
    bool const last = unit + 1 == units.end();
    double const limit = unit == units.begin() ? base - 0.5 : base - 0.05;  // what would be shown as the base itself
    if (std::abs(value) >= limit && !last) continue;
    std::string const number = unit == units.begin() ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
    return **unit ? number + gap + *unit : number;
  }
  return "?";
}

}  // namespace

std::string format_count(double n) { return std::isfinite(n) ? scaled(n, 1000, {"", "k", "M", "G", "T"}, "") : "?"; }

std::string format_rate(double rate) {
  std::string text = fmt::format("{:.1e}", rate);
  size_t const e = text.find('e');
  return text.substr(0, e) + "e" + std::to_string(std::stoi(text.substr(e + 1)));
}

std::string format_bytes(double n) {
  return std::isfinite(n) ? scaled(n, 1024, {"B", "KiB", "MiB", "GiB", "TiB"}, " ") : "?";
}

}  // namespace folio

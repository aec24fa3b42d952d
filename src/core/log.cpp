#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>

#include "core/progress.h"

namespace folio {

namespace {

std::atomic<void (*)()> erase_progress_line{nullptr};

spdlog::logger& logger() {
  static spdlog::logger& stderr_logger = [&]() -> spdlog::logger& {
    static spdlog::logger l("folio", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    l.set_pattern("%v");
    char const* level = std::getenv("FOLIO_LOG");
    l.set_level(level && std::string_view(level) == "debug" ? spdlog::level::debug : spdlog::level::info);
    return l;
  }();
  return stderr_logger;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  return out;
}

void say(Level level, std::string const& sentence) {
  static bool const colour = terminal().colour;
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::info, spdlog::level::warn, spdlog::level::err};
  static constexpr char const *kMarks[] = {"", "", "[ok] ", "[!] ", "[x] "},
                              *kColoured[] = {"", "", "\x1b[32m[ok]\x1b[0m ", "\x1b[33m[!]\x1b[0m ",
                                              "\x1b[31m[x]\x1b[0m "};
  auto const spd = kLevels[static_cast<int>(level)];
  if (!logger().should_log(spd)) return;
  if (auto* const erase = erase_progress_line.load()) erase();
  char const* const mark = (colour ? kColoured : kMarks)[static_cast<int>(level)];
  logger().log(spd, std::string_view(mark + printable(sentence)));
}

void set_quiet(bool quiet) { logger().set_level(quiet ? spdlog::level::warn : spdlog::level::info); }

bool is_quiet() { return logger().level() >= spdlog::level::warn; }

void set_progress_line_eraser(void (*erase)()) { erase_progress_line = erase; }

}  // namespace folio

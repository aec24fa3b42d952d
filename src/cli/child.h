// folio started by folio: a verb as a process of its own, whose failure ends nothing else.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/path.h"

namespace folio::cli {

class Child {
 public:
  /// Starts `folio WORDS…` with what it says appended to `log`, without the environment variables `unset` and with
  /// those of `set`. It is told to stop (SIGTERM) where this process ends first. A key pressed at the terminal reaches
  /// this process alone.
  Child(std::vector<std::string> words, std::vector<std::string> const& unset, Path const& log,
        std::map<std::string, std::string> const& set = {});
  ~Child();  // asks it to stop, and waits
  Child(Child const&) = delete;
  Child& operator=(Child const&) = delete;

  /// The exit code once it has ended, or 128 + the signal that ended it; does not wait.
  std::optional<int> ended();
  void signal(int number);
  void stop();  // SIGTERM

 private:
  pid_t pid_ = -1;
};

/// The last line of a child's log, without "folio: ".
std::string last_line(Path const& log);

}  // namespace folio::cli

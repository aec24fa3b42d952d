// The lines of a log one after the other: the log of a long run is larger than the run.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "core/path.h"

namespace folio::train {

class LogLines {
 public:
  /// From byte `from` on, where a line begins. Fault::missing where the file is not there, Fault::content for a folder.
  explicit LogLines(Path const&, uint64_t from = 0);

  /// The next whole line, without its end; false: there is none. Fault::io where reading fails.
  bool next(std::string& line);
  uint64_t at() const { return at_; }     // the byte behind it
  bool is_torn() const { return torn_; }  // what is behind the last line has no end

 private:
  Path path_;
  std::ifstream in_;  // not mapped: a run that is resumed cuts its log
  uint64_t at_;
  bool torn_ = false;
};

}  // namespace folio::train

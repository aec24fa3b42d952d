// Stop strings over a stream of bytes: what may be shown at once, and whether one of them has come. Bytes that could
// be the beginning of a stop string are held back, so a stream never shows part of one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace folio::generate {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // empty ones are refused
  std::string push(std::string_view bytes);              // what is certain to be text
  bool found() const { return found_; }                  // the text ended before the stop string
  std::string finish();                                  // what was held back, where none came

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace folio::generate

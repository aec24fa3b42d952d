#include "generate/stop.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace folio::generate {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (std::string const& s : stops_) check(!s.empty(), Fault::value, "--stop \"\": give a text of one byte or more");
}

std::string StopStrings::push(std::string_view bytes) {
  if (found_) return "";
  held_ += bytes;
  size_t first = std::string::npos;
  for (std::string const& s : stops_) first = std::min(first, held_.find(s));
  if (first != std::string::npos) {
    found_ = true;
    std::string out = held_.substr(0, first);
    held_.clear();
    return out;
  }
  size_t keep = 0;  // the longest end of held_ that begins a stop string
  for (std::string const& s : stops_)
    for (size_t n = std::min(s.size() - 1, held_.size()); n > keep; --n)
      if (held_.compare(held_.size() - n, n, s, 0, n) == 0) {
        keep = n;
        break;
      }
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StopStrings::finish() { return std::exchange(held_, {}); }

}  // namespace folio::generate

// Stretches of a run as rows of coloured bars with a word in each: what it was in, from when to when.
#pragma once

#include <string>
#include <vector>

namespace folio::report {

struct Stretch {
  double from, to;
  std::string word;     // left out where it does not fit
  std::string classes;  // of the bar: ph0 to ph4, usual, g1 to g4 with ok, warn or bad
  bool on_dark = false;
};
struct RibbonRow {
  std::string label;
  std::vector<Stretch> stretches;
};

inline constexpr int kRibbonRow = 23;  // px
/// What fills a drawing of rows.size() · kRibbonRow px; the right edge is at `last`.
std::string ribbon(std::vector<RibbonRow> const& rows, double last);

}  // namespace folio::report

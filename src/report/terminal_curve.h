// The loss curve that a run draws in the terminal when it ends: up to 62 × 7 cells of braille (2 × 4 dots each),
// logarithmic upwards, validation two dots thick, each line labelled where it ends. Without UTF-8: `*` and `.`, one
// cell a point.
#pragma once

#include <string>
#include <vector>

namespace folio::report {

struct Point {
  double x, y;
};

/// Points by rising x; those that are not finite or not positive are left out. Empty where nothing can be drawn.
/// `width`: columns of the terminal; more than 80 are not used, fewer than 30 not kept to.
std::string terminal_curve(std::vector<Point> const& train, std::vector<Point> const& val, bool utf8, int width = 80);

}  // namespace folio::report

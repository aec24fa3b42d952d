// A small writer of line charts as SVG that knows no model. One drawing serves every width: texts and ticks stand at
// per cent of the plot and keep their size; lines lie in an inner box of 2000 × 1000 that stretches, with strokes that
// do not. Colours are the sheet's (look.css): light and dark, and the classes a, b, c, d, more for lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/terminal_curve.h"

namespace folio::report {

struct Axis {
  double low, high;
  double at(double v) const { return (v - low) / (high - low); }  // 0 to 1
};

/// 1, 2 or 5 times a power of ten: at most `most` of them lie in the range, which is above 0.
double round_step(double range, double most);

class Plot {
 public:
  Plot(Axis x, Axis y) : x_(x), y_(y) {}
  void x_tick(double at, std::string const& label, bool wide = false);  // wide: without its label on a phone
  void y_tick(double at, std::string const& label);                     // with a line across
  /// Through the points, by rising x; one whose y is not finite ends the line. `key`: classes, "a" or "more dash1".
  void line(std::string const& key, std::vector<Point> const& points);
  void on_line(std::string const& key, Point at, std::string const& text);  // a letter that names a line where it is
  void end_label(std::string const& key, double y, std::string const& text);
  /// What lies in the plot; `height` in px keeps the end labels apart.
  std::string content(int height) const;

 private:
  struct End {
    double at;  // per cent from the top, as a share
    std::string key, text;
  };
  Axis x_, y_;
  std::string back_, inner_, over_;
  std::vector<End> ends_;
};

}  // namespace folio::report

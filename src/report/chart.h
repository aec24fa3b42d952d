// What a drawing shows, said once, for the terminal and for an SVG file: lines over an x axis, bars, a grid of shares.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/svg_file.h"

namespace folio::report {

struct ChartLine {
  std::string name;           // at most 13 letters, which fit beside the plot on a phone
  std::vector<Point> points;  // in any order of x: a path
  bool background = false;    // grey and without a letter: a contour, a reference
};

struct LineChart {
  std::string caption;  // quantity and unit; "log scale" where it is
  std::string x_unit;   // behind the last tick
  std::vector<ChartLine> lines;
  bool log_x = false, log_y = false;
  std::optional<double> low = {}, high = {};  // of y; else what the points need, and 0 where they are linear and above
  int rows = 11;                              // of the terminal's picture
  std::string (*y_label)(double) = nullptr;   // of a tick; null: as few digits as it has
};

struct Bar {
  std::string label;    // at most 16 letters
  double value;         // at least 0
  std::string text;     // the value as it is shown
  bool strong = false;  // the one to look at
};
struct BarChart {
  std::string caption;
  std::vector<Bar> bars;
  double most = 0;  // what fills the width; 0: the largest
};

struct GridChart {  // shares from 0 to 1 as shades
  std::string caption;
  std::vector<std::string> rows;  // labels, at most 12 letters
  std::vector<double> shares;     // (rows, columns); NaN: an empty cell
  size_t columns() const { return shares.size() / rows.size(); }
};

/// At most `width` columns wide. Without UTF-8: letters for lines, # for bars.
std::string terminal_chart(LineChart const&, bool utf8, size_t width = 80);
std::string terminal_chart(BarChart const&, bool utf8, size_t width = 80);
std::string terminal_chart(GridChart const&, bool utf8, size_t width = 80);

Panel svg_panel(LineChart const&);
Panel svg_panel(BarChart const&);
Panel svg_panel(GridChart const&);

/// In a page: a minus and no hyphen, before digits.
std::string with_minus(std::string text);

/// The scales of a line chart, logarithms where it is logarithmic, and where its letters stand.
struct Scales {
  Axis x, y;
  struct Tick {
    double at;  // 0 to 1
    std::string label;
  };
  std::vector<Tick> x_ticks, y_ticks;
  std::vector<std::vector<Point>> lines;  // in shares of the plot; not finite where there is nothing to draw
  std::vector<Point> letters;             // a place on each line, far from the other lines
  std::vector<std::string> names;         // "A SGD"; the name alone where no other line has one
};
Scales scales_of(LineChart const&);

}  // namespace folio::report

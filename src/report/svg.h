// A small writer of line charts as SVG that knows no model. One drawing serves every width: texts and ticks stand at
// per cent of the plot and keep their size; lines lie in an inner box of 2000 × 1000 that stretches, with strokes that
// do not. Colours are the sheet's (look.css): light and dark, and the classes a, b, c, d, more for lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/terminal_curve.h"

namespace folio::report {

struct Axis {
  double low, high;
  bool log = false;
  double at(double v) const;  // 0 to 1 within; far below where the axis is logarithmic and v is not positive
};

/// 1, 2 or 5 times a power of ten: at most `most` of them lie in the range, which is above 0.
double round_step(double range, double most);

/// Ticks of an axis, at most `most` and one more: 1-2-5 steps from 0 on; of a logarithmic axis 1, 2 and 5 of each
/// decade, denser under two decades, sparser above three.
std::vector<double> ticks_of(Axis const&, double most);

/// An axis around positive values of which at least one is finite, with a little room; NaN is passed over.
Axis log_axis(double least, double most);

class Plot {
 public:
  Plot(Axis x, Axis y) : x_(x), y_(y) {}
  void x_tick(double at, std::string const& label, bool wide = false);  // wide: without its label on a phone
  void y_tick(double at, std::string const& label);                     // with a line across
  /// Through the points, by rising x; one whose y is not finite ends the line. `key`: classes, "a" or "more dash1".
  void line(std::string const& key, std::vector<Point> const& points);
  void on_line(std::string const& key, Point at, std::string const& text);  // a letter that names a line where it is
  void end_label(std::string const& key, double y, std::string const& text);
  /// Up the side as ticks_of() has them; along the foot where they are given, every other one wide from five on.
  void ticks(double most_up, std::vector<std::pair<double, std::string>> const& along);
  void dots(std::string const& key, std::vector<Point> const& points);
  /// From least to greatest at each x; what is not finite ends a piece.
  struct Span {
    double x, low, high;
  };
  void band(std::string const& key, std::vector<Span> const& spans);
  void reference(double y);                      // dashed
  void usual(double low, double high);           // a field behind everything
  void event(double x);                          // a line upwards
  void notch(std::string const& key, double x);  // a small triangle on the foot
  void ring(std::string const& key, Point at);
  void cross(std::string const& key, double x);  // at the upper edge: from here on there is no value
  /// Words in the plot, at shares of it from the left and from the top, moved by px. `classes`: e (ends there), m (its
  /// middle), wide, narrow, key and a run's.
  struct Place {
    double x, y;
    int dx = 0, dy = 0;
  };
  void say(Place at, std::string const& text, std::string const& classes = "say");
  Axis const& x() const { return x_; }
  Axis const& y() const { return y_; }
  /// What lies in the plot; `height` in px keeps the end labels apart.
  std::string content(int height) const;

 private:
  struct Spot {
    int64_t x, y;
  };
  Spot spot(double x, double y) const;  // in the inner box, or a little outside
  struct End {
    double at;  // per cent from the top, as a share
    std::string key, text;
  };
  Axis x_, y_;
  std::string back_, inner_, over_;
  std::vector<End> ends_;
};

}  // namespace folio::report

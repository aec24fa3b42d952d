// Values by row and step as nine classes of equal steps of the logarithm, which several maps share.
#pragma once

#include <string>
#include <vector>

#include "report/words.h"

namespace folio::report {

struct HeatScale {
  double low = 1, high = 10;     // what lies below and above is of the first and the last class
  int class_of(double v) const;  // 0 to 8; −1 where v is not finite
};
/// From the first to the 99th percentile of what is finite and above 0, rounded to two digits.
HeatScale heat_scale(std::vector<double> values);
std::string legend_of(HeatScale const&, std::string const& text);  // markup

struct HeatMap {
  std::vector<std::string> rows;            // names, the lowest first
  std::vector<std::vector<double>> values;  // of each row, by rising step, all of one length
  double first = 0, last = 1;               // steps at the left and the right edge
  TickLabels ticks;
};
/// What fills a drawing; at the right of each row its last value.
std::string content_of(HeatMap const&, HeatScale const&);

}  // namespace folio::report

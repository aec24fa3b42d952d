// A long series for a chart a few hundred px wide: of each column the least, the mean and the greatest, so that one
// spike in a hundred thousand steps stays to be seen.
#pragma once

#include <vector>

#include "report/svg.h"

namespace folio::report {

struct Columns {
  std::vector<Point> mean;
  std::vector<Plot::Span> range;
};

/// At most `most` columns of points by rising x, each of as many points (or one more). What is not finite is passed
/// over, and a column of nothing else is NaN.
Columns columns_of(std::vector<Point> const& points, size_t most);

}  // namespace folio::report

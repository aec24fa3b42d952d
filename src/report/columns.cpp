#include "report/columns.h"

#include <algorithm>
#include <cmath>

namespace folio::report {

Columns columns_of(std::vector<Point> const& points, size_t most) {
  Columns out;
  size_t const count = std::min(points.size(), most);
  for (size_t c = 0; c < count; ++c) {
    size_t const first = c * points.size() / count, end = (c + 1) * points.size() / count;
    double sum = 0, n = 0, low = INFINITY, high = -INFINITY, x = 0;
    for (size_t i = first; i < end; ++i) {
      x += points[i].x / double(end - first);
      if (!std::isfinite(points[i].y)) continue;
      sum += points[i].y, n += 1;
      low = std::min(low, points[i].y), high = std::max(high, points[i].y);
    }
    out.mean.push_back({x, n > 0 ? sum / n : NAN});
    out.range.push_back({x, n > 0 ? low : NAN, n > 0 ? high : NAN});
  }
  return out;
}

}  // namespace folio::report

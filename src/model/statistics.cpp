#include "model/statistics.h"

#include <algorithm>
#include <cmath>

namespace folio::model {

namespace {
constexpr int64_t kPiece = 1 << 18;  // elements read at once
}

TensorStatistics statistics_of(SafetensorsFile const& file, StoredTensor const& t) {
  TensorStatistics s{.mean = NAN, .deviation = NAN, .min = NAN, .max = NAN};
  double squares = 0;  // Σ (x − mean)², joined piece by piece (Chan, Golub, LeVeque 1979, eq. 2.1)
  std::vector<double> piece;
  for (int64_t first = 0; first < t.count; first += kPiece) {
    piece.resize(static_cast<size_t>(std::min(kPiece, t.count - first)));
    file.read(t, first, std::span(piece));
    s.non_finite += static_cast<int64_t>(std::erase_if(piece, [](double v) { return !std::isfinite(v); }));
    if (piece.empty()) continue;
    auto const n = static_cast<double>(piece.size());
    double sum = 0, here = 0;
    for (double const v : piece) sum += v;
    for (double const v : piece) here += (v - sum / n) * (v - sum / n);
    auto const [low, high] = std::ranges::minmax(piece);
    bool const begun = s.count > 0;
    auto const before = static_cast<double>(s.count);
    double const apart = begun ? sum / n - s.mean : 0;
    squares += here + apart * apart * before * n / (before + n);
    s.mean = begun ? s.mean + apart * n / (before + n) : sum / n;
    s.min = begun ? std::min(s.min, low) : low;
    s.max = begun ? std::max(s.max, high) : high;
    s.count += static_cast<int64_t>(piece.size());
  }
  if (s.count > 0) s.deviation = std::sqrt(squares / static_cast<double>(s.count));
  return s;
}

}  // namespace folio::model

// Early stopping: a run ends when so many evaluations in a row have not improved the loss (Prechelt 1998).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace folio::train {

struct Patience {                                            // what is carried from evaluation to evaluation
  double to_beat = std::numeric_limits<double>::infinity();  // the loss of the last that improved
  int64_t waited = 0;                                        // evaluations since
};

/// Takes in an evaluation. Only a loss more than `least` below the one to beat improves; one that is not finite does
/// not.
inline void take_in(Patience& p, double loss, double least) {
  bool const improved = std::isfinite(loss) && loss < p.to_beat - least;
  p.waited = improved ? 0 : p.waited + 1;
  if (improved) p.to_beat = loss;
}

}  // namespace folio::train

#include "generate/candidates.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace folio::generate {

void fill(std::vector<Candidate>& out, std::span<float const> logits) {
  out.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    check(logits[i] < INFINITY, Fault::content,
          "the model gives token {} the logit {}: its weights are broken; evaluate it, or take an earlier checkpoint",
          i, logits[i]);
    out[i] = {static_cast<int32_t>(i), logits[i]};
  }
}

double weigh(std::vector<Candidate> const& candidates, std::vector<double>& weights) {
  double top = -INFINITY, sum = 0;
  for (Candidate const& c : candidates) top = std::max(top, double(c.logit));
  weights.resize(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) sum += weights[i] = std::exp(candidates[i].logit - top);
  return sum;
}

}  // namespace folio::generate

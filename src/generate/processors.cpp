#include "generate/processors.h"

#include <algorithm>

namespace folio::generate {

void repetition_penalty(std::vector<Candidate>& candidates, std::span<int32_t const> so_far, double penalty,
                        bool sign_aware) {
  if (penalty == 1) return;
  std::vector<bool> seen(candidates.size());
  for (int32_t id : so_far) {
    if (seen[size_t(id)]) continue;
    seen[size_t(id)] = true;
    float& logit = candidates[size_t(id)].logit;
    logit = static_cast<float>(sign_aware && logit < 0 ? logit * penalty : logit / penalty);
  }
}

void temperature(std::vector<Candidate>& candidates, double t) {
  if (t == 1 || candidates.empty()) return;
  double const top = std::ranges::min(candidates, likelier).logit;  // taken off, so that no temperature overflows
  for (Candidate& c : candidates) c.logit = static_cast<float>((c.logit - top) / t);
}

void top_k(std::vector<Candidate>& candidates, int64_t k) {
  size_t const keep = std::min(candidates.size(), static_cast<size_t>(k));
  std::partial_sort(candidates.begin(), candidates.begin() + std::ptrdiff_t(keep), candidates.end(), likelier);
  candidates.resize(keep);
}

void top_p(std::vector<Candidate>& candidates, double p) {
  if (p >= 1) return;
  std::vector<double> weights;
  double const goal = p * weigh(candidates, weights);
  // Sorted a stretch at a time: the nucleus is mostly a few tokens of many.
  size_t sorted = 0, kept = 0;
  for (double reached = 0; kept < candidates.size() && (kept == 0 || reached < goal); ++kept) {
    if (kept == sorted) {
      sorted = std::min(candidates.size(), std::max<size_t>(64, sorted * 4));
      std::partial_sort(candidates.begin() + std::ptrdiff_t(kept), candidates.begin() + std::ptrdiff_t(sorted),
                        candidates.end(), likelier);
      weigh(candidates, weights);
    }
    reached += weights[kept];
  }
  candidates.resize(kept);
}

}  // namespace folio::generate

#include "generate/sampler.h"

#include <algorithm>

#include "core/random.h"
#include "generate/processors.h"

namespace folio::generate {

double sampling_draw(uint64_t seed, uint64_t sample, int64_t position) {
  auto word = [&](uint64_t i) {
    return uint64_t{random_word(seed, Domain::sampling, static_cast<uint32_t>(position), 0, 0, 4 * sample + i)};
  };
  return double((word(0) << 32 | word(1)) >> 11) * 0x1p-53;
}

int32_t Sampler::pick(std::span<float const> logits, std::span<int32_t const> so_far, uint64_t sample,
                      int64_t position) {
  fill(candidates_, logits);
  repetition_penalty(candidates_, so_far, options_.repetition_penalty, options_.penalty_form == "sign-aware");
  if (options_.greedy) return std::min_element(candidates_.begin(), candidates_.end(), likelier)->id;
  temperature(candidates_, options_.temperature);
  if (options_.top_k > 0) top_k(candidates_, options_.top_k);
  top_p(candidates_, options_.top_p);
  std::ranges::sort(candidates_, {},
                    &Candidate::id);  // one order for every choice: a top-k of all tokens changes nothing
  double const goal = sampling_draw(options_.seed, sample, position) * weigh(candidates_, weights_);
  double reached = 0;
  for (size_t i = 0; i < candidates_.size(); ++i)
    if ((reached += weights_[i]) > goal) return candidates_[i].id;
  size_t last = candidates_.size() - 1;  // rounding of the sum: the last with any weight
  while (last > 0 && weights_[last] == 0) --last;
  return candidates_[last].id;
}

}  // namespace folio::generate

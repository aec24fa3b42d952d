// Chooses the next token of a row of logits. A draw comes from (seed, number of the sample, position) alone: never from
// the row of a batch or from what was drawn before, so a text is the same alone and in a batch.
#pragma once

#include "generate/candidates.h"
#include "generate/options.h"

namespace folio::generate {

class Sampler {
 public:
  explicit Sampler(SamplingOptions const& options) : options_(options) {}

  /// `so_far`: the whole text, prompt and new tokens; `sample`: the number of the text among those of one prompt;
  /// `position`: the place of the chosen token in the text.
  int32_t pick(std::span<float const> logits, std::span<int32_t const> so_far, uint64_t sample, int64_t position);

 private:
  SamplingOptions options_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

/// Uniform in [0, 1), 53 bits: words 4·sample and 4·sample + 1 at this position.
double sampling_draw(uint64_t seed, uint64_t sample, int64_t position);

}  // namespace folio::generate

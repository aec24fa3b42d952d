// The tokens that may come next, with their logits. Processors change or drop them; the sampler draws from what is
// left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace folio::generate {

struct Candidate {
  int32_t id;
  float logit;
};

// Likelier first; equal logits by lower id, so that every choice is defined.
inline bool likelier(Candidate const& a, Candidate const& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/// All tokens of a row of logits (V). Throws Fault::content where a logit is NaN or +∞: the model is broken.
void fill(std::vector<Candidate>&, std::span<float const> logits);

/// Softmax weights exp(logit − largest), not normalised, in f64; returns their sum.
double weigh(std::vector<Candidate> const&, std::vector<double>& weights);

}  // namespace folio::generate

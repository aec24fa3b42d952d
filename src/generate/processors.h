// What changes the candidates before the draw, in this order: repetition penalty, temperature, top-k, top-p.
#pragma once

#include "generate/candidates.h"

namespace folio::generate {

/// Tokens of `so_far` become less likely (Keskar et al. 2019, "CTRL", §4.1). Sign-aware: a positive logit is divided by
/// the penalty, a negative one multiplied. Otherwise every one is divided, as first published, which makes negative
/// logits likelier. `candidates` holds token i at place i.
void repetition_penalty(std::vector<Candidate>& candidates, std::span<int32_t const> so_far, double penalty,
                        bool sign_aware);

void temperature(std::vector<Candidate>&, double);

/// Keeps the k likeliest, likeliest first (Fan, Lewis, Dauphin 2018).
void top_k(std::vector<Candidate>&, int64_t k);

/// Keeps the fewest likeliest tokens whose probabilities reach p, likeliest first (Holtzman et al. 2020, "nucleus").
/// At least one is kept.
void top_p(std::vector<Candidate>&, double p);

}  // namespace folio::generate

// How likely a model finds each token of a text, and which others it finds likely in its place. A text beyond the
// context is read by the rule of model/window.h; each token but the first is scored once, from as many tokens before
// it as the rule gives.
#pragma once

#include <functional>
#include <span>

#include "model/gpt2.h"

namespace folio::model {

struct Rival {  // a token that does not stand here
  int32_t id;
  double logprob;
};

struct ScoreOptions {
  int64_t top = 3;      // rivals a token, at most V − 1
  int64_t slide = 0;    // tokens that a full window drops; 0: half of the context
  int64_t rows = 1024;  // tokens in one call of the model, at most (a longer window raises it)
};

/// Of n tokens. Entry 0 stands for the first token, which nothing predicts: NaN, −1, and rivals that are not set.
struct TextScores {
  std::vector<double> logprobs;  // (n) nats
  std::vector<int64_t> ranks;    // (n) 0: the likeliest; ties by the lower id
  std::vector<Rival> rivals;     // (n, top) the likeliest first; ties by the lower id
  int64_t top = 0;
  double loss_sum = 0;  // −Σ logprobs of tokens 1 … n − 1

  int64_t scored() const { return static_cast<int64_t>(logprobs.size()) - 1; }
  double mean_loss() const { return loss_sum / static_cast<double>(scored()); }
  std::span<Rival const> rivals_of(size_t token) const {
    return std::span(rivals).subspan(token * static_cast<size_t>(top), static_cast<size_t>(top));
  }
};

/// What scoring `tokens` of them takes of the backend: its own layout, without the memory.
MemoryRole plan_score(Backend&, Config const&, DType, int64_t tokens, ScoreOptions const&);
/// And in the process' heap: what TextScores holds, and the logits that rivals are sought in.
MemoryRole plan_scores(Config const&, DType, int64_t tokens, ScoreOptions const&);

/// Scores `ids`, at least two of them. Memory: activations of `rows` tokens, and logits in chunks. `progress` gets the
/// number of tokens scored so far. Throws Fault::content for fewer tokens, for an id outside the vocabulary, and where
/// the model gives a token no finite probability; Fault::value for a top or slide that is too large.
TextScores score(Backend&, Weights const&, std::span<int32_t const> ids, ScoreOptions const&,
                 std::function<void(int64_t scored)> const& progress = {});

}  // namespace folio::model

// The loss of a model over batches that a callback hands over: no dropout, sums in f64, memory of one layer. `eval`
// uses it, and `train` on the trainer's weights.
#pragma once

#include <functional>
#include <span>

#include "core/api.h"
#include "model/gpt2.h"

namespace folio::model {

struct FOLIO_API EvalResult {
  double loss_sum = 0;                               // Σ weight · −log p, nats
  double weight = 0;                                 // Σ weight of the counted tokens
  int64_t tokens = 0;                                // counted
  double loss() const { return loss_sum / weight; }  // nats a token; NaN where nothing counts
  double perplexity() const;                         // e^loss
  /// Loss in bits a byte of the text that the counted tokens spell: loss_sum / ln 2 / bytes.
  double bits_per_byte(int64_t bytes) const;
};

struct EvalBatch {                   // 1 to B sequences of T; read before the callback is called again
  std::span<int32_t const> tokens;   // (b, T)
  std::span<int32_t const> targets;  // (b, T); −1 counts nothing
  std::span<float const> weights;    // (b, T); empty: 1 each
};

class FOLIO_API Evaluator {
 public:
  /// Plans and takes its memory: batches of at most B sequences of T tokens, computed in `dtype`.
  Evaluator(Backend&, Config const&, int64_t B, int64_t T, DType);

  /// What such an evaluator takes: its own layout, without the memory.
  static MemoryRole plan(Backend&, Config const&, int64_t B, int64_t T, DType);

  /// Calls `next` until it returns false. The weights' config is that of the constructor, but for dropout. Throws
  /// Fault::content for an id outside the vocabulary. Afterwards another user of the backend lends its own scratch
  /// again.
  EvalResult operator()(Weights const&, std::function<bool(EvalBatch&)> const& next);

  int64_t batch() const { return most_; }
  int64_t context() const { return tokens_.shape[1]; }

 private:
  struct OnlyPlanned {};
  [[gnu::visibility("hidden")]] Evaluator(OnlyPlanned, Backend&, Config const&, int64_t B, int64_t T, DType);
  [[gnu::visibility("hidden")]] void lay_out(Config const&, int64_t B, int64_t T, DType);
  [[gnu::visibility("hidden")]] void add(Weights const&, EvalBatch const&, EvalResult&);

  Backend& backend_;
  Arena arena_{"evaluation"};
  int64_t most_ = 0;
  Acts acts_;
  Tensor tokens_;     // (B, T) i32
  Tensor positions_;  // (B, T) i32
  Tensor targets_;    // (B, T) i32
  Tensor scores_;     // (B, T, 3) f64
  Tensor scratch_;    // (scratch_bytes) u8
  std::vector<double> scores_here_;
};

}  // namespace folio::model

#include "model/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace folio::model {
namespace {

constexpr int64_t kChunkLogits = int64_t{1} << 23;  // logits that exist at once: 32 MiB of f32

}  // namespace

double EvalResult::perplexity() const { return std::exp(loss()); }
double EvalResult::bits_per_byte(int64_t bytes) const {
  return loss_sum / std::numbers::ln2 / static_cast<double>(bytes);
}

Evaluator::Evaluator(OnlyPlanned, Backend& backend, Config const& c, int64_t B, int64_t T, DType dtype)
    : backend_(backend), most_(B) {
  check(B >= 1 && 1 <= T && T <= c.context, "an evaluation of {} sequences of {} tokens with a context of {}", B, T,
        c.context);
  lay_out(c, B, T, dtype);
}

MemoryRole Evaluator::plan(Backend& backend, Config const& c, int64_t B, int64_t T, DType dtype) {
  return Evaluator(OnlyPlanned(), backend, c, B, T, dtype).arena_.planned();
}

Evaluator::Evaluator(Backend& backend, Config const& c, int64_t B, int64_t T, DType dtype)
    : Evaluator(OnlyPlanned(), backend, c, B, T, dtype) {
  arena_.allocate(backend);
  lay_out(c, B, T, dtype);
  std::vector<int32_t> positions(static_cast<size_t>(B * T));
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(static_cast<int64_t>(i) % T);
  backend.upload(positions_, positions.data());
  scores_here_.resize(static_cast<size_t>(scores_.size()));
}

void Evaluator::lay_out(Config const& c, int64_t B, int64_t T, DType dtype) {
  acts_ = lay_out_evaluation_acts(arena_, c, dtype, B, T);
  tokens_ = arena_.take("tokens", DType::i32, {B, T});
  positions_ = arena_.take("positions", DType::i32, {B, T});
  targets_ = arena_.take("targets", DType::i32, {B, T});
  scores_ = arena_.take("scores", DType::f64, {B, T, 3});
  Limits const limits{.dtype = dtype,
                      .rows = B * T,
                      .sequences = B,
                      .context = T,
                      .channels = c.channels,
                      .heads = c.heads,
                      .vocab = c.vocab,
                      .chunk = std::clamp<int64_t>(kChunkLogits / c.vocab, 1, B * T)};
  scratch_ = arena_.take("scratch", DType::u8, {static_cast<int64_t>(backend_.scratch_bytes(limits))});
}

EvalResult Evaluator::operator()(Weights const& w, std::function<bool(EvalBatch&)> const& next) {
  backend_.lend_scratch(scratch_);
  EvalResult result;
  for (EvalBatch batch; next(batch); batch = {}) add(w, batch, result);
  return result;
}

void Evaluator::add(Weights const& w, EvalBatch const& batch, EvalResult& result) {
  int64_t const T = context(), size = static_cast<int64_t>(batch.tokens.size()), B = size / T;
  check(1 <= B && B <= most_ && B * T == size && batch.targets.size() == batch.tokens.size(),
        "an evaluation batch of {} tokens and {} targets; 1 to {} sequences of {} planned", size, batch.targets.size(),
        most_, T);
  check(batch.weights.empty() || batch.weights.size() == batch.targets.size(), "{} weights for {} targets",
        batch.weights.size(), batch.targets.size());
  check_ids(batch.tokens, 0, w.config.vocab);
  check_ids(batch.targets, -1, w.config.vocab);
  Tensor const tokens = tokens_.slice(0, B), targets = targets_.slice(0, B), scores = scores_.slice(0, B);
  backend_.upload(tokens, batch.tokens.data());
  backend_.upload(targets, batch.targets.data());
  Acts const acts = first_sequences(acts_, B);
  Tensor const hidden = forward(
      backend_, w, acts, {.tokens = tokens, .positions = positions_.slice(0, B), .sequences = {}, .targets = {}});
  token_loss(backend_, w, acts, scores, hidden, targets);
  backend_.download(scores_here_.data(), scores);
  for (size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] < 0) continue;
    double const weight = batch.weights.empty() ? 1 : batch.weights[i];
    result.loss_sum -= weight * scores_here_[3 * i];
    result.weight += weight;
    ++result.tokens;
  }
}

}  // namespace folio::model

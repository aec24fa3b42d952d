#include "data/windows.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace folio::data {

double fill_window(Split const& split, int64_t start, int64_t row, int64_t T, HostBatch& batch) {
  int64_t const targets = std::clamp<int64_t>(split.tokens() - 1 - start, 0, T);  // one less than the ids to read
  auto const part = [&](auto& values) {
    return std::span(values).subspan(static_cast<size_t>(row * T), static_cast<size_t>(T));
  };
  auto const tokens = part(batch.tokens), target = part(batch.targets);
  auto const weight = part(batch.token_weights);
  auto const n = static_cast<size_t>(targets);
  std::ranges::fill(tokens, 0);
  std::ranges::fill(target, -1);
  std::ranges::fill(weight, 0.0f);
  if (n == 0) return 0;
  split.read(start, tokens.first(n));
  split.read(start + 1, target.first(n));
  std::ranges::fill(weight.first(n), 1.0f);
  if (!split.masked()) return static_cast<double>(n);
  std::vector<uint8_t> mask(n);
  split.read_mask(start + 1, mask);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    if (mask[i]) {
      sum += 1;
    } else {
      target[i] = -1;
      weight[i] = 0;
    }
  }
  return sum;
}

double window_weight(Split const& split, int64_t start, int64_t T) {
  int64_t const targets = std::clamp<int64_t>(split.tokens() - 1 - start, 0, T);
  if (!split.masked()) return static_cast<double>(targets);
  std::vector<uint8_t> mask(static_cast<size_t>(targets));
  split.read_mask(start + 1, mask);
  return static_cast<double>(std::ranges::count(mask, uint8_t{1}));
}

EvalWindows::EvalWindows(Split const& split, int64_t B, int64_t T, int64_t batches) : split_(split), B_(B), T_(T) {
  check(B > 0 && T > 0 && batches >= 0, "evaluation in {} batches of {} × {}", batches, B, T);
  check(split.tokens() >= 2, Fault::content,
        "the split {} has {} token: a loss needs one to predict and one before it; hold out more text", split.name(),
        split.tokens());
  all_ = (split.tokens() - 2) / T + 1;
  windows_ = batches == 0 || batches > (all_ - 1) / B ? all_ : batches * B;
}

void EvalWindows::batch(int64_t number, HostBatch& batch) const {
  check(number >= 0 && number < batches(), "evaluation batch {} of {}", number, batches());
  auto const size = static_cast<size_t>(B_ * T_);
  batch.tokens.resize(size);
  batch.targets.resize(size);
  batch.token_weights.resize(size);
  batch.sequences.resize(static_cast<size_t>(B_));
  batch.total_weight = 0;
  for (int64_t row = 0; row < B_; ++row) {
    int64_t const j = number * B_ + row;
    auto const spread = static_cast<int64_t>(static_cast<__int128>(j) * all_ / windows_);
    int64_t const start = j < windows_ ? spread * T_ : split_.tokens();
    batch.total_weight += fill_window(split_, start, row, T_, batch);
    batch.sequences[static_cast<size_t>(row)] = j;
  }
}

}  // namespace folio::data

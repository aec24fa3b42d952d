// All micro-batches of an optimizer step, as the batcher gives them and the trainer uploads them.
#pragma once

#include <cstdint>
#include <vector>

namespace folio::data {

struct HostBatch {
  std::vector<int32_t> tokens;       // (A, B, T)
  std::vector<int32_t> targets;      // (A, B, T), −1 counts nothing
  std::vector<float> token_weights;  // (A, B, T)
  std::vector<int64_t> sequences;    // (A, B), numbers in the global batch
  double total_weight = 0;           // of counted tokens, all micro-batches and ranks
};

}  // namespace folio::data

// Dropout's factors in kernels.
#pragma once

#include "backend/cuda/device.cuh"
#include "backend/host.h"
#include "core/random.h"

namespace folio::cuda {

struct DropoutKey {  // of one call; `state` and `sequences` lie on the device and are read there
  StepState const* state = nullptr;
  int64_t const* sequences = nullptr;
  uint64_t threshold = 0;  // a word below this drops its element
  float scale = 1;         // of what is kept
  uint32_t layer = 0, site = 0;
};

/// 0, or what the element of this index in the global batch is multiplied by.
__device__ inline float dropout_factor(DropoutKey const& k, uint64_t seed, uint32_t attempted, uint64_t index) {
  return random_word(seed, Domain::dropout, attempted, k.layer, k.site, index) < k.threshold ? 0.0f : k.scale;
}

inline DropoutKey key_of(Dropout const& d) {
  if (d.rate == 0) return {};
  return {.state = reinterpret_cast<StepState const*>(d.state.data),
          .sequences = d.sequences.as<int64_t>(),
          .threshold = dropout_threshold(d.rate),
          .scale = float(1 / (1 - d.rate)),
          .layer = d.layer,
          .site = uint32_t(d.site)};
}

struct DropoutCounter {  // of one step
  uint64_t seed = 0;
  uint32_t attempted = 0;
};
__device__ inline DropoutCounter counter_of(DropoutKey const& k) {
  return {k.state->seed, uint32_t(k.state->attempted)};
}

/// The factors of elements index … index + 3: one call of the generator where index is a multiple of 4.
__device__ inline float4 dropout_factors(DropoutKey const& k, DropoutCounter const& c, uint64_t index) {
  if (index % 4 != 0) {
    auto const one = [&](uint64_t i) { return dropout_factor(k, c.seed, c.attempted, i); };
    return {one(index), one(index + 1), one(index + 2), one(index + 3)};
  }
  uint64_t const call = index / 4;
  auto const words = philox(
      {uint32_t(call), uint32_t(call >> 32), c.attempted, uint32_t(Domain::dropout) << 24 | k.layer << 8 | k.site},
      c.seed);
  auto const factor = [&](uint32_t word) { return word < k.threshold ? 0.0f : k.scale; };
  return {factor(words[0]), factor(words[1]), factor(words[2]), factor(words[3])};
}

}  // namespace folio::cuda

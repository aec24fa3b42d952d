// The weights of a model directory in a backend's memory, to compute with; without gradients.
#pragma once

#include "core/api.h"
#include "model/checkpoint.h"

namespace folio::model {

class FOLIO_API LoadedWeights {
 public:
  /// Takes the memory and fills it, to compute in `dtype`. The backend outlives this object. Throws Fault::memory,
  /// Fault::content, Fault::io.
  LoadedWeights(Backend&, ModelDirectory const&, DType dtype = DType::f32);
  LoadedWeights(LoadedWeights const&) = delete;

  /// What such weights take, by role: their own layout, without the memory.
  static std::vector<MemoryRole> plan(Backend const&, Config const&, DType);

  Weights const& weights() const { return weights_; }

 private:
  WeightArenas arenas_;
  Weights weights_;
};

}  // namespace folio::model

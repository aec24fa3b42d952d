#include "model/loaded_weights.h"

namespace folio::model {

LoadedWeights::LoadedWeights(Backend& backend, ModelDirectory const& directory, DType dtype) {
  auto lay_out = [&] { weights_ = lay_out_weights(arenas_, backend, directory.config(), dtype, false); };
  lay_out();
  arenas_.masters.allocate(backend), arenas_.compute.allocate(backend);
  lay_out();
  directory.load(backend, weights_);
}

std::vector<MemoryRole> LoadedWeights::plan(Backend const& backend, Config const& c, DType dtype) {
  WeightArenas arenas;
  lay_out_weights(arenas, backend, c, dtype, false);
  return {arenas.masters.planned(), arenas.compute.planned()};
}

}  // namespace folio::model

#include "model/loaded_weights.h"

namespace folio::model {

LoadedWeights::LoadedWeights(Backend& backend, ModelDirectory const& directory, DType dtype) {
  auto lay_out = [&] { weights_ = lay_out_weights(arenas_, backend, directory.config(), dtype, false); };
  lay_out();
  arenas_.masters.allocate(backend), arenas_.compute.allocate(backend);
  lay_out();
  directory.load(backend, weights_);
}

}  // namespace folio::model

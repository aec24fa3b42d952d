// What a user can have proven on the installed program, in seconds: that backward is the derivative of forward, that a
// backend computes what the reference computes, and that training learns.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"

namespace folio::train {

struct GradientProof {
  size_t parameters = 0;
  double worst = 0;  // relative error
  double bound = 0;
  bool holds() const { return worst <= bound; }  // false for NaN
};

/// Every parameter of a small GPT-2 (dropout at each site, masked targets, token weights, smoothing, logits in chunks,
/// two micro-batches) on the reference backend: the gradient against Im f(w + ih) / h at h = 1e-100 (Squire, Trapp
/// 1998), where f is the same code on complex numbers. Relative to the larger of the derivative and 1e-3.
GradientProof prove_gradient();

/// The same model's gradient by `backend` in `dtype` against the reference's in f64, without dropout: the largest
/// ‖difference‖ / ‖gradient‖ of a tensor, that of the scale of all where a tensor's own gradient is nearly 0.
GradientProof prove_backend(Backend&, DType);

struct OverfitProof {
  double first = 0, last = 0;  // loss, nats a token
  int64_t steps = 0;
  double bound = 0.05;
  bool holds() const { return last <= bound; }
};

/// Trains a small GPT-2 on one batch until it knows it by heart, or for `most` steps.
OverfitProof prove_overfit(Backend&, DType, int64_t most = 400);

}  // namespace folio::train

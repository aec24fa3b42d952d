// Are the weights what a new model's should be? GPT-2 begins with N(0, 0.02) in matrices, N(0, 0.02/√(2L)) in the
// projections into the residual stream, 0 in biases and 1 in gains; for_each has them as Spec. A mean of n draws lies
// within σ/√n of the truth, a deviation within σ/√(2n), by one standard error; more than kMostErrors of them is no
// chance. Constants must be exact.
#pragma once

#include <vector>

#include "model/weights.h"

namespace folio::model {

inline constexpr double kMostErrors = 5;  // standard errors: one of 1.7 million draws is further off

struct InitialNumbers {
  std::string tensor;
  double mean = 0, deviation = 0;                    // as measured
  double expected_mean = 0, expected_deviation = 0;  // of a new model
  double errors = 0;  // standard errors that the mean or the deviation is off, the larger; ∞: a constant that differs
  bool off() const { return !(errors <= kMostErrors); }
};

/// Of a tensor of this name and Spec, measured; NaN is off.
InitialNumbers check_initial(std::string const& name, Spec const&, double mean, double deviation);

struct InitialWeights {
  std::vector<InitialNumbers> tensors;      // in the order of for_each
  std::vector<InitialNumbers> off() const;  // those that are
  /// Most gains and biases have values of their own, which no initialisation gives: an optimizer has been at work.
  bool trained() const;
};

/// Of weights that lie in a backend's memory.
InitialWeights check_initial(Backend&, Weights const&);

}  // namespace folio::model

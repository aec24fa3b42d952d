// Small tensors and weights in a backend's memory, for lessons that call ops themselves. Everything is f32 but where a
// shape says so, and is given back with the lab.
#pragma once

#include <deque>
#include <vector>

#include "backend/backend.h"

namespace folio::learn {

class Lab {
 public:
  explicit Lab(Backend& b) : backend(b) {}
  Backend& backend;

  Tensor raw(DType, Shape);  // zero
  Tensor floats(Shape, std::vector<float> const& values = {});
  Tensor ids(Shape, std::vector<int32_t> const& values);
  Tensor numbers(Shape, std::vector<int64_t> const& values);
  /// With a gradient of zero, prepared.
  Weight weight(Shape, Uses, std::vector<float> const& values);
  Tensor state(StepState const& = {});
  void lend(Limits const&);

  std::vector<float> read(Tensor) const;
  std::vector<double> read_f64(Tensor) const;  // of f64
  StepState read_state(Tensor) const;
  void write(Tensor, std::vector<float> const&);

 private:
  std::deque<Arena> arenas_;  // one a tensor
};

double norm_of(std::vector<float> const&);       // √Σx²
double deviation_of(std::vector<float> const&);  // of the population

/// Even in (−half, half), from random words.
std::vector<float> even_values(size_t n, double half, uint64_t seed);

}  // namespace folio::learn

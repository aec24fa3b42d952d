// Golden files: safetensors under tests/golden, written by tools/make_golden.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "model/config.h"

namespace folio::test {

struct Golden {
  struct Entry {
    DType dtype;  // i32, f32 or f64
    Shape shape;
    std::vector<char> bytes;
  };
  uint64_t seed = 0;
  int scale = 0;                                // `extra` of formula_weights.h
  std::map<std::string, model::Config> models;  // by variant; "" where there is one
  std::map<std::string, Entry> tensors;
  double number(std::string const& key) const { return numbers.at(key); }

  Shape shape(std::string const& name) const { return entry(name).shape; }
  std::vector<int32_t> integers(std::string const& name) const;
  std::vector<double> values(std::string const& name) const;  // f32 or f64

  Entry const& entry(std::string const& name) const;
  std::map<std::string, double> numbers;  // of the model "": rate, clip, …
};

/// tests/golden/NAME.safetensors of the source tree (FOLIO_SOURCE). Throws where it is absent or malformed.
Golden read_golden(std::string const& name);

}  // namespace folio::test

// Weights from an integer formula, so that a test and PyTorch (tools/make_golden) have the same random GPT-2 without
// storing it. Value i of a tensor comes from draw i of splitmix64 (Steele, Lea, Flood 2014) whose state begins at
// FNV-1a(name) XOR seed: the draw's four signed 16-bit parts are added up and scaled by a power of two, so a value
// has at most 19 significant bits and is exact in f32.
//
//   value = gain + 2^(d − 15) · (p₀ + p₁ + p₂ + p₃)      deviation 1.15 · 2^d
//
//   tensor                  gain   d
//   layer norm weights       1    −3
//   biases, c_attn           0    −5
//   embeddings, c_fc, head   0    −6   0.018, near GPT-2's 0.02
//   residual projections     0    −7
//
// A small model adds `extra` to d where the gain is 0, so that no gradient is tiny.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/weights.h"
#include "tests/support/values.h"

namespace folio::test {

inline uint64_t formula_draw(uint64_t start, uint64_t index) {
  uint64_t z = start + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
inline uint64_t formula_start(std::string_view name, uint64_t seed) {
  uint64_t h = 0xCBF29CE484222325u;
  for (unsigned char byte : name) h = (h ^ byte) * 0x100000001B3u;
  return h ^ seed;
}

inline std::vector<float> formula_values(std::string_view name, int64_t count, uint64_t seed, int extra) {
  bool const norm = name.find("ln_") != name.npos && name.ends_with(".weight");
  int const d = norm                                                              ? -3
                : name.ends_with(".bias") || name.ends_with("attn.c_attn.weight") ? -5 + extra
                : name.ends_with("c_proj.weight")                                 ? -7 + extra
                                                                                  : -6 + extra;
  float const unit = std::ldexp(1.0f, d - 15), gain = norm ? 1 : 0;
  uint64_t const start = formula_start(name, seed);
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t const z = formula_draw(start, uint64_t(i));
    int sum = 0;
    for (int part = 0; part < 4; ++part) sum += static_cast<int16_t>(z >> (16 * part));
    values[i] = gain + float(sum) * unit;
  }
  return values;
}

inline void set_formula_weights(Backend& backend, model::Weights const& w, uint64_t seed, int extra) {
  for_each(w, [&](std::string const& name, Weight const& weight, model::Spec const&) {
    set_weight(backend, weight, formula_values(name, weight.shape.size(), seed, extra));
  });
}

}  // namespace folio::test

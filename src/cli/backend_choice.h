// --device, --dtype and --threads: the same on every verb that computes.
#pragma once

#include <map>
#include <memory>

#include "backend/backend.h"
#include "core/fields.h"

namespace folio::cli {

struct BackendChoice {
  std::string device = "cpu";
  std::string dtype = "auto";
  int64_t threads = 0;

  Fields fields();
  std::unique_ptr<Backend> make() const;  // Fault::device where it is not to be had
  /// What is computed in: auto is bf16 where the processor multiplies it, else f32. Fault::value for a type that the
  /// device does not compute in.
  DType compute_type() const;
  std::string description() const;  // "bf16 on avx512_bf16, weights kept and sums in f32"
};

/// What equal bits depend on: build, device, instruction set, threads, libraries.
std::map<std::string, std::string> what_bits_depend_on(BackendChoice const&);

}  // namespace folio::cli

// --device, --dtype, --threads and the choices of a GPU: the same on every verb that computes.
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
  bool tf32 = false, graph = true;

  Fields fields(bool training = false);   // --tf32 and --graph too
  std::unique_ptr<Backend> make() const;  // Fault::device where it is not to be had
  /// What is computed in: auto is bf16 where the processor, or the GPU, multiplies it, else f32. Fault::value for a
  /// type that the device does not compute in.
  DType compute_type() const;
  std::string description()
      const;                      // "bf16 on avx512_bf16, weights kept and sums in f32", "f32 on NVIDIA H200 (cuda:0)"
  std::string type_text() const;  // "bf16", "f32 (TF32)"
  std::string device_text() const;  // "avx512_bf16", "NVIDIA H200 (cuda:0)"; Fault::device where it is not to be had
  /// Does a GPU multiply f32 so? Elsewhere tf32 says nothing.
  bool in_tf32() const { return tf32 && on_gpu() && dtype != "bf16"; }
  bool on_gpu() const { return device.starts_with("cuda"); }

 private:
  CudaOptions cuda() const;
};

/// What equal bits depend on: build, device, instruction set, threads, libraries.
std::map<std::string, std::string> what_bits_depend_on(BackendChoice const&);

}  // namespace folio::cli

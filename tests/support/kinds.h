// The backends a test of the model runs on, each with its scalar and the error that its scalar allows.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "tests/support/cuda.h"

namespace folio::test {

struct Kind {
  char const* name;
  std::unique_ptr<Backend> (*make)();
  DType dtype;
  double bound;  // of a value near 1 after a forward pass of a small model
};

inline Kind const kReference{"reference", [] { return make_reference_backend(); }, DType::f64, 1e-12};

inline Kind const kCpu{"cpu",
                       [] {
                         setenv("FOLIO_POISON_MEMORY", "1", 1);  // as the reference's: new memory is NaN
                         return make_cpu_backend();
                       },
                       DType::f32, 2e-6};

inline Kind const kCpuBf16{"cpu_bf16", kCpu.make, DType::bf16, 1e-2};

inline Kind const kCpuF16{"cpu_f16", kCpu.make, DType::f16, 1.5e-3};

inline Kind const kCuda{"cuda",
                        [] {
                          setenv("FOLIO_POISON_MEMORY", "1", 1);
                          return make_cuda();
                        },
                        DType::f32, 2e-6};

inline Kind const kCudaBf16{"cuda_bf16", kCuda.make, DType::bf16, 1e-2};

inline std::string kind_name(testing::TestParamInfo<Kind> const& info) { return info.param.name; }
inline void PrintTo(Kind const& k, std::ostream* out) { *out << k.name; }

}  // namespace folio::test

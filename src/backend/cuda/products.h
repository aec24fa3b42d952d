// Products of training, by cublasLt. An algorithm is asked for once a shape, by heuristics that give the same answer
// each time, and kept: so a captured step and one that is not have the same bits.
#pragma once

#include <map>

#include "backend/cuda/handles.h"
#include "core/dtype.h"

namespace folio::cuda {

struct Matrix {  // row-major (rows, columns), or its transpose where it says so
  void const* data = nullptr;
  DType dtype = DType::f32;
  int64_t leading = 0;  // elements from one row to the next, as it lies in memory
  bool transposed = false;
};

struct Workspace {  // of scratch
  void* data = nullptr;
  size_t bytes = 0;
};

class Products {
 public:
  static constexpr size_t kWorkspace = size_t{32} << 20;  // what NVIDIA advises for Hopper

  explicit Products(bool tf32);
  /// c (M, N) = a (M, K) · b (K, N), plus c where `add`, plus the row `bias` (f32) unless null. Sums are f32.
  void multiply(cudaStream_t, void* c, DType of_c, int64_t leading_c, bool add, Matrix a, Matrix b, float const* bias,
                int64_t M, int64_t N, int64_t K, Workspace);

 private:
  struct Plan;
  bool tf32_;
  BlasHandle handle_;
};

}  // namespace folio::cuda

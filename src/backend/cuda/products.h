// Products of training, by cublasLt. An algorithm is asked for once a shape, by heuristics that give the same answer
// each time, and kept: so a captured step and one that is not have the same bits. Where an algorithm divides K, its
// partial sums go to the workspace in f32 and are added there in order.
#pragma once

#include <compare>
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
template <class S>
Matrix matrix(S const* data, int64_t leading, bool transposed = false) {
  return {data, dtype_of<S>, leading, transposed};
}

struct Workspace {  // of scratch
  void* data = nullptr;
  size_t bytes = 0;
};

class Products {
 public:
  static constexpr size_t kWorkspace = size_t{32} << 20;  // what NVIDIA advises for Hopper

  explicit Products(bool tf32);
  /// c (M, N) = a (M, K) · b (K, N), plus c where `add`, plus the row `bias` unless null, which only a c of f32 takes.
  /// Sums are f32; factors are both f32, or both bf16. No size may be 0.
  void multiply(cudaStream_t, void* c, DType of_c, int64_t leading_c, bool add, Matrix a, Matrix b, float const* bias,
                int64_t M, int64_t N, int64_t K, Workspace);

 private:
  struct Key {  // all that the choice of an algorithm depends on
    int64_t M, N, K, leading_a, leading_b, leading_c;
    bool transposed_a, transposed_b, add;
    DType factors, of_c;
    uint32_t align_a, align_b, align_c, align_bias;  // what the addresses are multiples of; 0: no bias
    size_t workspace;
    auto operator<=>(Key const&) const = default;
  };
  struct Plan {
    BlasMatmul matmul;
    BlasLayout a, b, c;
    cublasLtMatmulAlgo_t algorithm;
  };
  Plan make_plan(Key const&, float const* bias) const;

  bool tf32_;
  BlasHandle handle_;
  std::map<Key, Plan> plans_;
};

}  // namespace folio::cuda

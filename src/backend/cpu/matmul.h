// Matrix products of training, by oneDNN. f32: its matmul primitive, made at the first use of a shape and kept, which
// also adds a bias, and its sgemm, which is faster where it was measured against (weights' gradients; wide rows into
// narrow ones). bf16, where the processor multiplies it: the matmul primitive, in the implementation that was measured
// to be the faster one for the type of its result. Results do not vary from run to run with the same shape, thread
// count and machine; inference, which asks for more, has a product of its own (linear.cpp).
#pragma once

#include <cstdint>
#include <memory>

#include "backend/info.h"
#include "core/dtype.h"

namespace folio::cpu {

template <class S>
struct Matrix {  // row-major; `transposed`: the product takes its transpose
  S const* data;
  int64_t ld;
  bool transposed = false;
};

class Matmul {
 public:
  Matmul(CpuLevel, int threads);  // the first one of a process caps oneDNN at its level
  ~Matmul();

  /// c (M, N) = a (M, K) · b (K, N) + bias (N), which may be null.
  void multiply(float* c, int64_t ldc, Matrix<float> a, Matrix<float> b, float const* bias, int64_t M, int64_t N,
                int64_t K);
  void multiply(bf16* c, int64_t ldc, Matrix<bf16> a, Matrix<bf16> b, float const* bias, int64_t M, int64_t N,
                int64_t K);
  /// c (M, N) = a (M, K) · b (K, N), or += .
  void gemm(float* c, int64_t ldc, bool add, Matrix<float> a, Matrix<float> b, int64_t M, int64_t N, int64_t K);
  void gemm(float* c, int64_t ldc, bool add, Matrix<bf16> a, Matrix<bf16> b, int64_t M, int64_t N, int64_t K);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
  int threads_;
};

}  // namespace folio::cpu

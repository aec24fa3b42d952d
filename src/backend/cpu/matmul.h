// Matrix products of training, by oneDNN: its matmul primitive, made at the first use of a shape and kept, which also
// adds a bias; and its sgemm, which is faster where it was measured against (weights' gradients; wide rows into narrow
// ones). Results do not vary from run to run with the same shape, thread count and machine; inference, which asks for
// more, has a product of its own (linear.cpp).
#pragma once

#include <cstdint>
#include <memory>

#include "backend/info.h"

namespace folio::cpu {

struct Matrix {  // row-major; `transposed`: the product takes its transpose
  float const* data;
  int64_t ld;
  bool transposed = false;
};

class Matmul {
 public:
  Matmul(CpuLevel, int threads);  // the first one of a process caps oneDNN at its level
  ~Matmul();

  /// c (M, N) = a (M, K) · b (K, N) + bias (N), which may be null.
  void multiply(float* c, int64_t ldc, Matrix a, Matrix b, float const* bias, int64_t M, int64_t N, int64_t K);
  /// c (M, N) = a (M, K) · b (K, N), or += .
  void gemm(float* c, int64_t ldc, bool add, Matrix a, Matrix b, int64_t M, int64_t N, int64_t K);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
  int threads_;
};

}  // namespace folio::cpu

// Matrix products of training, by oneDNN: a primitive a shape, made on first use and kept. Results do not vary from run
// to run with the same shape, thread count and machine; inference, which asks for more, has its own (linear.cpp).
#pragma once

#include <cstdint>
#include <memory>

namespace folio::cpu {

struct Matrix {  // row-major; `transposed`: the product takes its transpose
  float const* data;
  int64_t ld;
  bool transposed = false;
};

class Matmul {
 public:
  explicit Matmul(int threads);
  ~Matmul();

  /// c (M, N) = a (M, K) · b (K, N) + bias (N), which may be null.
  void multiply(float* c, int64_t ldc, Matrix a, Matrix b, float const* bias, int64_t M, int64_t N, int64_t K);
  /// c (M, N) += a (M, K) · b (K, N).
  void accumulate(float* c, int64_t ldc, Matrix a, Matrix b, int64_t M, int64_t N, int64_t K);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
  int threads_;
};

}  // namespace folio::cpu

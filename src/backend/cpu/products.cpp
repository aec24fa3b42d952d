// Products of training, by type. What the processor multiplies goes to oneDNN as it is. f16, and bf16 at a level
// without products of it, is storage only: factors are widened in scratch, the right one (a weight, or the rows of a
// batch) in pieces of its rows, and multiplied in f32.
#include "backend/cpu/cpu.h"

namespace folio::cpu {
namespace {
constexpr int64_t kPiece = int64_t{1} << 22;  // floats of the right factor that are wide at once
}

int64_t Cpu::widening_floats(DType d, int64_t weight) const {
  return d == DType::f32 || (d == DType::bf16 && native_bf16_) ? 0 : std::min(weight, kPiece) + 16;
}

template <class A, class B>
void Cpu::gemm(float* c, int64_t ldc, bool add, Matrix<A> a, Matrix<B> b, int64_t M, int64_t N, int64_t K, Room room) {
  if constexpr (std::is_same_v<A, B> && !std::is_same_v<A, f16>)
    if (native<A>()) return matmul_.gemm(c, ldc, add, a, b, M, N, K);
  auto const widened = [&](auto const* from, int64_t ld, int64_t rows, int64_t columns, float* to) {
    divide(rows, 1 + (1 << 14) / columns, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t r = begin; r < end; ++r) kernels<B>().widen(to + r * columns, from + r * ld, columns);
    });
  };
  Matrix<float> x;
  if constexpr (std::is_same_v<A, float>) x = a;
  else {
    int64_t const rows = a.transposed ? K : M, columns = a.transposed ? M : K;
    float* const to = room.take(rows * columns);
    widened(a.data, a.ld, rows, columns, to);
    x = {to, columns, a.transposed};
  }
  if constexpr (!std::is_same_v<B, float>) {
    int64_t const rows = b.transposed ? N : K, columns = b.transposed ? K : N;
    int64_t const piece = std::clamp<int64_t>(kPiece / columns, 1, rows);
    float* const w = room.take(piece * columns);
    for (int64_t r = 0; r < rows; r += piece) {
      int64_t const some = std::min(piece, rows - r);
      widened(b.data + r * b.ld, b.ld, some, columns, w);
      if (b.transposed) matmul_.gemm(c + r, ldc, add, x, {w, columns, true}, M, some, K);
      else
        matmul_.gemm(c, ldc, add || r > 0, {x.data + (x.transposed ? r * x.ld : r), x.ld, x.transposed}, {w, columns},
                     M, N, some);
    }
  }
}

template <class C, class A, class B>
void Cpu::multiply(C* c, int64_t ldc, Matrix<A> a, Matrix<B> b, float const* bias, int64_t M, int64_t N, int64_t K,
                   Room room) {
  if constexpr (std::is_same_v<A, B> && !std::is_same_v<A, f16>)
    if (native<A>()) return matmul_.multiply(c, ldc, a, b, bias, M, N, K);
  if constexpr (!std::is_same_v<C, float>) {
    float* const wide = room.take(M * N);
    auto const rows = [&](auto f) {
      divide(M, 1 + (1 << 14) / N, 1, [&](int64_t begin, int64_t end, int64_t) {
        for (int64_t m = begin; m < end; ++m) f(m);
      });
    };
    if (bias) rows([&](int64_t m) { table_.f32.fill_rows(wide + m * N, N, bias, 1, N); });
    gemm(wide, N, bias != nullptr, a, b, M, N, K, room);
    rows([&](int64_t m) { kernels<C>().narrow(c + m * ldc, wide + m * N, N); });
  }
}

template void Cpu::gemm(float*, int64_t, bool, Matrix<float>, Matrix<float>, int64_t, int64_t, int64_t, Room);
template void Cpu::gemm(float*, int64_t, bool, Matrix<float>, Matrix<bf16>, int64_t, int64_t, int64_t, Room);
template void Cpu::gemm(float*, int64_t, bool, Matrix<bf16>, Matrix<bf16>, int64_t, int64_t, int64_t, Room);
template void Cpu::multiply(float*, int64_t, Matrix<float>, Matrix<float>, float const*, int64_t, int64_t, int64_t,
                            Room);
template void Cpu::multiply(bf16*, int64_t, Matrix<float>, Matrix<bf16>, float const*, int64_t, int64_t, int64_t, Room);
template void Cpu::multiply(bf16*, int64_t, Matrix<bf16>, Matrix<bf16>, float const*, int64_t, int64_t, int64_t, Room);
template void Cpu::gemm(float*, int64_t, bool, Matrix<float>, Matrix<f16>, int64_t, int64_t, int64_t, Room);
template void Cpu::gemm(float*, int64_t, bool, Matrix<f16>, Matrix<f16>, int64_t, int64_t, int64_t, Room);
template void Cpu::multiply(f16*, int64_t, Matrix<float>, Matrix<f16>, float const*, int64_t, int64_t, int64_t, Room);
template void Cpu::multiply(f16*, int64_t, Matrix<f16>, Matrix<f16>, float const*, int64_t, int64_t, int64_t, Room);

}  // namespace folio::cpu

// Muon: the moment of a matrix, made nearly orthogonal by products of its own shape and of its short side's. Their
// factors are bf16 where a weight is, the processor multiplies it and the matrix is not small, else f32; sums and the
// matrix itself are f32.
#include <cmath>

#include "backend/cpu/cpu.h"

namespace folio::cpu {

int64_t Cpu::muon_floats(int64_t C) {  // a matrix of 4 C² as it is and as a factor, two squares of C² likewise
  return 2 * (4 * C * C + 2 * C * C) + 2 * 4 * C + 128;
}

/// x (I, O) = the orthogonal matrix near to it, where `norm` is its own.
template <class F>
void Cpu::orthogonalise(float* x, int64_t I, int64_t O, double norm, Room room) {
  int64_t const size = I * O, side = std::min(I, O), square = side * side;
  constexpr bool kWide = std::is_same_v<F, float>;
  auto const factors = [&](int64_t n) { return reinterpret_cast<F*>(room.take(n)); };
  float *const a = room.take(square), *const aa = room.take(square);
  F* const xs = factors(size);
  F *as = nullptr, *polynomial = nullptr;
  if constexpr (kWide) as = a, polynomial = aa;
  else as = factors(square), polynomial = factors(square);
  auto const divided = [&](int64_t n, auto f) {
    divide(n, 1 << 16, 16, [&](int64_t begin, int64_t end, int64_t) { f(begin, end - begin); });
  };
  using N = NewtonSchulz;
  float scale = float(1 / std::max(norm, N::least_norm));
  Matrix<F> const straight{xs, O}, turned{xs, O, true};
  for (int round = 0; round < N::rounds; ++round, scale = 1) {
    divided(size, [&](int64_t i, int64_t n) { kernels<F>().stage(xs + i, x + i, scale, float(N::a) * scale, n); });
    if (I <= O) matmul_.gemm(a, side, false, straight, turned, side, side, O);
    else matmul_.gemm(a, side, false, turned, straight, side, side, I);
    if constexpr (!kWide) convert(as, a, square);
    matmul_.gemm(aa, side, false, Matrix<F>{as, side}, Matrix<F>{as, side}, side, side, side);
    divided(square, [&](int64_t i, int64_t n) {
      kernels<F>().blend(polynomial + i, a + i, float(N::b), aa + i, float(N::c), n);
    });
    Matrix<F> const p{polynomial, side};
    if (I <= O) matmul_.gemm(x, O, true, p, straight, I, O, side);
    else matmul_.gemm(x, O, true, straight, p, I, O, side);
  }
}

template <class S, class F>
void Cpu::muon(Weight const& w, Tensor m, StepState const& s, Optimizer const& o) {
  int64_t const I = w.shape[0], ld = w.shape[1], O = ld / o.parts;
  float *const W = w.master.as<float>(), *const G = w.grad.as<float>(), *const M = m.empty() ? nullptr : m.as<float>();
  S* rounded = nullptr;
  if constexpr (!std::is_same_v<S, float>) rounded = factor<S>(w);
  MuonFactors const f = {{.rate = float(s.input.rate * o.rate), .grad_factor = float(s.grad_factor), .penalty = 0},
                         float(o.decay),
                         float(o.momentum),
                         float(1 - o.momentum),
                         float(muon_scale(I, O)),
                         o.nesterov};
  Room room = this->room("optimize");
  float* const x = room.take(I * O);
  auto* const squares = reinterpret_cast<double*>(room.take(2 * I));  // of each row
  auto const each_row = [&](auto row) {
    divide(I, 1 + (1 << 15) / O, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t i = begin; i < end; ++i) row(i);
    });
  };
  for (int64_t part = 0; part < o.parts; ++part) {
    auto const at = [&](auto* p, int64_t i) { return p ? p + i * ld + part * O : nullptr; };
    each_row([&](int64_t i) {
      table_.f32.muon_direction(x + i * O, at(M, i), at(G, i), O, f);
      squares[i] = table_.f32.sum_of_squares(x + i * O, O);
    });
    double sum = 0;
    for (int64_t i = 0; i < I; ++i) sum += squares[i];
    orthogonalise<F>(x, I, O, std::sqrt(sum), room);
    each_row([&](int64_t i) { kernels<S>().muon_step(at(W, i), at(rounded, i), x + i * O, O, f); });
  }
}

template void Cpu::muon<float, float>(Weight const&, Tensor, StepState const&, Optimizer const&);
template void Cpu::muon<bf16, float>(Weight const&, Tensor, StepState const&, Optimizer const&);
template void Cpu::muon<bf16, bf16>(Weight const&, Tensor, StepState const&, Optimizer const&);
template void Cpu::muon<f16, float>(Weight const&, Tensor, StepState const&, Optimizer const&);

}  // namespace folio::cpu

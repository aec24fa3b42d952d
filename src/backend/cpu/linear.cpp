// Linear layers. Training multiplies with oneDNN. Inference (a weight without gradient) has its own product, for a
// row's bits must not depend on how many rows come with it, which no library promises: every output element is
//
//   bias + S₀ + S₁ + …   with Sⱼ one chain of fused multiply-adds over k in [256 j, 256 (j + 1)), in order,
//
// whatever the number of rows, columns, threads or the way the weight is read.
#include "backend/cpu/cpu.h"

namespace folio::cpu {
namespace {
constexpr int64_t kGroup = 4;       // panels packed at once
constexpr int64_t kRowBlock = 384;  // rows of x that stay in the second-level cache: multiple of kRows
constexpr int64_t kStrip = 4096;    // floats of partial sums that stay in the first-level cache
}  // namespace

size_t Cpu::compute_bytes(Shape const&, DType dtype, Uses) const {
  check(dtype == DType::f32, Fault::value, "the cpu backend computes in f32, not {}", name_of(dtype));
  return 0;
}
void Cpu::do_prepare(Weight const&) {}

int64_t Cpu::product_floats() const { return threads_ * std::max(kGroup * kDepth * kPanel, kStrip); }

void Cpu::product(float* c, int64_t ldc, float const* x, Factor w, float const* bias, int64_t M, int64_t N, int64_t K,
                  float* packs) const {
  int64_t const of_part = product_floats() / threads_;
  if (!w.transposed && M <= kThinRows)
    return divide(N, 64, 64, [&](int64_t begin, int64_t end, int64_t part) {
      int64_t const strip = kStrip / M / 64 * 64;
      for (int64_t o = begin; o < end; o += strip) {
        int64_t const columns = std::min(strip, end - o);
        kernels::fill_rows(c + o, ldc, bias ? bias + o : nullptr, M, columns);
        for (int64_t k = 0; k < K; k += kDepth)
          kernels::thin_product(c + o, ldc, x + k, K, w.data + k * w.ld + o, w.ld, packs + part * of_part, M, columns,
                                std::min(kDepth, K - k));
      }
    });

  int64_t const panels = (N + kPanel - 1) / kPanel, group = std::clamp<int64_t>(panels / (4 * threads_), 1, kGroup);
  auto const columns = [&](int64_t p) { return std::min(kPanel, N - p * kPanel); };
  auto const pack = [&](float* to, int64_t p, int64_t k, int64_t depth) {
    if (w.transposed) kernels::pack_panel_transposed(to, w.data + p * kPanel * w.ld + k, w.ld, depth, columns(p));
    else kernels::pack_panel(to, w.data + k * w.ld + p * kPanel, w.ld, depth, columns(p));
  };
  each_task((panels + group - 1) / group, [&](int64_t task, int64_t thread) {
    float* const own = packs + thread * of_part;
    int64_t const first = task * group, last = std::min(panels, first + group);
    for (int64_t p = first; p < last; ++p)
      kernels::fill_rows(c + p * kPanel, ldc, bias ? bias + p * kPanel : nullptr, M, columns(p));
    for (int64_t k = 0; k < K; k += kDepth) {
      int64_t const depth = std::min(kDepth, K - k);
      for (int64_t p = first; p < last; ++p) pack(own + (p - first) * kDepth * kPanel, p, k, depth);
      for (int64_t block = 0; block < M; block += kRowBlock)
        for (int64_t p = first; p < last; ++p)
          for (int64_t m = block; m < std::min(M, block + kRowBlock); m += kRows)
            kernels::tile(c + m * ldc + p * kPanel, ldc, true, x + m * K + k, K, 1, own + (p - first) * kDepth * kPanel,
                          std::min(kRows, M - m), columns(p), depth);
    }
  });
}

void Cpu::do_linear(Tensor y, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), I = x.shape[-1], O = y.shape[-1];
  float *Y = y.as<float>(), *X = x.as<float>(), *W = a.weight.master.as<float>();
  float const* bias = a.bias.empty() ? nullptr : a.bias.master.as<float>();
  if (a.weight.grad.empty()) product(Y, O, X, {W, O, false}, bias, N, O, I, scratch("linear", product_floats()));
  else matmul_.multiply(Y, O, {X, I}, {W, O}, bias, N, O, I);
}

void Cpu::weight_backward(Tensor dx, Tensor dy, Tensor x, Weight const& w) {
  int64_t const N = x.rows(), I = x.shape[-1], O = dy.shape[-1];
  float *dX = dx.as<float>(), *dY = dy.as<float>(), *X = x.as<float>();
  matmul_.multiply(dX, I, {dY, O}, {w.master.as<float>(), O, true}, nullptr, N, I, O);
  matmul_.accumulate(w.grad.as<float>(), O, {X, I, true}, {dY, O}, I, O, N);
}

void Cpu::do_linear_backward(Tensor dx, Tensor dy, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), O = dy.shape[-1];
  weight_backward(dx, dy, x, a.weight);
  if (a.bias.empty()) return;
  float *dY = dy.as<float>(), *db = a.bias.grad.as<float>();
  divide(O, std::max<int64_t>(64, (1 << 14) / std::max<int64_t>(N, 1)), 16, [&](int64_t begin, int64_t end, int64_t) {
    kernels::add_column_sums(db + begin, dY + begin, O, N, end - begin);
  });
}

// The bias' gradient comes out of the pass that makes dpre.
void Cpu::do_linear_gelu_backward(Tensor dx, Tensor dpre, Tensor dy, Tensor pre, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), O = dy.shape[-1];
  float *dPre = dpre.as<float>(), *dY = dy.as<float>(), *Pre = pre.as<float>();
  float* const db = a.bias.empty() ? nullptr : a.bias.grad.as<float>();
  divide(O, std::max<int64_t>(64, (1 << 13) / std::max<int64_t>(N, 1)), 16, [&](int64_t begin, int64_t end, int64_t) {
    kernels::gelu_backward_columns(dPre + begin, db ? db + begin : nullptr, dY + begin, Pre + begin, O, N, end - begin);
  });
  weight_backward(dx, dpre, x, a.weight);
}

}  // namespace folio::cpu

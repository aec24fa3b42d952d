// Linear layers. Training multiplies with oneDNN. Inference (a weight without gradient) has its own product, for a
// row's bits must not depend on how many rows come with it. (oneDNN 2.6.3 keeps that by luck where it has AVX-512; with
// AVX2 a single row takes another path than two.) Every output element is
//
//   bias + S₀ + S₁ + …   with Sⱼ one chain of fused multiply-adds over k in [256 j, 256 (j + 1)), in order,
//
// whatever the number of rows, columns, threads or the way the weight is read.
#include "backend/cpu/cpu.h"
#include "core/error.h"

namespace folio::cpu {
namespace {
constexpr int64_t kGroup = 4;      // panels packed at once
constexpr int64_t kRowBlock = 64;  // tiles of rows of x that stay in the second-level cache
constexpr int64_t kStrip = 4096;   // floats of partial sums that stay in the first-level cache
}  // namespace

size_t Cpu::compute_bytes(Shape const& shape, DType dtype, Uses uses) const {
  check_type(dtype);
  return dtype != DType::f32 && (uses.linear || uses.head) ? size_t(shape.size()) * size_of(dtype) : 0;
}
void Cpu::do_prepare(Weight const& w) {
  if (w.compute.empty()) return;
  with_storage(w.dtype, [&]<class S> {
    if constexpr (!std::is_same_v<S, float>) convert(factor<S>(w), w.master.as<float>(), w.shape.size());
  });
}

int64_t Cpu::product_floats() const { return threads_ * std::max(kGroup * kDepth * table_.f32.panel, kStrip); }

template <class S>
void Cpu::product(float* c, int64_t ldc, float const* x, Matrix<S> w, float const* bias, int64_t M, int64_t N,
                  int64_t K, Room room) const {
  Kernels<S> const& kernels = this->kernels<S>();
  float* const packs = room.take(product_floats());
  int64_t const of_part = product_floats() / threads_;
  if (M <= kThinRows)
    return divide(N, 64, 64, [&](int64_t begin, int64_t end, int64_t part) {
      int64_t const strip = w.transposed ? end - begin : kStrip / M / 64 * 64;
      for (int64_t o = begin; o < end; o += strip) {
        int64_t const columns = std::min(strip, end - o);
        kernels.fill_rows(c + o, ldc, bias ? bias + o : nullptr, M, columns);
        if (w.transposed) kernels.thin_product_transposed(c + o, ldc, x, K, w.data + o * w.ld, w.ld, M, columns, K);
        for (int64_t k = 0; k < K && !w.transposed; k += kDepth) {
          int64_t const depth = std::min(kDepth, K - k);
          kernels.thin_product(c + o, ldc, x + k, K, w.data + k * w.ld + o, w.ld, packs + part * of_part, M, columns,
                               depth);
        }
      }
    });

  int64_t const panel_columns = kernels.panel, most = kernels.rows;
  int64_t const panels = (N + panel_columns - 1) / panel_columns,
                group = std::clamp<int64_t>(panels / (4 * threads_), 1, kGroup);
  int64_t const tiles = (M + most - 1) / most, rows = (M + tiles - 1) / tiles;  // even tiles: 8 rows are 4 and 4
  auto const columns = [&](int64_t p) { return std::min(panel_columns, N - p * panel_columns); };
  each_task((panels + group - 1) / group, [&](int64_t task, int64_t thread) {
    float* const own = packs + thread * of_part;
    auto const panel = [&](int64_t p) { return own + (p - task * group) * kDepth * panel_columns; };
    int64_t const first = task * group, last = std::min(panels, first + group),
                  width = std::min(N, last * panel_columns) - first * panel_columns;
    kernels.fill_rows(c + first * panel_columns, ldc, bias ? bias + first * panel_columns : nullptr, M, width);
    for (int64_t k = 0; k < K; k += kDepth) {
      int64_t const depth = std::min(kDepth, K - k);
      if (!w.transposed)
        kernels.pack_panels(own, kDepth * panel_columns, w.data + k * w.ld + first * panel_columns, w.ld, depth, width);
      for (int64_t p = first; p < last && w.transposed; ++p)
        kernels.pack_panel_transposed(panel(p), w.data + p * panel_columns * w.ld + k, w.ld, depth, columns(p));
      for (int64_t block = 0; block < M; block += kRowBlock * rows)
        for (int64_t p = first; p < last; ++p)
          for (int64_t m = block; m < std::min(M, block + kRowBlock * rows); m += rows)
            kernels.tile(c + m * ldc + p * panel_columns, ldc, true, x + m * K + k, K, 1, panel(p),
                         std::min(rows, M - m), columns(p), depth);
    }
  });
}

template void Cpu::product(float*, int64_t, float const*, Matrix<float>, float const*, int64_t, int64_t, int64_t,
                           Room) const;
template void Cpu::product(float*, int64_t, float const*, Matrix<bf16>, float const*, int64_t, int64_t, int64_t,
                           Room) const;
template void Cpu::product(float*, int64_t, float const*, Matrix<f16>, float const*, int64_t, int64_t, int64_t,
                           Room) const;

template <class S>
void Cpu::linear_in(Tensor y, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), I = x.shape[-1], O = y.shape[-1];
  S *Y = y.as<S>(), *X = x.as<S>(), *W = factor<S>(a.weight);
  float const* bias = a.bias.empty() ? nullptr : a.bias.master.as<float>();
  Room room = this->room("linear");
  constexpr bool kWide = std::is_same_v<S, float>;
  if (!a.weight.grad.empty()) {
    // Rows a multiple of 4,096 bytes apart fall on the same cache sets: sgemm copies them first, matmul does not.
    if (!kWide || I % 1024 != 0) return multiply(Y, O, Matrix<S>{X, I}, Matrix<S>{W, O}, bias, N, O, I, room);
    if constexpr (kWide) {
      divide(N, 1 + (1 << 14) / O, 1, [&](int64_t begin, int64_t end, int64_t) {
        table_.f32.fill_rows(Y + begin * O, O, bias, end - begin, O);
      });
      matmul_.gemm(Y, O, true, {X, I}, {W, O}, N, O, I);
    }
  } else if constexpr (kWide) {
    product(Y, O, X, Matrix<S>{W, O}, bias, N, O, I, room);
  } else {
    float *const wide_x = room.take(N * I), *const wide_y = room.take(N * O);
    convert(wide_x, X, N * I);
    product(wide_y, O, wide_x, Matrix<S>{W, O}, bias, N, O, I, room);
    convert(Y, wide_y, N * O);
  }
}

void Cpu::do_linear(Tensor y, Tensor x, Affine const& a) {
  with_storage(y.dtype, [&]<class S> { linear_in<S>(y, x, a); });
}

// In f32 training bias and GELU are one pass.
void Cpu::do_linear_gelu(Tensor y, Tensor pre, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), I = x.shape[-1], O = y.shape[-1];
  if (a.weight.grad.empty() || a.bias.empty() || y.dtype != DType::f32) return Backend::do_linear_gelu(y, pre, x, a);
  float *Y = y.as<float>(), *Pre = pre.as<float>(), *bias = a.bias.master.as<float>();
  matmul_.gemm(Pre, O, false, {x.as<float>(), I}, {a.weight.master.as<float>(), O}, N, O, I);
  divide(N, 1 + (1 << 13) / O, 1, [&](int64_t begin, int64_t end, int64_t) {
    table_.f32.bias_gelu_rows(Y + begin * O, Pre + begin * O, bias, end - begin, O);
  });
}

template <class S>
void Cpu::weight_backward(Tensor dx, Tensor dy, Tensor x, Weight const& w) {
  int64_t const N = x.rows(), I = x.shape[-1], O = dy.shape[-1];
  S *dX = dx.as<S>(), *dY = dy.as<S>(), *X = x.as<S>();
  Room const room = this->room("linear_backward");
  multiply(dX, I, Matrix<S>{dY, O}, Matrix<S>{factor<S>(w), O, true}, nullptr, N, I, O, room);
  gemm(w.grad.as<float>(), O, true, Matrix<S>{X, I, true}, Matrix<S>{dY, O}, I, O, N, room);
}

void Cpu::do_linear_backward(Tensor dx, Tensor dy, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), O = dy.shape[-1];
  with_storage(dy.dtype, [&]<class S> {
    weight_backward<S>(dx, dy, x, a.weight);
    if (a.bias.empty()) return;
    S* const dY = dy.as<S>();
    float* const db = a.bias.grad.as<float>();
    divide(O, std::max<int64_t>(64, (1 << 14) / std::max<int64_t>(N, 1)), 16, [&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().add_column_sums(db + begin, dY + begin, O, N, end - begin);
    });
  });
}

// The bias' gradient comes out of the pass that makes dpre.
void Cpu::do_linear_gelu_backward(Tensor dx, Tensor dpre, Tensor dy, Tensor pre, Tensor x, Affine const& a) {
  int64_t const N = x.rows(), O = dy.shape[-1];
  with_storage(dy.dtype, [&]<class S> {
    S *dPre = dpre.as<S>(), *dY = dy.as<S>(), *Pre = pre.as<S>();
    float* const db = a.bias.empty() ? nullptr : a.bias.grad.as<float>();
    divide(O, std::max<int64_t>(64, (1 << 13) / std::max<int64_t>(N, 1)), 16, [&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().gelu_backward_columns(dPre + begin, db ? db + begin : nullptr, dY + begin, Pre + begin, O, N,
                                         end - begin);
    });
    weight_backward<S>(dx, dpre, x, a.weight);
  });
}

}  // namespace folio::cpu

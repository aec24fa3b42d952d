#include <cstring>

#include "backend/cpu/cpu.h"

namespace folio::cpu {

void Cpu::do_layer_norm(Tensor y, Tensor stats, Tensor x, Affine const& a) {
  int64_t const C = x.shape[-1];
  float *X = x.as<float>(), *kept = stats.empty() ? nullptr : stats.as<float>();
  float *gain = a.weight.master.as<float>(), *bias = a.bias.empty() ? nullptr : a.bias.master.as<float>();
  with_storage(y.dtype, [&]<class S> {
    S* const Y = y.as<S>();
    divide(x.rows(), 1 + (1 << 13) / C, 1, [&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().norm_rows(Y + begin * C, kept ? kept + 2 * begin : nullptr, X + begin * C, gain, bias, end - begin,
                             C);
    });
  });
}

// Each part sums the parameters' gradients of its rows in scratch; then the parts are added in order.
void Cpu::do_layer_norm_backward(Tensor dx, Tensor dy, Tensor x, Tensor stats, Affine const& a) {
  int64_t const C = x.shape[-1], width = round_up(C, 16), of_part = 2 * width;
  bool const with_bias = !a.bias.empty();
  float* const sums = room("layer_norm_backward").take(threads_ * of_part);
  std::memset(sums, 0, size_t(threads_ * of_part) * sizeof(float));
  float *dX = dx.as<float>(), *X = x.as<float>(), *kept = stats.as<float>(), *gain = a.weight.master.as<float>();
  with_storage(dy.dtype, [&]<class S> {
    S* const dY = dy.as<S>();
    divide(x.rows(), 1 + (1 << 12) / C, 1, [&](int64_t begin, int64_t end, int64_t part) {
      float* const own = sums + part * of_part;
      kernels<S>().norm_rows_backward(dX + begin * C, own, with_bias ? own + width : nullptr, dY + begin * C,
                                      X + begin * C, kept + 2 * begin, gain, end - begin, C);
    });
  });
  table_.f32.add_column_sums(a.weight.grad.as<float>(), sums, of_part, threads_, C);
  if (with_bias) table_.f32.add_column_sums(a.bias.grad.as<float>(), sums + width, of_part, threads_, C);
}

}  // namespace folio::cpu

#include <cstring>

#include "backend/cpu/cpu.h"

namespace folio::cpu {

void Cpu::do_embed(Tensor x, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe) {
  check_ids("embed", "token", tokens, wte.shape[0]), check_ids("embed", "position", positions, wpe.shape[0]);
  int64_t const C = x.shape[-1];
  float *X = x.as<float>(), *E = wte.master.as<float>(), *P = wpe.master.as<float>();
  int32_t const *token = tokens.as<int32_t>(), *position = positions.as<int32_t>();
  divide(x.rows(), 1 + (1 << 14) / C, 1, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t n = begin; n < end; ++n) table_.f32.add(X + n * C, E + token[n] * C, P + position[n] * C, C);
  });
}

// Threads share the columns, so each row of a gradient is summed in the order of the tokens.
void Cpu::do_embed_backward(Tensor dx, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe) {
  check_ids("embed_backward", "token", tokens, wte.shape[0]);
  check_ids("embed_backward", "position", positions, wpe.shape[0]);
  int64_t const C = dx.shape[-1], N = dx.rows();
  float *dX = dx.as<float>(), *dE = wte.grad.as<float>(), *dP = wpe.grad.as<float>();
  int32_t const *token = tokens.as<int32_t>(), *position = positions.as<int32_t>();
  divide(C, std::max<int64_t>(16, (1 << 14) / std::max<int64_t>(N, 1)), 16, [&](int64_t begin, int64_t end, int64_t) {
    for (int64_t n = 0; n < N; ++n) {
      float *const e = dE + token[n] * C + begin, *const p = dP + position[n] * C + begin,
                   *const d = dX + n * C + begin;
      table_.f32.add(e, e, d, end - begin), table_.f32.add(p, p, d, end - begin);
    }
  });
}

void Cpu::do_gather(Tensor y, Tensor x, Tensor rows) {
  check_ids("gather", "row", rows, x.rows());
  int64_t const C = y.shape[-1];
  for (int64_t r = 0; r < y.rows(); ++r)
    std::memcpy(y.as<float>() + r * C, x.as<float>() + rows.as<int32_t>()[r] * C, size_t(C) * sizeof(float));
}

}  // namespace folio::cpu

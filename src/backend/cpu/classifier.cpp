// The vocabulary: head, token_loss and classifier. The last two hold the logits of one chunk in scratch, its rows apart
// by a multiple of a cache line, so that a vocabulary of odd size does not leave every row unaligned.
#include <cmath>

#include "backend/cpu/cpu.h"

namespace folio::cpu {

template <class S>
void Cpu::logits(float* z, int64_t ldz, S const* x, Weight const& w, int64_t rows, Room room) {
  int64_t const V = w.shape[0], C = w.shape[1];
  Matrix<S> const W{factor<S>(w), C, true};
  constexpr bool kWide = std::is_same_v<S, float>;
  if (!w.grad.empty()) {
    if constexpr (kWide) multiply(z, ldz, Matrix<S>{x, C}, W, nullptr, rows, V, C, room);
    else gemm(z, ldz, false, Matrix<S>{x, C}, W, rows, V, C, room);
  } else if constexpr (kWide) {
    product(z, ldz, x, W, nullptr, rows, V, C, room);
  } else {
    float* const wide_x = room.take(rows * C);
    convert(wide_x, x, rows * C);
    product(z, ldz, wide_x, W, nullptr, rows, V, C, room);
  }
}

void Cpu::do_head(Tensor logits_, Tensor x, Weight const& w) {
  with_storage(x.dtype,
               [&]<class S> { logits(logits_.as<float>(), w.shape[0], x.as<S>(), w, x.rows(), room("head")); });
}

// Of scratch: a token's logits, in a narrow type also its x and dx in f32; and what products take whatever the rows.
int64_t Cpu::floats_of_token(DType d, int64_t V, int64_t C) const { return row_of(V) + (d != DType::f32 ? 2 * C : 0); }
int64_t Cpu::floats_beside_tokens(DType d, int64_t V, int64_t C) const {
  return product_floats() + widening_floats(d, V * C) + 64;  // 64: each piece begins at a cache line
}
int64_t Cpu::chunk_rows(DType d, int64_t rows, Weight const& w, Room room) const {
  int64_t const V = w.shape[0], C = w.shape[1], of_token = floats_of_token(d, V, C);
  int64_t const most = (room.left() - floats_beside_tokens(d, V, C)) / of_token;
  if (most < 1) room.take(floats_beside_tokens(d, V, C) + of_token);  // refuses
  int64_t const chunks = (rows + most - 1) / most;
  return (rows + chunks - 1) / chunks;  // even ones: a product of few rows takes nearly as long as one of many
}

void Cpu::do_token_loss(Tensor scores, Tensor x, Weight const& w, Tensor ids) {
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], ldz = row_of(V);
  Room room = this->room("token_loss");
  int64_t const chunk = chunk_rows(x.dtype, N, w, room);
  float* const z = room.take(chunk * ldz);
  int32_t const* id = ids.as<int32_t>();
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    with_storage(x.dtype, [&]<class S> { logits(z, ldz, x.as<S>() + first * C, w, rows, room); });
    divide(rows, 1 + (1 << 13) / V, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t n = begin; n < end; ++n) {
        int64_t const target = id[first + n];
        int64_t rank = 0;
        LogitSums const s = table_.score_row(z + n * ldz, V, target, rank);
        double* const out = scores.as<double>() + 3 * (first + n);
        double const log_sum = std::log(s.sum_exp);
        out[0] = target < 0 ? 0 : double(z[n * ldz + target]) - double(s.top) - log_sum;
        out[1] = target < 0 ? -1 : double(rank);
        out[2] = log_sum - s.weighted / s.sum_exp;
      }
    });
  }
}

template <class S>
void Cpu::classify(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const& targets, StepState& s,
                   ClassifierOptions const& options) {
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], ldz = row_of(V);
  Room room = this->room("classifier");
  int64_t const chunk = chunk_rows(x.dtype, N, w, room);
  double const smoothing = options.label_smoothing, smooth = smoothing / double(V);
  float* const z = room.take(chunk * ldz);
  float *const plain = losses.as<float>(), *const smoothed = plain + N;
  int32_t const* ids = targets.ids.as<int32_t>();
  float const* weights = targets.weights.as<float>();

  auto const row = [&](float* own, int64_t n) {  // logits become their gradient
    int64_t const target = ids[n];
    plain[n] = smoothed[n] = 0;
    if (target < 0) return table_.f32.fill_rows(own, 0, nullptr, 1, V);
    float const of_target = own[target];
    LogitSums const sums = table_.exp_row(own, V, smoothing > 0);
    double const lse = double(sums.top) + std::log(sums.sum_exp);
    plain[n] = float(lse - of_target);
    smoothed[n] =
        float((1 - smoothing) * (lse - of_target) + (smoothing > 0 ? smooth * (double(V) * lse - sums.sum) : 0));
    float const factor = float(s.loss_scale * double(weights[n]) * s.input.inverse_total);
    float const p = float(double(own[target]) / sums.sum_exp);
    table_.gradient_row(own, V, float(1 / sums.sum_exp), factor, float(smooth));
    own[target] = factor * float(double(p) - (1 - smoothing) - smooth);
  };
  auto const products = [&](auto const* dz, int64_t ld, int64_t first, int64_t rows) {
    using Z = std::remove_cvref_t<decltype(*dz)>;
    S *const X = x.as<S>() + first * C, *const dX = dx.as<S>() + first * C;
    multiply(dX, C, Matrix<Z>{dz, ld}, Matrix<S>{this->factor<S>(w), C}, nullptr, rows, C, V, room);
    gemm(w.grad.as<float>(), C, true, Matrix<Z>{dz, ld, true}, Matrix<S>{X, C}, V, C, rows, room);
  };
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    logits(z, ldz, x.as<S>() + first * C, w, rows, room);
    bool const narrow = std::is_same_v<S, bf16> && native_bf16_;
    divide(rows, 1 + (1 << 12) / V, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t n = begin; n < end; ++n) {
        float* const own = z + n * ldz;
        row(own, first + n);
        if (narrow) table_.bf16.narrow(reinterpret_cast<bf16*>(own), own, V);  // in place: writing lags behind reading
      }
    });
    if (narrow) {
      if constexpr (std::is_same_v<S, bf16>) products(reinterpret_cast<bf16 const*>(z), 2 * ldz, first, rows);
    } else {
      products(static_cast<float const*>(z), ldz, first, rows);
    }
  }
  for (int64_t n = 0; n < N; ++n)
    if (ids[n] >= 0) s.loss += double(weights[n]) * s.input.inverse_total * double(plain[n]);
}

void Cpu::do_classifier(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const& targets, Tensor state,
                        ClassifierOptions const& options) {
  with_storage(x.dtype, [&]<class S> { classify<S>(losses, dx, x, w, targets, step_state(state), options); });
}

}  // namespace folio::cpu

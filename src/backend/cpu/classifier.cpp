// The vocabulary: head, token_loss and classifier. The last two hold the logits of one chunk in scratch, its rows apart
// by a multiple of a cache line, so that a vocabulary of odd size does not leave every row unaligned.
#include <cmath>

#include "backend/cpu/cpu.h"

namespace folio::cpu {

void Cpu::logits(float* z, int64_t ldz, float const* x, Weight const& w, int64_t rows, float* packs) {
  int64_t const V = w.shape[0], C = w.shape[1];
  float const* W = w.master.as<float>();
  if (w.grad.empty()) product(z, ldz, x, {W, C, true}, nullptr, rows, V, C, packs);
  else matmul_.multiply(z, ldz, {x, C}, {W, C, true}, nullptr, rows, V, C);
}

void Cpu::do_head(Tensor logits_, Tensor x, Weight const& w) {
  logits(logits_.as<float>(), w.shape[0], x.as<float>(), w, x.rows(), scratch("head", product_floats()));
}

int64_t Cpu::chunk_rows(char const* op, int64_t rows, int64_t V) const {
  int64_t const ldz = row_of(V);
  scratch(op, product_floats() + ldz);
  int64_t const most = (scratch_.size() / int64_t(sizeof(float)) - product_floats()) / ldz;
  return std::min(rows, most);
}

void Cpu::do_token_loss(Tensor scores, Tensor x, Weight const& w, Tensor ids) {
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], ldz = row_of(V);
  if (N == 0) return;
  int64_t const chunk = chunk_rows("token_loss", N, V);
  float* const packs = scratch("token_loss", product_floats());
  float* const z = packs + product_floats();
  int32_t const* id = ids.as<int32_t>();
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    logits(z, ldz, x.as<float>() + first * C, w, rows, packs);
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

void Cpu::do_classifier(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const& targets, Tensor state,
                        ClassifierOptions const& options) {
  StepState& s = step_state(state);
  int64_t const N = x.rows(), V = w.shape[0], C = w.shape[1], ldz = row_of(V);
  if (N == 0) return;
  int64_t const chunk = chunk_rows("classifier", N, V);
  double const smoothing = options.label_smoothing, smooth = smoothing / double(V);
  float* const packs = scratch("classifier", product_floats());
  float* const z = packs + product_floats();
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
  for (int64_t first = 0; first < N; first += chunk) {
    int64_t const rows = std::min(chunk, N - first);
    logits(z, ldz, x.as<float>() + first * C, w, rows, packs);
    divide(rows, 1 + (1 << 12) / V, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t n = begin; n < end; ++n) row(z + n * ldz, first + n);
    });
    matmul_.multiply(dx.as<float>() + first * C, C, {z, ldz}, {w.master.as<float>(), C}, nullptr, rows, C, V);
    matmul_.gemm(w.grad.as<float>(), C, true, {z, ldz, true}, {x.as<float>() + first * C, C}, V, C, rows);
  }
  for (int64_t n = 0; n < N; ++n)
    if (ids[n] >= 0) s.loss += double(weights[n]) * s.input.inverse_total * double(plain[n]);
}

}  // namespace folio::cpu

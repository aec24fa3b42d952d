// Layer norm, a row at a time.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

constexpr int64_t kWide = 4 * kLanes;

// Σ f(c, left) over the row: four vectors side by side, added in a fixed order.
template <class F>
inline float sum_row(int64_t C, F f) {
  Vec s[4] = {zero(), zero(), zero(), zero()};
  int64_t c = 0;
  for (; c + kWide <= C; c += kWide)
    for (int64_t i = 0; i < 4; ++i) s[i] = s[i] + f(c + i * kLanes, kLanes);
  for (int64_t i = 0; c < C; c += kLanes, ++i) s[i] = s[i] + f(c, C - c);
  return sum((s[0] + s[1]) + (s[2] + s[3]));
}

template <class S>
void norm_rows(S* y, float* stats, float const* x, float const* gain, float const* bias, int64_t rows, int64_t C) {
  for (int64_t n = 0; n < rows; ++n, x += C, y += C) {
    float const mean = sum_row(C, [&](int64_t c, int64_t left) { return load(x + c, left); }) / float(C);
    float const variance = sum_row(C,
                                   [&](int64_t c, int64_t left) {
                                     Vec const d = keep_first(load(x + c, left) - all(mean), left);
                                     return d * d;
                                   }) /
                           float(C);
    float const rstd = 1 / __builtin_sqrtf(variance + 1e-5f);
    for (int64_t c = 0; c < C; c += kLanes) {
      Vec const normal = (load(x + c, C - c) - all(mean)) * all(rstd);
      store(y + c, fma(normal, load(gain + c, C - c), bias ? load(bias + c, C - c) : zero()), C - c);
    }
    if (stats) stats[2 * n] = mean, stats[2 * n + 1] = rstd;
  }
}

template <class S>
void norm_rows_backward(float* dx, float* dgain, float* dbias, S const* dy, float const* x, float const* stats,
                        float const* gain, int64_t rows, int64_t C) {
  for (int64_t n = 0; n < rows; ++n, x += C, dx += C, dy += C) {
    Vec const mean = all(stats[2 * n]), rstd = all(stats[2 * n + 1]);
    Vec sums_g[2] = {zero(), zero()}, sums_gx[2] = {zero(), zero()};
    int odd = 0;
    for (int64_t c = 0; c < C; c += kLanes, odd ^= 1) {
      int64_t const left = C - c;
      Vec const d = load(dy + c, left), normal = (load(x + c, left) - mean) * rstd, g = d * load(gain + c, left);
      sums_g[odd] = sums_g[odd] + g;  // lanes past the end: dy is 0 there
      sums_gx[odd] = fma(g, normal, sums_gx[odd]);
      store(dgain + c, fma(d, normal, load(dgain + c, left)), left);
      if (dbias) store(dbias + c, load(dbias + c, left) + d, left);
    }
    Vec const mean_g = all(sum(sums_g[0] + sums_g[1]) / float(C)),
              mean_gx = all(sum(sums_gx[0] + sums_gx[1]) / float(C));
    for (int64_t c = 0; c < C; c += kLanes) {
      int64_t const left = C - c;
      Vec const normal = (load(x + c, left) - mean) * rstd, g = load(dy + c, left) * load(gain + c, left);
      store(dx + c, fma(fnma(normal, mean_gx, g - mean_g), rstd, load(dx + c, left)), left);
    }
  }
}

template <class S>
void fill_for(NormKernels<S>& k) {
  k = {.norm_rows = norm_rows<S>, .norm_rows_backward = norm_rows_backward<S>};
}

}  // namespace

void fill_norm(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

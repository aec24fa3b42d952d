// Rows of logits. Sums run in single precision over kRun elements and in double over runs.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

constexpr int64_t kRun = 512;

inline float top_of(float const* z, int64_t V) {
  Vec top[2] = {all(z[0]), all(z[0])};
  int64_t v = 0;
  for (; v + 2 * kLanes <= V; v += 2 * kLanes)
    top[0] = max(top[0], load(z + v)), top[1] = max(top[1], load(z + v + kLanes));
  for (; v < V; v += kLanes) top[0] = max(top[0], first_or(load(z + v, V - v), V - v, top[0]));
  return largest(max(top[0], top[1]));
}

LogitSums exp_row(float* z, int64_t V, bool with_sum) {
  LogitSums out{.top = top_of(z, V), .sum_exp = 0, .sum = 0, .weighted = 0};
  Vec const top = all(out.top);
  for (int64_t from = 0; from < V; from += kRun) {
    int64_t const to = least(V, from + kRun);
    Vec exps = zero(), plain = zero();
    for (int64_t v = from; v < to; v += kLanes) {
      Vec const x = load(z + v, V - v), e = keep_first(exp(x - top), V - v);
      store(z + v, e, V - v);
      exps = exps + e;
      if (with_sum) plain = plain + x;
    }
    out.sum_exp += wide_sum(exps), out.sum += wide_sum(plain);
  }
  return out;
}

void gradient_row(float* z, int64_t V, float share, float factor, float smooth) {
  Vec const a = all(share), b = all(-smooth), c = all(factor);
  for (int64_t v = 0; v < V; v += kLanes) store(z + v, fma(load(z + v, V - v), a, b) * c, V - v);
}

LogitSums score_row(float const* z, int64_t V, int64_t target, int64_t& rank) {
  LogitSums out{.top = top_of(z, V), .sum_exp = 0, .sum = 0, .weighted = 0};
  Vec const top = all(out.top), own = all(target < 0 ? 0.0f : z[target]);
  rank = 0;
  for (int64_t from = 0; from < V; from += kRun) {
    int64_t const to = least(V, from + kRun);
    Vec exps = zero(), weighted = zero();
    for (int64_t v = from; v < to; v += kLanes) {
      Vec const x = first_or(load(z + v, V - v), V - v, all(-3.4e38f)), d = x - top;
      Vec const e = keep_first(exp(d), V - v);
      exps = exps + e;
      weighted = fma(e, max(all(-100.0f), d), weighted);
      int64_t const before = target < v ? 0 : least(target - v, kLanes);  // lanes of lower ids
      rank += __builtin_popcount(greater(x, own)) + __builtin_popcount(equal(x, own) & ((1u << before) - 1));
    }
    out.sum_exp += wide_sum(exps), out.weighted += wide_sum(weighted);
  }
  return out;
}

}  // namespace

void fill_classifier(KernelTable& t) {
  static_cast<ClassifierKernels&>(t) = {.exp_row = exp_row, .gradient_row = gradient_row, .score_row = score_row};
}

}  // namespace folio::cpu::FOLIO_LEVEL

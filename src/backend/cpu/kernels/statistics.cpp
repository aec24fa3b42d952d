// Sums and extremes of values.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

template <class S>
ValueSums sums(S const* x, S const* before, int64_t n) {
  WideVec low_sum = {}, high_sum = {}, low_squares = {}, high_squares = {};
  Vec least = all(__builtin_inff()), most = all(-__builtin_inff());
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t const left = n - i;
    Vec const v = before ? load(x + i, left) - load(before + i, left) : load(x + i, left);
    WideVec const low = wide_low(v), high = wide_high(v);
    low_sum = low_sum + low, high_sum = high_sum + high;
    low_squares = low_squares + low * low, high_squares = high_squares + high * high;
    least = first_or(min(v, least), left, least), most = first_or(max(v, most), left, most);
  }
  return {sum(low_sum + high_sum), sum(low_squares + high_squares), -largest(zero() - least), largest(most)};
}

template <class S>
void largest_columns(float* top, S const* a, int64_t lda, int64_t rows, int64_t columns) {
  auto const size = [](Vec v) { return max(v, zero() - v); };
  for (int64_t r = 0; r < rows; r += 4) {  // rows that are not there: the last again
    S const *p0 = a + r * lda, *p1 = a + least(r + 1, rows - 1) * lda, *p2 = a + least(r + 2, rows - 1) * lda,
            *p3 = a + least(r + 3, rows - 1) * lda;
    for (int64_t c = 0; c < columns; c += kLanes) {
      int64_t const left = columns - c;
      Vec most = max(size(load(p0 + c, left)), load(top + c, left));
      most = max(size(load(p1 + c, left)), most);
      most = max(size(load(p2 + c, left)), most);
      most = max(size(load(p3 + c, left)), most);
      store(top + c, most, left);
    }
  }
}

template <class S>
void fill_for(StatisticsKernels<S>& k) {
  k = {.sums = sums<S>, .largest_columns = largest_columns<S>};
}

}  // namespace

void fill_statistics(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

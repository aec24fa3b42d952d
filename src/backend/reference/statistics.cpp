// What values are like, for who watches a run.
#include <cmath>

#include "backend/checksum.h"
#include "backend/reference/reference.h"

namespace folio::reference {

void Reference::do_summarize(Tensor summary, Tensor x, Tensor before) {
  double* const to = summary.as<double>();
  with_scalar(x.dtype, [&]<class T> {
    for (int64_t i = 0; i < x.size(); ++i) {
      double const v = real(x.as<T>()[i]) - (before.empty() ? 0 : real(before.as<T>()[i]));
      to[0] += v, to[1] += v * v;
      to[2] = std::fmin(to[2], v), to[3] = std::fmax(to[3], v);
    }
  });
}

void Reference::do_largest_columns(Tensor largest, Tensor x) {
  with_scalar(x.dtype, [&]<class T> {
    auto const X = matrix<T>(x);
    for (int64_t n = 0; n < x.rows(); ++n)
      for (int64_t c = 0; c < x.shape[-1]; ++c) {
        T& to = largest.as<T>()[c];
        to = T(std::fmax(real(to), std::abs(real(X(n, c)))));
      }
  });
}

void Reference::do_checksum(Tensor sum, Tensor x) {
  auto const* const bytes = static_cast<unsigned char const*>(x.data);
  auto const size = int64_t(x.bytes());
  auto total = uint64_t(sum.as<int64_t>()[0]);
  for (int64_t i = 0; 4 * i < size; ++i) total += checksum_term(bytes, size, i);
  sum.as<int64_t>()[0] = int64_t(total);
}

}  // namespace folio::reference

// What values are like, for who watches a run.
#include <atomic>

#include "backend/checksum.h"
#include "backend/cpu/cpu.h"

namespace folio::cpu {

// A fixed number of pieces, joined in order: no thread count changes a bit.
void Cpu::do_summarize(Tensor summary, Tensor x, Tensor before) {
  constexpr int64_t kPieces = 64;
  ValueSums pieces[kPieces];
  int64_t const n = x.size(), piece = round_up((n + kPieces - 1) / kPieces, 16), count = (n + piece - 1) / piece;
  with_storage(x.dtype, [&]<class S> {
    S const *X = x.as<S>(), *B = before.empty() ? nullptr : before.as<S>();
    divide(count, 1 + (1 << 15) / piece, 1, [&](int64_t begin, int64_t end, int64_t) {
      for (int64_t p = begin; p < end; ++p)
        pieces[p] = kernels<S>().sums(X + p * piece, B ? B + p * piece : nullptr, std::min(piece, n - p * piece));
    });
  });
  double* const to = summary.as<double>();
  for (int64_t p = 0; p < count; ++p) {
    to[0] += pieces[p].sum, to[1] += pieces[p].squares;
    to[2] = std::min(to[2], double(pieces[p].least)), to[3] = std::max(to[3], double(pieces[p].largest));
  }
}

// Each thread has some of the columns.
void Cpu::do_largest_columns(Tensor largest, Tensor x) {
  int64_t const C = x.shape[-1], rows = x.rows();
  with_storage(x.dtype, [&]<class S> {
    divide(C, 1 + (1 << 14) / rows, 16, [&](int64_t begin, int64_t end, int64_t) {
      kernels<S>().largest_columns(largest.as<float>() + begin, x.as<S>() + begin, C, rows, end - begin);
    });
  });
}

void Cpu::do_checksum(Tensor sum, Tensor x) {
  auto const* const bytes = static_cast<unsigned char const*>(x.data);
  auto const size = int64_t(x.bytes());
  std::atomic<uint64_t> total = 0;
  divide((size + 3) / 4, 1 << 14, 1, [&](int64_t begin, int64_t end, int64_t) {
    uint64_t own = 0;
    for (int64_t i = begin; i < end; ++i) own += checksum_term(bytes, size, i);
    total += own;
  });
  sum.as<int64_t>()[0] = int64_t(uint64_t(sum.as<int64_t>()[0]) + total);
}

}  // namespace folio::cpu

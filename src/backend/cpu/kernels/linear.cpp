// Products: packing, the register tile, the thin product of a few rows, column sums.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::FOLIO_LEVEL {
namespace {

template <class S>
void pack_panels(float* panels, int64_t apart, S const* b, int64_t ldb, int64_t K, int64_t columns) {
  constexpr int64_t kAhead = 12;  // rows: they are too far apart for the processor to guess
  for (int64_t k = 0; k < K; ++k, b += ldb)
    for (int64_t c = 0; c < columns; c += kPanel) {
      float* const to = panels + c / kPanel * apart + k * kPanel;
      for (int64_t i = 0; i < kPanel && k + kAhead < K; i += 16)
        _mm_prefetch(reinterpret_cast<char const*>(b + kAhead * ldb + c + i), _MM_HINT_T0);
      for (int64_t i = 0; i < kPanel; i += kLanes)
        store(to + i, c + i < columns ? load(b + c + i, columns - c - i) : zero());
    }
}

template <class S>
void pack_panel_transposed(float* panel, S const* b, int64_t ldb, int64_t K, int64_t columns) {
  for (int64_t c = 0; c < kPanel; c += kLanes)
    for (int64_t k = 0; k < K; k += kLanes) {
      Vec block[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) block[i] = c + i < columns ? load(b + (c + i) * ldb + k, K - k) : zero();
      transpose(block);
      for (int64_t i = 0; i < least(kLanes, K - k); ++i) store(panel + (k + i) * kPanel + c, block[i]);
    }
}

template <int kCount>
inline void tile_of(float* c, int64_t ldc, bool add, float const* a, int64_t a_row, int64_t a_step, float const* panel,
                    int64_t columns, int64_t K) {
  Vec sums[kCount][2];
  for (auto& s : sums) s[0] = s[1] = zero();
  for (int64_t k = 0; k < K; ++k, a += a_step, panel += kPanel) {
    Vec const left = load(panel), right = load(panel + kLanes);
#pragma GCC unroll 12
    for (int m = 0; m < kCount; ++m) {
      Vec const x = all(a[m * a_row]);
      sums[m][0] = fma(x, left, sums[m][0]), sums[m][1] = fma(x, right, sums[m][1]);
    }
  }
  for (int m = 0; m < kCount; ++m)
    for (int64_t h = 0; h < 2 && h * kLanes < columns; ++h) {
      float* const to = c + m * ldc + h * kLanes;
      int64_t const left = columns - h * kLanes;
      store(to, add ? load(to, left) + sums[m][h] : sums[m][h], left);
    }
}

template <int kCount, class S>
inline void thin_of(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb, float* partial,
                    int64_t columns, int64_t K) {
  constexpr int64_t kSteps = 4;  // rows of b read side by side
  for (int64_t k = 0; k < K; k += kSteps) {
    int64_t const steps = least(kSteps, K - k);
    bool const first = k == 0, last = k + steps == K;
    auto const one = [&](int64_t o, auto full) {
      int64_t const left = full ? kLanes : columns - o;
      Vec sums[kCount], rows[kSteps];
      for (int m = 0; m < kCount; ++m) sums[m] = first ? zero() : load(partial + m * columns + o, left);
      for (int64_t i = 0; i < steps; ++i) rows[i] = load(b + (k + i) * ldb + o, left);
      for (int64_t i = 0; i < steps; ++i)
        for (int m = 0; m < kCount; ++m) sums[m] = fma(all(a[m * lda + k + i]), rows[i], sums[m]);
      for (int m = 0; m < kCount; ++m)
        if (last) store(c + m * ldc + o, load(c + m * ldc + o, left) + sums[m], left);
        else store(partial + m * columns + o, sums[m], left);
    };
    int64_t o = 0;
    if (steps == kSteps && !first && !last) {  // the same without the branches
      for (; o + kLanes <= columns; o += kLanes) {
        Vec sums[kCount], rows[kSteps];
        for (int m = 0; m < kCount; ++m) sums[m] = load(partial + m * columns + o);
        for (int64_t i = 0; i < kSteps; ++i) rows[i] = load(b + (k + i) * ldb + o);
        for (int64_t i = 0; i < kSteps; ++i)
          for (int m = 0; m < kCount; ++m) sums[m] = fma(all(a[m * lda + k + i]), rows[i], sums[m]);
        for (int m = 0; m < kCount; ++m) store(partial + m * columns + o, sums[m]);
      }
    }
    for (; o + kLanes <= columns; o += kLanes) one(o, true);
    if (o < columns) one(o, false);
  }
}

// sums += the chain over kLanes (or fewer) steps of k, of kLanes rows of b.
template <int kCount, class S>
inline void transposed_steps(Vec sums[kCount], float const* a, int64_t lda, S const* const* rows, int64_t k,
                             int64_t steps, int64_t ahead) {
  constexpr int64_t kLine = 64 / int64_t(sizeof(S));
  Vec block[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    block[i] = load(rows[i] + k, steps);
    if (k % kLine == 0) _mm_prefetch(reinterpret_cast<char const*>(rows[i] + ahead + k), _MM_HINT_T0);
  }
  transpose(block);
  for (int64_t i = 0; i < steps; ++i)
    for (int m = 0; m < kCount; ++m) sums[m] = fma(all(a[m * lda + k + i]), block[i], sums[m]);
}

template <int kCount, class S>
inline void thin_transposed_of(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb,
                               int64_t columns, int64_t K) {
  constexpr int64_t kSide = kCount <= 4 ? 2 : 1;  // groups of columns whose chains run side by side
  int64_t const ahead =
      kSide * kLanes * ldb;  // the rows of the next groups: too many streams for the processor to guess
  for (int64_t o = 0; o < columns; o += kSide * kLanes) {
    Vec sums[kSide][kCount];
    S const* rows[kSide][kLanes];  // missing columns are read as the last one
    for (int64_t g = 0; g < kSide; ++g)
      for (int64_t i = 0; i < kLanes; ++i) rows[g][i] = b + least(o + g * kLanes + i, columns - 1) * ldb;
    for (int64_t k = 0; k < K;) {
      for (auto& of_group : sums)
        for (Vec& s : of_group) s = zero();
      int64_t const end = least(K, k + kDepth);
      for (; k + kLanes <= end; k += kLanes)
        for (int64_t g = 0; g < kSide; ++g) transposed_steps<kCount>(sums[g], a, lda, rows[g], k, kLanes, ahead);
      for (int64_t g = 0; g < kSide && k < end; ++g)
        transposed_steps<kCount>(sums[g], a, lda, rows[g], k, end - k, ahead);
      k = end;
      for (int64_t g = 0; g < kSide && o + g * kLanes < columns; ++g)
        for (int m = 0; m < kCount; ++m) {
          float* const to = c + m * ldc + o + g * kLanes;
          int64_t const left = columns - o - g * kLanes;
          store(to, load(to, left) + sums[g][m], left);
        }
    }
  }
}

// f(count), with the count known to the compiler, for 1 ≤ rows ≤ kCount.
template <int kCount>
struct Count {
  static constexpr int value = kCount;
};
template <int kMost, class F>
inline void with_count(int64_t rows, F f) {
  if constexpr (kMost > 1)
    if (rows < kMost) return with_count<kMost - 1>(rows, f);
  f(Count<kMost>());
}

void tile(float* c, int64_t ldc, bool add, float const* a, int64_t a_row, int64_t a_step, float const* panel,
          int64_t rows, int64_t columns, int64_t K) {
  with_count<kRows>(rows, [&](auto n) { tile_of<n.value>(c, ldc, add, a, a_row, a_step, panel, columns, K); });
}

template <class S>
void thin_product(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb, float* partial,
                  int64_t rows, int64_t columns, int64_t K) {
  with_count<kThinRows>(rows, [&](auto n) { thin_of<n.value>(c, ldc, a, lda, b, ldb, partial, columns, K); });
}

template <class S>
void thin_product_transposed(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb, int64_t rows,
                             int64_t columns, int64_t K) {
  with_count<kThinRows>(rows, [&](auto n) { thin_transposed_of<n.value>(c, ldc, a, lda, b, ldb, columns, K); });
}

void fill_rows(float* c, int64_t ldc, float const* row, int64_t rows, int64_t columns) {
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t o = 0; o < columns; o += kLanes)
      store(c + m * ldc + o, row ? load(row + o, columns - o) : zero(), columns - o);
}

template <class S>
void add_column_sums(float* sums, S const* a, int64_t lda, int64_t rows, int64_t columns) {
  constexpr int64_t kSteps = 8;
  int64_t n = 0;
  for (; n + kSteps <= rows; n += kSteps)
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec s = zero();
      for (int64_t i = 0; i < kSteps; ++i) s = s + load(a + (n + i) * lda + c, columns - c);
      store(sums + c, load(sums + c, columns - c) + s, columns - c);
    }
  for (; n < rows; ++n)
    for (int64_t c = 0; c < columns; c += kLanes)
      store(sums + c, load(sums + c, columns - c) + load(a + n * lda + c, columns - c), columns - c);
}

template <class S>
void fill_for(LinearKernels<S>& k) {
  k = {.panel = kPanel,
       .rows = kRows,
       .pack_panels = pack_panels<S>,
       .pack_panel_transposed = pack_panel_transposed<S>,
       .tile = tile,
       .thin_product = thin_product<S>,
       .thin_product_transposed = thin_product_transposed<S>,
       .fill_rows = fill_rows,
       .add_column_sums = add_column_sums<S>};
}

}  // namespace

void fill_linear(KernelTable& t) { fill_for<float>(t.f32), fill_for<bf16>(t.bf16), fill_for<f16>(t.f16); }

}  // namespace folio::cpu::FOLIO_LEVEL

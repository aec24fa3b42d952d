// Products: packing, the register tile, the thin product of a few rows, column sums.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/vector.h"

namespace folio::cpu::kernels {

void pack_panels(float* panels, int64_t apart, float const* b, int64_t ldb, int64_t K, int64_t columns) {
  constexpr int64_t kAhead = 12;  // rows: they are too far apart for the processor to guess
  for (int64_t k = 0; k < K; ++k, b += ldb)
    for (int64_t c = 0; c < columns; c += kPanel) {
      float* const to = panels + c / kPanel * apart + k * kPanel;
      if (k + kAhead < K) _mm_prefetch(reinterpret_cast<char const*>(b + kAhead * ldb + c), _MM_HINT_T0);
      for (int64_t i = 0; i < kPanel; i += kLanes)
        store(to + i, c + i < columns ? load(b + c + i, columns - c - i) : zero());
    }
}

void pack_panel_transposed(float* panel, float const* b, int64_t ldb, int64_t K, int64_t columns) {
  for (int64_t c = 0; c < kPanel; c += kLanes)
    for (int64_t k = 0; k < K; k += kLanes) {
      Vec block[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) block[i] = c + i < columns ? load(b + (c + i) * ldb + k, K - k) : zero();
      transpose(block);
      for (int64_t i = 0; i < least(kLanes, K - k); ++i) store(panel + (k + i) * kPanel + c, block[i]);
    }
}

namespace {

template <int kCount>
inline void tile_of(float* c, int64_t ldc, bool add, float const* a, int64_t a_row, int64_t a_step, float const* panel,
                    int64_t columns, int64_t K) {
  Vec sums[kCount][2];
  for (auto& s : sums) s[0] = s[1] = zero();
  for (int64_t k = 0; k < K; ++k, a += a_step, panel += kPanel) {
    Vec const left = load(panel), right = load(panel + kLanes);
#pragma GCC unroll 6
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

template <int kCount>
inline void thin_of(float* c, int64_t ldc, float const* a, int64_t lda, float const* b, int64_t ldb, float* partial,
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
template <int kCount>
inline void transposed_steps(Vec sums[kCount], float const* a, int64_t lda, float const* const* rows, int64_t k,
                             int64_t steps) {
  Vec block[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) block[i] = load(rows[i] + k, steps);
  transpose(block);
  for (int64_t i = 0; i < steps; ++i)
    for (int m = 0; m < kCount; ++m) sums[m] = fma(all(a[m * lda + k + i]), block[i], sums[m]);
}

template <int kCount>
inline void thin_transposed_of(float* c, int64_t ldc, float const* a, int64_t lda, float const* b, int64_t ldb,
                               int64_t columns, int64_t K) {
  constexpr int64_t kSide = kCount <= 4 ? 2 : 1;  // groups of columns whose chains run side by side
  for (int64_t o = 0; o < columns; o += kSide * kLanes) {
    Vec sums[kSide][kCount];
    float const* rows[kSide][kLanes];  // missing columns are read as the last one
    for (int64_t g = 0; g < kSide; ++g) {
      for (Vec& s : sums[g]) s = zero();
      for (int64_t i = 0; i < kLanes; ++i) rows[g][i] = b + least(o + g * kLanes + i, columns - 1) * ldb;
    }
    int64_t k = 0;
    for (; k + kLanes <= K; k += kLanes)
      for (int64_t g = 0; g < kSide; ++g) transposed_steps<kCount>(sums[g], a, lda, rows[g], k, kLanes);
    for (int64_t g = 0; g < kSide && k < K; ++g) transposed_steps<kCount>(sums[g], a, lda, rows[g], k, K - k);
    for (int64_t g = 0; g < kSide && o + g * kLanes < columns; ++g)
      for (int m = 0; m < kCount; ++m) {
        float* const to = c + m * ldc + o + g * kLanes;
        int64_t const left = columns - o - g * kLanes;
        store(to, load(to, left) + sums[g][m], left);
      }
  }
}

}  // namespace

void tile(float* c, int64_t ldc, bool add, float const* a, int64_t a_row, int64_t a_step, float const* panel,
          int64_t rows, int64_t columns, int64_t K) {
  constexpr decltype(&tile_of<1>) kOf[kRows] = {tile_of<1>, tile_of<2>, tile_of<3>, tile_of<4>, tile_of<5>, tile_of<6>};
  kOf[rows - 1](c, ldc, add, a, a_row, a_step, panel, columns, K);
}

void thin_product(float* c, int64_t ldc, float const* a, int64_t lda, float const* b, int64_t ldb, float* partial,
                  int64_t rows, int64_t columns, int64_t K) {
  constexpr decltype(&thin_of<1>) kOf[kThinRows] = {thin_of<1>, thin_of<2>, thin_of<3>, thin_of<4>,
                                                    thin_of<5>, thin_of<6>, thin_of<7>, thin_of<8>};
  kOf[rows - 1](c, ldc, a, lda, b, ldb, partial, columns, K);
}

void thin_product_transposed(float* c, int64_t ldc, float const* a, int64_t lda, float const* b, int64_t ldb,
                             int64_t rows, int64_t columns, int64_t K) {
  constexpr decltype(&thin_transposed_of<1>) kOf[kThinRows] = {
      thin_transposed_of<1>, thin_transposed_of<2>, thin_transposed_of<3>, thin_transposed_of<4>,
      thin_transposed_of<5>, thin_transposed_of<6>, thin_transposed_of<7>, thin_transposed_of<8>};
  kOf[rows - 1](c, ldc, a, lda, b, ldb, columns, K);
}

void fill_rows(float* c, int64_t ldc, float const* row, int64_t rows, int64_t columns) {
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t o = 0; o < columns; o += kLanes)
      store(c + m * ldc + o, row ? load(row + o, columns - o) : zero(), columns - o);
}

void add_column_sums(float* sums, float const* a, int64_t lda, int64_t rows, int64_t columns) {
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

}  // namespace folio::cpu::kernels

// The vector loops, as plain functions on pointers and sizes: no tensor, no thread, no allocation. The files of this
// folder are compiled once a level (an instruction set) and reached through the table of the level in use.
//
// Kernels<S> is that table for activations stored as S, float or bf16; arithmetic is in single precision whatever S,
// and a store to bf16 rounds to nearest even and keeps NaN.
//
// ld… is the distance of two rows in elements. Widths need not be multiples of anything.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace folio::cpu {

inline constexpr int64_t kThinRows = 8;  // rows that the thin products take at most
inline constexpr int64_t kDepth = 256;   // inner dimension summed at once: see product() in cpu/linear.cpp

struct DropoutKey {  // see Dropout in backend.h
  uint64_t seed;
  uint32_t third, fourth;  // of the counter
  uint64_t threshold;      // a word below it drops
  float kept;              // 1/(1 − p)
};

struct LogitSums {
  float top;                      // the largest
  double sum_exp, sum, weighted;  // Σ exp(z − top), Σ z, Σ exp(z − top) (z − top)
};

struct ValueSums {  // of some values
  double sum, squares;
  float least, largest;  // NaN is neither
};

struct UpdateFactors {
  float rate, grad_factor;
  float penalty;  // decay that is added to the gradient
};
struct AdamFactors : UpdateFactors {
  float decay;  // decay apart from it
  float beta1, beta2, one_minus_beta1, one_minus_beta2, epsilon;
  float m_scale, v_scale;  // 1/(1 − βᵗ)
};
struct SgdFactors : UpdateFactors {
  float momentum;
  bool nesterov;
};
struct MuonFactors : UpdateFactors {
  float decay, momentum, one_minus_momentum;
  float scale;  // of the orthogonal matrix
  bool nesterov;
};

template <class S>
struct LinearKernels {
  int64_t panel;  // columns of a panel, (K, panel): the right factor of a product in pieces
  int64_t rows;   // rows that tile() takes at most

  /// Panels of the columns [0, columns) of b (K, …), `apart` elements from one to the next; missing columns are 0.
  void (*pack_panels)(float* panels, int64_t apart, S const* b, int64_t ldb, int64_t K, int64_t columns);
  /// panel (K, panel) = the transpose of the rows [0, columns) of b (…, K); missing rows are 0.
  void (*pack_panel_transposed)(float* panel, S const* b, int64_t ldb, int64_t K, int64_t columns);

  /// c (rows, columns) = or += a · panel, where a's element (m, k) is a[m · a_row + k · a_step]; columns ≤ panel.
  /// Each element is one chain of fused multiply-adds over k in order, from 0, then added to c.
  void (*tile)(float* c, int64_t ldc, bool add, float const* a, int64_t a_row, int64_t a_step, float const* panel,
               int64_t rows, int64_t columns, int64_t K);
  /// c (rows, columns) += a · b, the same chain from unpacked b, for few rows. partial: (rows, columns) of scratch.
  void (*thin_product)(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb, float* partial,
                       int64_t rows, int64_t columns, int64_t K);
  /// c (rows, columns) += a · bᵀ from unpacked b (columns, K), for few rows and any K: the same chain over each kDepth.
  void (*thin_product_transposed)(float* c, int64_t ldc, float const* a, int64_t lda, S const* b, int64_t ldb,
                                  int64_t rows, int64_t columns, int64_t K);

  void (*fill_rows)(float* c, int64_t ldc, float const* row, int64_t rows, int64_t columns);  // row null: zeros
  /// sums (columns) += the column sums of a (rows, columns).
  void (*add_column_sums)(float* sums, S const* a, int64_t lda, int64_t rows, int64_t columns);
};

template <class S>
struct NormKernels {
  void (*norm_rows)(S* y, float* stats, float const* x, float const* gain, float const* bias, int64_t rows, int64_t C);
  /// dx += …; dgain (C) and dbias (C), which may be null, += the sums over rows.
  void (*norm_rows_backward)(float* dx, float* dgain, float* dbias, S const* dy, float const* x, float const* stats,
                             float const* gain, int64_t rows, int64_t C);
};

template <class S>
struct ElementwiseKernels {
  void (*gelu)(S* y, S const* x, int64_t n);
  void (*gelu_backward)(S* dx, S const* dy, S const* x, int64_t n);  // dx may be dy
  /// dx = dy · gelu'(x) of columns [0, columns) of all rows, and sums (columns), where not null, += their column sums.
  void (*gelu_backward_columns)(S* dx, float* sums, S const* dy, S const* x, int64_t ld, int64_t rows, int64_t columns);
  /// pre += bias (columns); y = gelu(pre), of all rows.
  void (*bias_gelu_rows)(S* y, S* pre, float const* bias, int64_t rows, int64_t columns);
  void (*add)(float* y, float const* a, S const* b, int64_t n);
  void (*scale)(float* y, float factor, int64_t n);
  double (*sum_of_squares)(float const* x, int64_t n);
  void (*widen)(float* y, S const* x, int64_t n);
  void (*narrow)(S* y, float const* x, int64_t n);
  /// y = x + mask · branch and y = mask · x, for the elements index, index + 1, …
  void (*dropout_add)(float* y, float const* x, S const* branch, int64_t n, uint64_t index, DropoutKey const&);
  void (*dropout)(S* y, float const* x, int64_t n, uint64_t index, DropoutKey const&);
};

template <class S>
struct AttentionKernels {
  /// s (n) becomes exp(scale · s − top), zeros up to padded; returns top, the largest scale · s, and the sum.
  float (*softmax_row)(float* s, int64_t n, int64_t padded, float scale, float& sum);
  /// s (n) = mask · s, where element j has the dropout index `index + j`.
  void (*drop_row)(float* s, int64_t n, uint64_t index, DropoutKey const&);
  /// s becomes mask · p, dp becomes p (mask · dp − delta) · scale, with p = exp(scale · s − lse); zeros from n to
  /// padded. No key: the mask is 1.
  void (*softmax_row_backward)(float* s, float* dp, int64_t n, int64_t padded, float scale, float lse, float delta,
                               DropoutKey const*, uint64_t index);
  float (*dot)(S const* a, S const* b, int64_t n);
  /// scores (keys) = q (D) · the rows of k (keys, D).
  void (*score_keys)(float* scores, S const* q, S const* k, int64_t keys, int64_t D);
  /// y (D) += Σ p[j] v[j] over the rows of v (keys, D), in order.
  void (*add_values)(float* y, float const* p, S const* v, int64_t keys, int64_t D);
};

template <class S>
struct StatisticsKernels {
  ValueSums (*sums)(S const* x, S const* before, int64_t n);  // of x − before; before null: of x
  /// largest (columns) = the maximum of it and of |a| over the rows; NaN is passed over.
  void (*largest_columns)(float* largest, S const* a, int64_t lda, int64_t rows, int64_t columns);
};

struct ClassifierKernels {
  /// z (V) becomes exp(z − top).
  LogitSums (*exp_row)(float* z, int64_t V, bool with_sum);
  /// z (V) = factor · (z · share − smooth): the gradient but for the target's own term.
  void (*gradient_row)(float* z, int64_t V, float share, float factor, float smooth);
  /// rank: how many of z are larger than the target's, ties by lower id. A target of −1: rank means nothing.
  LogitSums (*score_row)(float const* z, int64_t V, int64_t target, int64_t& rank);
};

template <class S>
struct OptimizerKernels {
  /// rounded, which may be null: w as the products take it.
  void (*adam)(float* w, S* rounded, float* m, float* v, float const* g, int64_t n, AdamFactors const&);
  void (*sgd)(float* w, S* rounded, float* m, float const* g, int64_t n, SgdFactors const&);  // m may be null
  /// u = what is to be made orthogonal, from m, which may be null, and g.
  void (*muon_direction)(float* u, float* m, float const* g, int64_t n, MuonFactors const&);
  void (*muon_step)(float* w, S* rounded, float const* x, int64_t n, MuonFactors const&);
  void (*stage)(S* rounded, float* x, float scale, float factor, int64_t n);  // rounded = scale · x; x = factor · x
  void (*blend)(S* y, float const* a, float of_a, float const* b, float of_b, int64_t n);  // y = of_a · a + of_b · b
};

struct LimitKernels {                    // what the level can do at most: backend/limits.h
  double flops;                          // of one step of multiply_adds
  void (*multiply_adds)(int64_t steps);  // that never leave the registers
  double flops_bf16;                     // the same by products of bf16 pairs; 0, null: the level has none
  void (*multiply_adds_bf16)(int64_t steps);
  void (*read)(float const* p, int64_t n);  // all of p, once
};

template <class S>
struct Kernels : LinearKernels<S>,
                 NormKernels<S>,
                 ElementwiseKernels<S>,
                 AttentionKernels<S>,
                 StatisticsKernels<S>,
                 OptimizerKernels<S> {};

/// All that is compiled for one level.
struct KernelTable : ClassifierKernels, LimitKernels {
  Kernels<float> f32;
  Kernels<folio::bf16> bf16;
  Kernels<folio::f16> f16;
};

// One namespace a level. A file of this folder fills its groups; table.cpp fills all. These are the only functions of a
// level with external linkage, and only that of a level that the processor has may be called.
#define FOLIO_KERNELS_OF(level)        \
  namespace level {                    \
  void fill(KernelTable&);             \
  void fill_linear(KernelTable&);      \
  void fill_norm(KernelTable&);        \
  void fill_elementwise(KernelTable&); \
  void fill_attention(KernelTable&);   \
  void fill_classifier(KernelTable&);  \
  void fill_optimizer(KernelTable&);   \
  void fill_statistics(KernelTable&);  \
  void fill_limits(KernelTable&);      \
  }
FOLIO_KERNELS_OF(avx2)
FOLIO_KERNELS_OF(avx512)
FOLIO_KERNELS_OF(avx512_bf16)
#undef FOLIO_KERNELS_OF

}  // namespace folio::cpu

// The processor's backend in f32. An op takes its tensors apart here, divides the work among threads, and calls plain
// loops: kernels/ for vectors, through the table of the level in use; matmul.h for oneDNN. The file of an op has the
// same name in reference/, cpu/ and cpu/kernels/.
//
// Same bits: no result depends on which thread did the work or on when. Sums over rows are divided in an order that the
// thread count decides; everything else does not depend on it either.
#pragma once

#include <omp.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/matmul.h"
#include "backend/host.h"
#include "backend/info.h"

namespace folio::cpu {

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

class Cpu final : public Backend {
 public:
  Cpu(CpuLevel, int threads);
  void* acquire(size_t bytes) override;
  void release(void*) noexcept override;
  size_t scratch_bytes(Limits const&) const override;
  size_t compute_bytes(Shape const&, DType, Uses) const override;  // 0: it computes from the masters

 private:
  void do_upload(Tensor to, void const* from) override;
  void do_download(void* to, Tensor from) override;
  void do_copy(Tensor, Tensor) override;
  void do_zero(Tensor) override;
  void do_prepare(Weight const&) override;
  void do_embed(Tensor, Tensor, Tensor, Weight const&, Weight const&) override;
  void do_embed_backward(Tensor, Tensor, Tensor, Weight const&, Weight const&) override;
  void do_gather(Tensor, Tensor, Tensor) override;
  void do_layer_norm(Tensor, Tensor, Tensor, Affine const&) override;
  void do_layer_norm_backward(Tensor, Tensor, Tensor, Tensor, Affine const&) override;
  void do_linear(Tensor, Tensor, Affine const&) override;
  void do_linear_backward(Tensor, Tensor, Tensor, Affine const&) override;
  void do_gelu(Tensor, Tensor) override;
  void do_gelu_backward(Tensor, Tensor, Tensor) override;
  void do_linear_gelu(Tensor, Tensor, Tensor, Affine const&) override;
  void do_linear_gelu_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Affine const&) override;
  void do_dropout_add(Tensor, Tensor, Tensor, Dropout const&) override;
  void do_dropout_backward(Tensor, Tensor, Dropout const&) override;
  void do_attention(Tensor, Tensor, Tensor, Dropout const&) override;
  void do_attention_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Dropout const&) override;
  void do_cached_attention(Tensor, Tensor, Tensor, Ragged const&) override;
  void do_head(Tensor, Tensor, Weight const&) override;
  void do_token_loss(Tensor, Tensor, Weight const&, Tensor) override;
  void do_classifier(Tensor, Tensor, Tensor, Weight const&, Targets const&, Tensor, ClassifierOptions const&) override;
  void do_begin_step(Tensor, Tensor) override;
  void do_add_norm(Tensor, Tensor) override;
  void do_decide_step(Tensor, DecideOptions const&) override;
  void do_adamw(Weight const&, Tensor, Tensor, Tensor, AdamW const&) override;

  /// c (M, N) = x (M, K) · w + bias, w (K, N), or (N, K) where transposed. One chain an element: see linear.cpp.
  struct Factor {
    float const* data;
    int64_t ld;
    bool transposed;
  };
  void product(float* c, int64_t ldc, float const* x, Factor w, float const* bias, int64_t M, int64_t N, int64_t K,
               float* packs) const;
  int64_t product_floats() const;  // of `packs`
  void weight_backward(Tensor dx, Tensor dy, Tensor x, Weight const&);
  void logits(float* z, int64_t ldz, float const* x, Weight const&, int64_t rows, float* packs);
  int64_t chunk_rows(char const* op, int64_t rows, int64_t V) const;
  void dropped(Tensor y, Tensor x, Tensor branch, Dropout const&);

  /// The first n floats of scratch; refuses where less was lent.
  float* scratch(char const* op, int64_t n) const;

  /// f(begin, end, part) for at most one part a thread: contiguous shares of [0, n), each a multiple of `step`, none of
  /// much less than `grain`.
  template <class F>
  void divide(int64_t n, int64_t grain, int64_t step, F f) const {
    int64_t const parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, threads_);
    if (parts == 1) {
      if (n > 0) f(int64_t{0}, n, int64_t{0});
      return;
    }
    int64_t const share = round_up((n + parts - 1) / parts, step);
#pragma omp parallel for num_threads(threads_) schedule(static, 1)
    for (int64_t p = 0; p < parts; ++p)
      if (p * share < n) f(p * share, std::min(n, (p + 1) * share), p);
  }
  /// f(task, thread) for every task, in any order: a task's result must not depend on it.
  template <class F>
  void each_task(int64_t tasks, F f) const {
#pragma omp parallel for num_threads(threads_) schedule(dynamic, 1) if (tasks > 1)
    for (int64_t t = 0; t < tasks; ++t) f(t, int64_t{omp_get_thread_num()});
  }

  KernelTable const table_;
  int threads_;
  bool poison_;  // new memory is NaN (tests)
  Matmul matmul_;
};

DropoutKey key_of(Dropout const&);

inline int64_t row_of(int64_t V) { return round_up(V, 16) + 16; }  // floats from one row of logits to the next

/// The kernels of a level that the processor has.
KernelTable table_of(CpuLevel);

}  // namespace folio::cpu

// The processor's backend, in f32, bf16 and f16 (D of backend.h; S in code: what D is stored as). An op takes its
// tensors apart here, divides the work among threads, and calls plain loops: kernels/ for vectors, through the table of
// the level in use; matmul.h for oneDNN. The file of an op has the same name in reference/, cpu/ and cpu/kernels/.
//
// Same bits: no result depends on which thread did the work or on when. Sums over rows are divided in an order that the
// thread count decides; everything else does not depend on it either.
#pragma once

#include <omp.h>

#include "backend/backend.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/table.h"
#include "backend/host.h"
#include "backend/info.h"

namespace folio::cpu {

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

class Room {  // what is left of scratch; copies hand out the same memory again
 public:
  Room(char const* op, Tensor scratch) : op_(op), scratch_(scratch) {}
  float* take(int64_t floats) {  // aligned to a cache line
    used_ += round_up(floats, 16);
    check(used_ * int64_t(sizeof(float)) <= scratch_.size() && scratch_.data,
          "{}: {} bytes of scratch needed, {} lent: plan with Limits of this call", op_, used_ * int64_t(sizeof(float)),
          scratch_.size());
    return static_cast<float*>(scratch_.data) + used_ - round_up(floats, 16);
  }
  int64_t left() const { return scratch_.size() / int64_t(sizeof(float)) - used_; }

 private:
  char const* op_;
  Tensor scratch_;
  int64_t used_ = 0;
};

inline void check_type(DType d) {
  check(d == DType::f32 || d == DType::bf16 || d == DType::f16, Fault::value,
        "the cpu backend computes in f32, bf16 and f16, not {}", name_of(d));
}

/// f.operator()<S>() for the type that d is stored as.
template <class F>
void with_storage(DType d, F f) {
  check_type(d);
  if (d == DType::f32) f.template operator()<float>();
  else if (d == DType::bf16) f.template operator()<bf16>();
  else f.template operator()<f16>();
}

class Cpu final : public Backend {
 public:
  Cpu(CpuLevel, int threads);
  void* acquire(size_t bytes) override;
  void release(void*) noexcept override;
  size_t scratch_bytes(Limits const&) const override;
  /// bf16, f16: a rounded copy of what is multiplied, in the master's layout. Else 0: it computes from the masters.
  size_t compute_bytes(Shape const&, DType, Uses) const override;

 private:
  void do_upload(Tensor to, void const* from) override;
  void do_download(void* to, Tensor from) override;
  void do_copy(Tensor, Tensor) override;
  void copy_bytes(void* to, void const* from, size_t bytes);
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
  void do_optimize(Weight const&, Moments const&, Tensor, Optimizer const&) override;
  void do_summarize(Tensor, Tensor, Tensor) override;
  void do_largest_columns(Tensor, Tensor) override;
  void do_checksum(Tensor, Tensor) override;

  /// c (M, N) = x (M, K) · w + bias, w (K, N), or (N, K) where transposed. One chain an element: see linear.cpp.
  template <class S>
  void product(float* c, int64_t ldc, float const* x, Matrix<S> w, float const* bias, int64_t M, int64_t N, int64_t K,
               Room) const;
  int64_t product_floats() const;  // of scratch, for that

  // Products of training: c = a · b (+ bias, which may be null) and c = or += a · b, by oneDNN. Narrow factors that
  // this level has no products of are widened in scratch: see products.cpp.
  template <class C, class A, class B>
  void multiply(C* c, int64_t ldc, Matrix<A> a, Matrix<B> b, float const* bias, int64_t M, int64_t N, int64_t K, Room);
  template <class A, class B>
  void gemm(float* c, int64_t ldc, bool add, Matrix<A> a, Matrix<B> b, int64_t M, int64_t N, int64_t K, Room);
  int64_t widening_floats(DType, int64_t weight) const;  // of scratch, for the weights, the largest of which is given

  template <class F>
  void orthogonalise(float* x, int64_t I, int64_t O, double norm, Room);
  template <class S, class F>  // of the weight's copy, of the products' factors
  void muon(Weight const&, Tensor m, StepState const&, Optimizer const&);
  static int64_t muon_floats(int64_t C);       // of scratch
  static constexpr int64_t kNarrowSide = 384;  // of a matrix whose products bf16 makes faster, at least

  template <class S>
  void linear_in(Tensor y, Tensor x, Affine const&);
  template <class S>
  void weight_backward(Tensor dx, Tensor dy, Tensor x, Weight const&);
  template <class S>
  void logits(float* z, int64_t ldz, S const* x, Weight const&, int64_t rows, Room);
  int64_t floats_of_token(DType, int64_t V, int64_t C) const;
  int64_t floats_beside_tokens(DType, int64_t V, int64_t C) const;
  int64_t chunk_rows(DType, int64_t rows, Weight const&, Room) const;
  template <class S>
  void classify(Tensor losses, Tensor dx, Tensor x, Weight const&, Targets const&, StepState&,
                ClassifierOptions const&);
  template <class S>
  void attention_in(Tensor y, Tensor lse, Tensor qkv, Dropout const&);
  template <class S>
  void attention_backward_in(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const&);
  template <class S>
  void cached_attention_in(Tensor y, Tensor qkv, Tensor pool, Ragged const&);

  /// f(begin, end, index): the elements of y, none of them across two sequences, with the index of the first one.
  template <class F>
  void each_dropped(Tensor y, Dropout const&, F f) const;

  template <class S>
  Kernels<S> const& kernels() const {
    if constexpr (std::is_same_v<S, float>) return table_.f32;
    else if constexpr (std::is_same_v<S, bf16>) return table_.bf16;
    else return table_.f16;
  }
  /// Does this level multiply S, summing in f32?
  template <class S>
  bool native() const {
    return std::is_same_v<S, float> || (std::is_same_v<S, bf16> && native_bf16_);
  }
  /// What is multiplied: the master, or its rounded copy.
  template <class S>
  S* factor(Weight const& w) const {
    if constexpr (std::is_same_v<S, float>) return w.master.as<float>();
    check(int64_t(w.compute.bytes()) == w.shape.size() * int64_t(sizeof(S)), "{}: laid out for another type than {}",
          w.master.label, name_of(dtype_of<S>));
    return reinterpret_cast<S*>(w.compute.data);
  }
  /// y = x of another type, in shares of the threads.
  template <class To, class From>
  void convert(To* y, From const* x, int64_t n) const {
    divide(n, 1 << 14, 16, [&](int64_t begin, int64_t end, int64_t) {
      if constexpr (std::is_same_v<To, float>) kernels<From>().widen(y + begin, x + begin, end - begin);
      else kernels<To>().narrow(y + begin, x + begin, end - begin);
    });
  }
  Room room(char const* op) const { return {op, scratch_}; }

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
  bool native_bf16_;  // this level multiplies it
  int threads_;
  bool poison_;  // new memory is NaN (tests)
  Matmul matmul_;
};

DropoutKey key_of(Dropout const&);

inline int64_t row_of(int64_t V) { return round_up(V, 16) + 16; }  // floats from one row of logits to the next

}  // namespace folio::cpu

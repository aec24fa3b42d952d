// The backend of NVIDIA GPUs, in f32 and bf16 (D of backend.h; S in code: what D is stored as). An op takes its tensors
// apart, and puts kernels and products on the backend's one stream; nothing waits for the device but download. The file
// of an op has the same name in reference/ and cpu/.
//
// Same bits: a sum is taken in an order that sizes alone decide, never by atomic additions; products of training are
// cublasLt's, whose algorithm is chosen once for each shape by its own fixed order, products of inference are our own
// (product in linear.cu), in which an element is one chain over K whatever the number of rows.
//
// The host cannot read what lies on the device: an id out of range gives NaN where a value is read by it, adds
// nothing where a gradient is written, and touches no other memory.
#pragma once

#include "backend/backend.h"
#include "backend/cuda/handles.h"
#include "backend/cuda/products.h"
#include "backend/cuda/staging.h"

namespace folio::cuda {

inline constexpr int kWarp = 32;

inline int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
inline int64_t round_up(int64_t n, int64_t to) { return parts_of(n, to) * to; }

class Room {  // what is left of scratch; copies hand out the same memory again
 public:
  Room(char const* op, Tensor scratch) : op_(op), scratch_(scratch) {}
  template <class T>
  T* take(int64_t n) {  // 256-byte aligned
    int64_t const bytes = round_up(n * int64_t(sizeof(T)), 256), at = used_;
    used_ += bytes;
    check(used_ <= scratch_.size() && scratch_.data,
          "{}: {} bytes of scratch needed, {} lent: plan with Limits of this call", op_, used_, scratch_.size());
    return reinterpret_cast<T*>(static_cast<std::byte*>(scratch_.data) + at);
  }
  int64_t left() const { return scratch_.size() - used_; }  // bytes

 private:
  char const* op_;
  Tensor scratch_;
  int64_t used_ = 0;
};

/// f.operator()<S>() for the type that d is stored as.
template <class F>
void with_storage(DType d, F f) {
  check(d == DType::f32 || d == DType::bf16, "the cuda backend computes in f32 and bf16, not {}", name_of(d));
  if (d == DType::f32) f.template operator()<float>();
  else f.template operator()<bf16>();
}

// Bytes of scratch that the ops of a file need at these limits; each is defined in its file.
int64_t scratch_of_embedding(Limits const&);
int64_t scratch_of_norm(Limits const&);
int64_t scratch_of_linear(Limits const&);
int64_t scratch_of_attention(Limits const&);
int64_t scratch_of_classifier(Limits const&);
int64_t scratch_of_optimizer(Limits const&);

class Cuda final : public Backend {
 public:
  explicit Cuda(CudaOptions const&);
  ~Cuda() override;
  void* acquire(size_t bytes) override;
  void release(void*) noexcept override;
  size_t scratch_bytes(Limits const&) const override;
  /// bf16: a rounded copy of what is multiplied, in the master's layout. Else 0: it computes from the masters.
  size_t compute_bytes(Shape const&, DType, Uses) const override;

  cudaStream_t stream() const { return stream_.get(); }
  int device() const { return options_.device; }

 private:
  void do_upload(Tensor to, void const* from) override;
  void do_download(void* to, Tensor from) override;
  void do_copy(Tensor, Tensor) override;
  void do_zero(Tensor) override;
  void do_replay(std::unique_ptr<Recording>&, std::function<void()> const&) override;
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

  Room room(char const* op) const { return {op, scratch_}; }
  /// What is multiplied: the master, or its rounded copy.
  template <class S>
  S* factor(Weight const& w) const {
    if constexpr (std::is_same_v<S, float>) return w.master.as<float>();
    check(int64_t(w.compute.bytes()) == w.shape.size() * int64_t(sizeof(S)), "{}: laid out for another type than {}",
          w.master.label, name_of(dtype_of<S>));
    return reinterpret_cast<S*>(w.compute.data);
  }
  void use() const;  // makes this backend's device the calling thread's

  CudaOptions options_;
  bool poison_;  // new memory is NaN (tests)
  Stream stream_;
  Staging staging_;    // uploads pass through it
  Products products_;  // cublasLt
};

}  // namespace folio::cuda

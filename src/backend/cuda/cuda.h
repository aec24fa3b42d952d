// The backend of NVIDIA GPUs, in f32 and bf16 (D of backend.h; S in code: what D is stored as). An op takes its tensors
// apart, and puts kernels and products on the backend's one stream. The host waits for the device in download, in an
// upload where two halves of the pinned memory are on their way already (staging.h), and where memory is taken or given
// back, which is outside steps. The file of an op has the same name in reference/ and cpu/.
//
// Same bits: a sum is taken in an order that sizes alone decide, never by atomic additions; products of training are
// cublasLt's, whose algorithm is chosen once for each shape by its own fixed order, products of inference are our own
// (inference_product.h), in which an element is summed over K in one order whatever the number of rows.
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
inline constexpr int kNormParts = 512;  // partial sums of add_norm and summarize
struct ValueSums {                      // of some values
  double sum, squares;
  float least, largest;  // NaN is neither
};

inline int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
inline int64_t round_up(int64_t n, int64_t to) { return parts_of(n, to) * to; }

/// Blocks for a kernel that walks over n elements in strides of the whole grid.
inline constexpr int kStrideThreads = 256;
inline unsigned stride_blocks(int64_t n) { return unsigned(std::clamp<int64_t>(parts_of(n, kStrideThreads), 1, 4096)); }

class Room {  // what is left of scratch; copies hand out the same memory again
 public:
  static constexpr int64_t kAlign = 256;  // which cublasLt asks of its workspace
  Room(char const* op, Tensor scratch)
      : op_(op), scratch_(scratch), used_(-int64_t(reinterpret_cast<uintptr_t>(scratch.data) % kAlign)) {
    if (used_ < 0) used_ += kAlign;
  }
  template <class T>
  T* take(int64_t n) {
    int64_t const bytes = round_up(n * int64_t(sizeof(T)), kAlign), at = used_;
    used_ += bytes;
    check(used_ <= scratch_.size() && scratch_.data,
          "{}: {} bytes of scratch needed, {} lent: plan with Limits of this call", op_, used_, scratch_.size());
    return reinterpret_cast<T*>(static_cast<std::byte*>(scratch_.data) + at);
  }
  int64_t left() const { return scratch_.size() - used_; }  // bytes

 private:
  char const* op_;
  Tensor scratch_;
  int64_t used_;  // at first what lies before an aligned address
};

inline void check_type(Fault fault, DType d) {
  check(d == DType::f32 || d == DType::bf16, fault, "the cuda backend computes in f32 and bf16, not {}", name_of(d));
}

/// f.operator()<S>() for the type that d is stored as.
template <class F>
void with_storage(DType d, F f) {
  check_type(Fault::bug, d);
  if (d == DType::f32) f.template operator()<float>();
  else f.template operator()<bf16>();
}

// Bytes of scratch that the ops of a file need at these limits; each is defined in its file.
int64_t scratch_of_embedding(Limits const&);
int64_t scratch_of_norm(Limits const&);
int64_t scratch_of_linear(Limits const&);
int64_t scratch_of_attention(Limits const&);
int64_t scratch_of_classifier(Limits const&);
int64_t scratch_of_muon(Limits const&);

class Cuda final : public Backend {
 public:
  explicit Cuda(CudaOptions const&);
  ~Cuda() override;
  void* acquire(size_t bytes) override;
  void release(void*) noexcept override;
  MemoryOfDevice device_memory() const override;
  size_t scratch_bytes(Limits const&) const override;
  /// bf16: a rounded copy of what is multiplied, in the master's layout. Else 0: it computes from the masters.
  size_t compute_bytes(Shape const&, DType, Uses) const override;

  /// What every op is queued on. The device in use is a property of the calling thread: from here on it is ours.
  cudaStream_t stream() const {
    use();
    return stream_.get();
  }
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
  void do_optimize(Weight const&, Moments const&, Tensor, Optimizer const&) override;
  void do_summarize(Tensor, Tensor, Tensor) override;
  void do_largest_columns(Tensor, Tensor) override;
  void do_checksum(Tensor, Tensor) override;

  Room room(char const* op) const { return {op, scratch_}; }
  /// Products::multiply on our stream; the workspace comes out of `room`, whose copy is dropped.
  template <class C>
  void multiply(C* c, int64_t leading_c, bool add, Matrix a, Matrix b, float const* bias, int64_t M, int64_t N,
                int64_t K, Room room) {
    products_.multiply(stream(), c, dtype_of<C>, leading_c, add, a, b, bias, M, N, K,
                       {room.take<std::byte>(Products::kWorkspace), Products::kWorkspace});
  }
  template <class S>
  void linear_in(Tensor y, Tensor x, Affine const&);
  template <class S>
  void linear_backward_in(Tensor dx, Tensor dy, Tensor x, Affine const&);
  template <class F>
  void orthogonalise(float* x, int64_t I, int64_t O, Room);
  void muon(Weight const&, Tensor m, Tensor state, Optimizer const&);
  template <class S>
  void logits(float* z, int64_t leading, S const* x, Weight const&, int64_t rows, Room);
  template <class S>
  void classify(Tensor losses, Tensor dx, Tensor x, Weight const&, Targets const&, Tensor state,
                ClassifierOptions const&);
  /// What is multiplied: the master, or its rounded copy.
  template <class S>
  S* factor(Weight const& w) const {
    if constexpr (std::is_same_v<S, float>) return w.master.as<float>();
    check(int64_t(w.compute.bytes()) == w.shape.size() * int64_t(sizeof(S)), "{}: laid out for another type than {}",
          w.master.label, name_of(dtype_of<S>));
    return reinterpret_cast<S*>(w.compute.data);
  }
  void use() const;

  CudaOptions options_;
  bool poison_;  // new memory is NaN (tests)
  Stream stream_;
  Staging staging_;    // uploads pass through it
  Products products_;  // cublasLt
  DeviceMemory sums_;  // of add_norm and summarize, which are called without scratch too, and muon
};

}  // namespace folio::cuda

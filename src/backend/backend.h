// Everything GPT-2 computes, as some 25 ops over a run-time Backend. This file is the specification: shapes, formulas,
// and which arguments are written.
//
// Order of parameters: outputs, inputs, weights, choices; `linear(y, x, a)` reads y = a(x).
//
// The gradient contract
//   parameter gradients (weight.grad)   accumulate  +=
//   activation gradients (d…)           overwrite    =
//   the residual stream's gradient      accumulates +=   (layer_norm_backward's dx)
//
// (…, C) means any leading dimensions: such an op works row by row; on no rows it does nothing.
//
// Types: a run computes in one type D (f32 or bf16 on cpu and cuda, f16 on cpu; f32, f64 or c128 on the reference).
// Wide is f32 for bf16 and f16, else D itself: masters, gradients, moments, statistics, losses, logits, and the
// residual stream with its gradient. Every other activation and its gradient is D. An op below says "wide" where it is
// not D.
//
// Public ops are not virtual: they check shapes, call the private virtual do_… where there are rows, then tell the
// observer. A device overrides the do_… functions; a fused one has a default body of basic ones, its test oracle. An op
// takes its scratch from what the backend was lent, so it allocates nothing. The observer, the scope and the scratch
// make a backend an object of one thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "backend/step_state.h"
#include "backend/weight.h"
#include "core/api.h"
#include "core/arena.h"

namespace folio {

enum class Phase : uint8_t { forward, recompute, backward, update };

struct Event {  // what an observer is told after an op; its outputs' labels name them
  char const* op;
  Phase phase;
  int layer;  // −1 outside the blocks
  std::span<Tensor const> outputs;
};
using Observer = std::function<void(Event const&)>;

struct Limits {              // the largest call a run will make: sizes scratch
  DType dtype = DType::f32;  // D
  int64_t rows = 0;          // tokens in one call: B·T, or N of a ragged batch
  int64_t sequences = 0;     // B, or S of a ragged batch
  int64_t context = 0;       // T
  int64_t channels = 0;      // C
  int64_t heads = 0;         // H
  int64_t vocab = 0;         // V
  int64_t chunk = 0;         // tokens whose logits exist at once in classifier and token_loss
  bool muon = false;         // optimize moves matrices by it, of (C, 4C) or (4C, C) at most
};

enum class Site : uint32_t { embedding, attention, attention_residual, mlp_residual };

/// Element i is kept and scaled by 1/(1−p) if random_word(seed, dropout, attempted, layer, site, i) ≥ round(p·2³²).
/// i counts within the global batch: ((sequence·T + t)·C + c); attention ((sequence·H + h)·T + query)·T + key.
struct Dropout {
  double rate = 0;  // p < 1; 0: identity, and nothing below is read
  uint32_t layer = 0;
  Site site{};
  Tensor sequences;  // (B) i64: each row's sequence in the global batch
  Tensor state;      // (1) StepState: seed and attempted
};

struct Targets {
  Tensor ids;      // (B, T) i32; −1 counts nothing
  Tensor weights;  // (B, T) f32
};

struct ClassifierOptions {
  double label_smoothing = 0;  // ε
};

/// S sequences with any number of new tokens each: prefill, decoding, verification and any mix.
struct Ragged {
  Tensor tokens;       // (1, N) i32, sequence by sequence
  Tensor positions;    // (1, N) i32
  Tensor query_start;  // (S + 1) i32: sequence s has tokens [query_start[s], query_start[s + 1])
  Tensor block_table;  // (S, M) i32: block of positions [32 m, 32 m + 32)
};
inline constexpr int64_t kBlock = 32;

struct DecideOptions {
  double clip = 1;  // largest norm of a step; 0: never clip
  /// Refuse a step whose spike score is above; 0: never. After kMostSpikes in a row one is taken: the level is another.
  double spike = 0;
  /// Of the gradient scaler (f16): a step that is not finite halves the loss scale, to kLeastLossScale at the least,
  /// and so many finite ones in a row double it; 0: it stays as it is.
  int64_t scale_every = 0;
};

struct Optimizer {
  enum class Rule : uint8_t { adamw, adam, sgd, muon } rule = Rule::adamw;
  bool nesterov = false;  // sgd, muon: look ahead along the moment
  double rate = 1;        // this weight's share of the step's rate
  double decay = 0.1;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;  // adamw, adam
  double momentum = 0;                               // µ of sgd and muon
  int64_t parts = 1;                                 // muon: matrices that lie side by side in the weight's columns
  /// 2: Moments' m and v; 1: m alone, of sgd and muon; 0: neither.
  int moments() const { return rule == Rule::adamw || rule == Rule::adam ? 2 : momentum > 0 ? 1 : 0; }
};

struct Moments {  // the weight's shape, as its master; empty where the optimizer has none
  Tensor m, v;
};

/// What a device made of a sequence of ops: see Backend::replay.
class FOLIO_API Recording {
 public:
  virtual ~Recording() = default;
};

struct MemoryOfDevice {
  size_t free = 0, total = 0;  // bytes
};

class FOLIO_API Backend : public Memory {
 public:
  /// Of a device whose memory is its own; total 0: tensors lie in the process, where the host may read them.
  virtual MemoryOfDevice device_memory() const { return {}; }
  // Memory. upload and download take tensor.bytes() from and to the host.
  void upload(Tensor to, void const* from);
  void download(void* to, Tensor from);
  void copy(Tensor to, Tensor from);
  void zero(Tensor);
  virtual size_t scratch_bytes(Limits const&) const = 0;
  void lend_scratch(Tensor scratch) { scratch_ = scratch; }  // (scratch_bytes) u8; before each pass

  // Weights. prepare fills weight.compute from the master: at load; optimize does it in its own pass.
  virtual size_t compute_bytes(Shape const&, DType, Uses) const = 0;
  void prepare(Weight const&);

  // Embedding and rows, all wide. x = wte[token] + wpe[position]
  void embed(Tensor x, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe);
  void embed_backward(Tensor dx, Tensor tokens, Tensor positions, Weight const& wte, Weight const& wpe);
  void gather(Tensor y, Tensor x, Tensor rows);  // y (R, C) = x's rows; rows (R) i32

  // Layer norm (Ba, Kiros, Hinton 2016, eq. 4), ε = 1e-5. y = (x − μ)/σ · gain + bias; x and dx are wide.
  // stats (…, 2), wide: μ and 1/σ of each row; empty in inference.
  void layer_norm(Tensor y, Tensor stats, Tensor x, Affine const&);
  void layer_norm_backward(Tensor dx /* += */, Tensor dy, Tensor x, Tensor stats, Affine const&);

  // y (…, O) = x (…, I) · weight (I, O) + bias. No output may be an input.
  void linear(Tensor y, Tensor x, Affine const&);
  void linear_backward(Tensor dx, Tensor dy, Tensor x, Affine const&);

  // GELU, the tanh form (Hendrycks, Gimpel 2016, §2): x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))
  void gelu(Tensor y, Tensor x);
  void gelu_backward(Tensor dx, Tensor dy, Tensor x);

  // Fused: pre = linear(x), y = gelu(pre). The default body is those two.
  void linear_gelu(Tensor y, Tensor pre, Tensor x, Affine const&);
  void linear_gelu_backward(Tensor dx, Tensor dpre, Tensor dy, Tensor pre, Tensor x, Affine const&);

  // y = x + dropout(branch), x empty: y = dropout(branch). y may be x or branch. dbranch = mask · dy, dbranch
  // may be dy. At rate 0 and in place there is nothing to do. y, x, dy are wide; branch and dbranch D, or wide
  // too, as branch is where x is empty.
  void dropout_add(Tensor y, Tensor x, Tensor branch, Dropout const&);
  void dropout_backward(Tensor dbranch, Tensor dy, Dropout const&);

  // Causal self-attention (Vaswani et al. 2017, eq. 1): y (B, T, C) = dropout(softmax(q kᵀ/√D)) v
  // of qkv (B, T, 3C); lse (B, H, T), wide, is the log of each softmax's denominator; it also gives H.
  void attention(Tensor y, Tensor lse, Tensor qkv, Dropout const&);
  void attention_backward(Tensor dqkv, Tensor dy, Tensor y, Tensor lse, Tensor qkv, Dropout const&);
  // The same on a ragged batch: writes the new k and v into the pool, then attends to positions 0…own.
  void cached_attention(Tensor y, Tensor qkv, Tensor pool /* (2, blocks, H, 32, D) */, Ragged const&);

  // Output. z = x · wᵀ with x (…, C) after the final norm and w (V, C).
  void head(Tensor logits, Tensor x, Weight const& w);  // (…, V), wide
  // scores (…, 3) f64: log-probability of the target, its rank (0: largest; ties by lower id), entropy in
  // nats. A target of −1: 0, −1, entropy.
  void token_loss(Tensor scores, Tensor x, Weight const& w, Tensor ids);
  // Loss and its gradients at once, logits in chunks. With q = (1−ε)·onehot + ε/V and r = weight · inverse_total:
  //   losses (2, N), wide: row 0 −log p[target], the reported loss; row 1 −Σ q log p, what the gradient is of; −1: 0
  //   state.loss += Σ r · row 0;  dz = loss_scale · r · (p − q);  dx = dz w;  w.grad += dzᵀ x
  void classifier(Tensor losses, Tensor dx, Tensor x, Weight const& w, Targets const&, Tensor state,
                  ClassifierOptions const&);

  // The step. state (1) StepState, input (1) StepInput, as u8.
  void begin_step(Tensor state, Tensor input);  // attempted += 1; loss, norm_squared = 0; takes the input
  void add_norm(Tensor state, Tensor grad);     // norm_squared += Σ grad²
  // norm, spike_score, accept; of an accepted step accepted, grad_factor and the window of spikes; the next loss_scale
  void decide_step(Tensor state, DecideOptions const&);
  // One weight's update, with g = grad_factor · grad, r = state's rate · the optimizer's, t = accepted:
  //   adamw (Loshchilov, Hutter 2019, alg. 2): decay apart from the moments, which begin at 0
  //     m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²;  w −= r · (m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε) + decay · w)
  //   adam (Kingma, Ba 2015, alg. 1): decay is a penalty's gradient (L2): g += decay · w, then adamw without decay
  //   sgd (Sutskever et al. 2013, as PyTorch scales it): g += decay · w;  m = µm + g, from 0
  //     w −= r · m;  nesterov: w −= r · (g + µm);  µ = 0: w −= r · g, and there is no m
  //   muon (Jordan et al. 2024), each of the `parts` matrices (I, O) of w by itself: the moment made orthogonal,
  //   nearly, at the scale of Liu et al. 2025, §2.2, so that an element moves as far as by adamw; m as in torch.optim
  //     m = µm + (1−µ)g, from 0;  u = m;  nesterov: u = (1−µ)g + µm;  µ = 0: u = g, and there is no m
  //     X = u / max(‖u‖, 10⁻⁷), ‖·‖ of Frobenius;  five times, A = XXᵀ:  X = 3.4445 X + (2.0315 A² − 4.7750 A) X
  //     w −= r · (0.2 √max(I, O) · X + decay · w);  where I > O, X is (O, I), transposed, the same with fewer products
  //     The factors of these products may be rounded to D; their sums and X are wide.
  // then prepares w. accept = 0: writes nothing.
  void optimize(Weight const&, Moments const&, Tensor state, Optimizer const&);

  // Statistics, for who watches: they change nothing that a step reads, and add to what lies there.
  // summary (4) f64: Σ v, Σ v², the least v, the largest v, of v = x − before, or x where `before` is empty. Begin it
  // with 0, 0, ∞, −∞. A NaN makes the sums NaN and is neither least nor largest.
  void summarize(Tensor summary, Tensor x, Tensor before = {});
  // largest (C), wide: the maximum of largest[c] and all |x[…, c]|; begin it with 0. NaN is passed over.
  void largest_columns(Tensor largest, Tensor x);
  // sum (1) i64, modulo 2^64: Σ of checksum.h's terms of x's bytes, whatever their type: equal for equal bits on every
  // device.
  void checksum(Tensor sum, Tensor x);

  /// Runs `ops`, which must call the same ops on the same memory each time: what changes from call to call lies in
  /// backend memory, and none of them uploads or downloads. A device that has graphs captures them into `recording`,
  /// empty at first, and replays that, with the same bits; others, and any with an observer, call `ops`.
  void replay(std::unique_ptr<Recording>& recording, std::function<void()> const& ops);

  // Observers. The model says where it is with a Scope; without an observer this costs two stores. Returns the one
  // before.
  Observer observe(Observer observer) { return std::exchange(observer_, std::move(observer)); }
  class Scope {
   public:
    Scope(Backend& b, Phase phase, int layer = -1) : backend_(b), before_{b.phase_, b.layer_} {
      b.phase_ = phase, b.layer_ = layer;
    }
    ~Scope() { backend_.phase_ = before_.first, backend_.layer_ = before_.second; }
    Scope(Scope const&) = delete;

   private:
    Backend& backend_;
    std::pair<Phase, int> before_;
  };

 protected:
  Tensor scratch_;  // (scratch_bytes) u8

  // Default bodies of the fused ops; an override may fall back on them.
  virtual void do_linear_gelu(Tensor, Tensor, Tensor, Affine const&);
  virtual void do_linear_gelu_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Affine const&);

 private:
  virtual void do_upload(Tensor to, void const* from) = 0;
  virtual void do_download(void* to, Tensor from) = 0;
  virtual void do_copy(Tensor, Tensor) = 0;
  virtual void do_zero(Tensor) = 0;
  virtual void do_replay(std::unique_ptr<Recording>&, std::function<void()> const& ops);
  virtual void do_prepare(Weight const&) = 0;
  virtual void do_embed(Tensor, Tensor, Tensor, Weight const&, Weight const&) = 0;
  virtual void do_embed_backward(Tensor, Tensor, Tensor, Weight const&, Weight const&) = 0;
  virtual void do_gather(Tensor, Tensor, Tensor) = 0;
  virtual void do_layer_norm(Tensor, Tensor, Tensor, Affine const&) = 0;
  virtual void do_layer_norm_backward(Tensor, Tensor, Tensor, Tensor, Affine const&) = 0;
  virtual void do_linear(Tensor, Tensor, Affine const&) = 0;
  virtual void do_linear_backward(Tensor, Tensor, Tensor, Affine const&) = 0;
  virtual void do_gelu(Tensor, Tensor) = 0;
  virtual void do_gelu_backward(Tensor, Tensor, Tensor) = 0;
  virtual void do_dropout_add(Tensor, Tensor, Tensor, Dropout const&) = 0;
  virtual void do_dropout_backward(Tensor, Tensor, Dropout const&) = 0;
  virtual void do_attention(Tensor, Tensor, Tensor, Dropout const&) = 0;
  virtual void do_attention_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Dropout const&) = 0;
  virtual void do_cached_attention(Tensor, Tensor, Tensor, Ragged const&) = 0;
  virtual void do_head(Tensor, Tensor, Weight const&) = 0;
  virtual void do_token_loss(Tensor, Tensor, Weight const&, Tensor) = 0;
  virtual void do_classifier(Tensor, Tensor, Tensor, Weight const&, Targets const&, Tensor,
                             ClassifierOptions const&) = 0;
  virtual void do_begin_step(Tensor, Tensor) = 0;
  virtual void do_add_norm(Tensor, Tensor) = 0;
  virtual void do_decide_step(Tensor, DecideOptions const&) = 0;
  virtual void do_optimize(Weight const&, Moments const&, Tensor, Optimizer const&) = 0;
  virtual void do_summarize(Tensor, Tensor, Tensor) = 0;
  virtual void do_largest_columns(Tensor, Tensor) = 0;
  virtual void do_checksum(Tensor, Tensor) = 0;
  void tell(char const* op, std::initializer_list<Tensor> outputs) const;

  Observer observer_;
  Phase phase_ = Phase::forward;
  int layer_ = -1;
};

/// Naive loops in f32, f64 and complex<f64>: the executable form of the formulas above. New memory is NaN.
FOLIO_API std::unique_ptr<Backend> make_reference_backend();

/// f32, bf16 and f16 on the processor; `threads` 0 takes default_threads() of info.h. Throws Fault::device where AVX2
/// or FMA is missing.
FOLIO_API std::unique_ptr<Backend> make_cpu_backend(int threads = 0);

struct CudaOptions {
  int device = 0;     // of those that the driver shows
  bool tf32 = false;  // products of f32 in training read their factors rounded to 10 bits of fraction
  bool graph = true;  // replay captures; false: every op is launched by itself, for comparison
};
/// f32 and bf16 on an NVIDIA GPU, by the plug-in folio-cuda.so. Throws Fault::device where the plug-in, a driver or
/// that GPU is missing, with a sentence that says which.
FOLIO_API std::unique_ptr<Backend> make_cuda_backend(CudaOptions const& = {});

}  // namespace folio

// One optimizer step of any number of micro-batches. The trainer owns the training memory, one arena a role, and knows
// no device: a step is uploads, then nothing but ops on memory that stays in place, so that a device may replay it.
#pragma once

#include "backend/communicator.h"
#include "core/api.h"
#include "data/batch.h"
#include "model/gpt2.h"
#include "train/groups.h"

namespace folio::train {

struct TrainerOptions {
  model::Config config;
  DType dtype = DType::f32;  // computed in; masters, gradients and moments are wide
  int64_t batch = 1;         // B, sequences a micro-batch
  int64_t accumulate = 1;    // A, micro-batches a step
  int64_t length = 1;        // T ≤ config.context
  int64_t chunk = 64;        // tokens whose logits exist at once
  model::Recompute recompute = model::Recompute::none;
  uint64_t seed = 1;       // of initialisation and dropout
  bool initialise = true;  // false: the caller fills the weights, from a file
  Decay decay = Decay::matrices;
  Optimizer optimizer;
  std::vector<Group> groups = {};  // tensors that differ from it
  double loss_scale = 1;           // f16: what the scaler begins at
  DecideOptions decide;            // its scale_every is of f16 alone
  ClassifierOptions classifier;
  bool verify = false;  // memory for verified_step
};

/// Looks at a step from inside: it may call ops of the backend on memory of its own, and waits for nothing.
class StepWatch {
 public:
  virtual ~StepWatch() = default;
  /// Will the next step see the ops that the steps before saw? Then a device may replay it; else it runs op by op.
  virtual bool same_ops() const = 0;
  virtual void done(Event const&) = 0;  // after each op
  /// Around the update of a tensor, of this number in the order of for_each. Its gradient is summed over all ranks and
  /// not clipped.
  virtual void before_update(size_t number, Weight const&) = 0;
  virtual void after_update(size_t number, Weight const&) = 0;
};

class FOLIO_API Trainer {
 public:
  /// Plans, takes the memory, initialises as GPT-2. One of several ranks brings its communicator, and the same options.
  /// Fault::value where an option is out of range.
  Trainer(Backend&, TrainerOptions const&, std::unique_ptr<Communicator> = nullptr);

  /// The memory that such a trainer takes, by role: its own layout, without the memory. The same faults.
  static std::vector<MemoryRole> plan(Backend&, TrainerOptions const&);

  /// A rank's batch is its share of the global one: a step of all ranks is the step of one with all shares.
  /// Fault::value where the batch is not of the options' shape, or the rate is negative or no number; Fault::content
  /// where no target counts, or for a token that the vocabulary lacks; Fault::failed where another rank has left, as
  /// this one does where it throws.
  void step(data::HostBatch const&, double rate);
  /// The same step, computed twice: the gradients, the step's numbers and the update of each tensor, compared bit for
  /// bit by checksums. Fault::failed where they differ, naming the first tensor that does; weights and moments are then
  /// not to be trusted. Asks for options().verify.
  void verified_step(data::HostBatch const&, double rate);
  /// Adds the gradients of a batch to those that lie there: a step without zeroing, without the sum over ranks and
  /// without the update.
  void accumulate(data::HostBatch const&, double rate);

  /// From now on; null: nobody. Not owned.
  void watch(StepWatch* watch);

  Tensor evaluate();  // hidden (B, T, C) of the first uploaded micro-batch, without dropout

  StepState state() const;  // waits for the step
  void set_state(StepState const&);

  TrainerOptions const& options() const { return options_; }
  model::Weights const& weights() const { return weights_; }
  std::vector<Moments> const& moments() const { return moments_; }  // in the order of for_each
  model::Acts const& acts() const { return acts_; }
  std::vector<Arena*> arenas();  // the memory, by role and name

 private:
  struct OnlyPlanned {};
  [[gnu::visibility("hidden")]] Trainer(OnlyPlanned, Backend&, TrainerOptions const&, std::unique_ptr<Communicator>);
  [[gnu::visibility("hidden")]] void lay_out();
  [[gnu::visibility("hidden")]] void lay_out_verification();
  [[gnu::visibility("hidden")]] void upload(data::HostBatch const&, double rate);
  [[gnu::visibility("hidden")]] void compute_gradients();  // of what was uploaded
  [[gnu::visibility("hidden")]] void take_gradients();     // the same from zero, over all ranks; and the decision
  [[gnu::visibility("hidden")]] void optimize(size_t number, Weight const&, StepWatch*);
  [[gnu::visibility("hidden")]] void update();
  struct Taken;
  [[gnu::visibility("hidden")]] Taken taken();  // what take_gradients left
  [[gnu::visibility("hidden")]] void compare(Taken const& first, Taken const& second) const;
  [[gnu::visibility("hidden")]] void update_twice();

  Backend& backend_;
  TrainerOptions options_;
  std::unique_ptr<Communicator> communicator_;
  model::WeightArenas parameters_;
  Arena m_{"first moments"}, v_{"second moments"}, inputs_{"inputs"}, activations_{"activations"},
      deltas_memory_{"activation gradients"}, scratch_memory_{"scratch"}, verification_{"verification"};
  model::Weights weights_;
  std::vector<Moments> moments_;
  std::vector<TensorRule> rules_;  // as moments_
  model::Acts acts_;
  model::Deltas deltas_;
  Tensor tokens_;         // (A, B, T) i32
  Tensor targets_;        // (A, B, T) i32
  Tensor token_weights_;  // (A, B, T) f32
  Tensor sequences_;      // (A, B) i64
  Tensor positions_;      // (B, T) i32
  Tensor state_;          // (sizeof StepState) u8
  Tensor input_;          // (sizeof StepInput) u8
  Tensor scratch_;        // (scratch_bytes) u8
  // Of verified_step, where the options ask for it.
  Tensor sums_;    // (2, tensors, 4) i64: checksums of each way; of a tensor's gradient, or of its parts
  Tensor copies_;  // (1 + moments, elements of the largest tensor) wide: a weight and its moments before their update
  StepWatch* watch_ = nullptr;
  std::unique_ptr<Recording> recording_;  // of step's ops
};

}  // namespace folio::train

// What the tensors of a run are like while it trains: weights, gradients, updates and activations, summed up by ops of
// the backend in memory of its own. It changes no bit of the run. Every step it notes which units of GELU were active;
// the rest is taken in the steps that are asked for, which run op by op, while the others may be replayed.
#pragma once

#include <optional>

#include "train/history.h"
#include "train/trainer.h"

namespace folio::train {

inline constexpr double kQuiet = 1e-3;  // a unit whose GELU gave less in size, all period long, is quiet

struct ActiveUnits {                // what is carried from step to step, for a checkpoint
  int64_t since = 0;                // the step that the period began after
  std::vector<std::string> layers;  // hex digits, four units each, the first the highest bit: set where not quiet
};

class StatisticsTaker final : public StepWatch {
 public:
  /// Plans and takes its memory and watches the trainer from now on; it must outlive the trainer's last step.
  StatisticsTaker(Backend&, Trainer&);
  ~StatisticsTaker() override;

  /// What it takes for such a model computed in that type: its own layout, without the memory.
  static MemoryRole plan(model::Config const&, DType);

  /// The step that follows is taken in full.
  void ask();
  /// After such a step: what it was like, and the period begins anew. `loss_scale`: what its gradients were multiplied
  /// by.
  Statistics take(int64_t step, double loss_scale);

  ActiveUnits active() const;
  /// Throws Fault::content where they are not of this model; `name` is for the sentence.
  void restore(ActiveUnits const&, std::string const& name);
  /// The period begins after this step.
  void begin_at(int64_t step);

  bool same_ops() const override { return !asked_; }
  void done(Event const&) override;
  void before_update(size_t number, Weight const&) override;
  void after_update(size_t number, Weight const&) override;

 private:
  enum Part { weights, updates, gradients };
  struct Views {
    Tensor summaries;  // (3 · tensors + activations, 4) f64: see Backend::summarize
    Tensor largest;    // (L, 4C) wide: of each unit of GELU in the period
    Tensor before;     // (elements of the largest tensor) wide: a weight before its update
  };
  static Views lay_out(Arena&, model::Config const&, DType);
  Tensor of_tensor(size_t number, Part part) const { return at_.summaries[int64_t(3 * number) + part]; }
  Tensor of_activation(size_t number) const { return at_.summaries[int64_t(3 * names_.size() + number)]; }
  void count_tensors(Statistics&, std::vector<double> const& summaries, double loss_scale) const;

  Backend& backend_;
  Trainer& trainer_;
  Arena arena_{"statistics"};
  Views at_;
  std::vector<std::string> names_;        // of the tensors
  std::vector<std::string> activations_;  // their names
  bool asked_ = false;
  int64_t since_ = 0;
  enum { attention, mlp, residual } next_ = attention;  // what a block's next projection or sum is of
};

}  // namespace folio::train

// What `folio train` shows: the opening lines, the progress line, the curve at the end.
#pragma once

#include "core/progress.h"
#include "model/sizes.h"
#include "report/terminal_curve.h"
#include "train/loop.h"
#include "train/memory.h"

namespace folio::cli {

/// Parameters by part, what tying saves, effective batch, tokens an epoch, memory by role.
std::string opening_lines(model::Config const&, train::RunOptions const&, std::string const& computing,
                          int64_t tokens_in_epoch, train::MemoryPlan const& memory);

/// "2 micro-batches × 6 sequences × 256 tokens = 3,072 tokens a step"
std::string batch_text(train::RunOptions const&, int64_t context);

/// "norm 0.13", or "norm not finite".
std::string number_text(char const* name, double value, int digits);

class TrainScreen : public train::Watcher {
 public:
  TrainScreen(int64_t steps, std::string run) : steps_(steps), run_(std::move(run)) {}
  void begin_at(train::RunState const&);  // a resumed run: what was reached before
  void stepped(train::StepReport const&) override;
  void evaluated(train::EvalReport const&) override;
  void diagnosed(train::Finding const&) override;
  void sampled(train::Sample const&) override;
  void saved(train::SaveReport const&) override;
  void refused(train::StepReport const&, int64_t in_a_row) override;
  void spiked(train::StepReport const&, train::Spike const&) override;
  void rolled_back(train::Rollback const&) override;
  void overflowed(train::StepReport const&, double next_loss_scale) override;
  void finish() { progress_.finish(); }

 private:
  std::string with_run(std::string text) const;

  Progress progress_;
  int64_t steps_, counted_ = 0, last_spike_ = -1;
  std::string run_;
  double val_ = 0, first_seconds_ = 0, shown_loss_ = NAN, begun_with_ = NAN;
  bool has_val_ = false, end_said_ = false;
};

/// The curve of a run; empty where there is nothing to draw.
std::string curve_of(train::History const&);

}  // namespace folio::cli

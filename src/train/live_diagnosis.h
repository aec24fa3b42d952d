// The diagnosis of a run while it goes on: its history as it is logged, looked at again and again.
#pragma once

#include <optional>

#include "core/arena.h"
#include "data/dataset.h"
#include "train/diagnosis.h"

namespace folio::train {

class LiveDiagnosis {
 public:
  explicit LiveDiagnosis(Facts facts) : facts_(std::move(facts)) {}

  /// What it holds by the end of a run, in the process' own memory; of a run of more than a million steps, by that one.
  static constexpr char const* kRole = "log";
  static MemoryRole plan(RunOptions const&, model::Config const&);

  void begin(DataFacts const&);          // of a run that begins
  void read_again(Path const& metrics);  // what was logged so far
  void add(StepReport const& r) { history_.steps.push_back(r); }
  void add(EvalReport const& r) { history_.evals.push_back(r); }
  void add(Statistics const& s) { history_.statistics.push_back(what_rules_read(s)); }
  void add(Broken const& b) { history_.broken.push_back(b); }

  /// Is it time to look, after this step? Each hundredth of the run, whatever happens.
  bool due(int64_t step) const;
  /// The main finding, where its state or grade is another than when this was asked last. A run begins healthy.
  std::optional<Finding> changed();

  /// As it was logged, of statistics and samples what rules read.
  History const& history() const { return history_; }

 private:
  static Statistics what_rules_read(Statistics const&);  // some hundred bytes
  size_t steps() const;                                  // room for so many
  Facts facts_;
  History history_;
};

/// Counts what the rules need to know of the data, before the first step: seconds at most, however large they are.
DataFacts facts_of(data::Dataset const&);

}  // namespace folio::train

// The diagnosis of a run while it goes on: its history as it is logged, looked at again and again.
#pragma once

#include <optional>

#include "data/dataset.h"
#include "train/diagnosis.h"

namespace folio::train {

class LiveDiagnosis {
 public:
  explicit LiveDiagnosis(Facts facts) : facts_(std::move(facts)) {}

  /// What was logged so far: of a run that is resumed, or one that begins.
  void set_history(History);
  void add(StepReport const& r) { history_.steps.push_back(r); }
  void add(EvalReport const& r) { history_.evals.push_back(r); }
  void add(Statistics const&);  // keeps what rules read: some hundred bytes
  void add(Broken const& b) { history_.broken.push_back(b); }

  /// Is it time to look, after this step? Each hundredth of the run, whatever happens.
  bool due(int64_t step) const;
  /// The main finding, where its state or grade is another than when this was asked last. A run begins healthy.
  std::optional<Finding> changed();

 private:
  Facts facts_;
  History history_;
};

/// Counts what the rules need to know of the data, before the first step: seconds at most, however large they are.
DataFacts facts_of(data::Dataset const&);

}  // namespace folio::train

// Where the time of a step goes: an observer that waits for each op, so that its time is its own and not the queue's.
#pragma once

#include <map>

#include "cli/bench.h"

namespace folio::cli {

class OpTimes {
 public:
  /// `probe` is any tensor of the backend: reading an element waits for what was queued. Observes until destroyed.
  OpTimes(Backend&, Tensor probe);
  ~OpTimes();
  OpTimes(OpTimes const&) = delete;

  void begin();                        // what runs from now on until the first op's end is that op's
  std::vector<BenchRow> rows() const;  // an op and phase each, the longest first; of 100 % together

 private:
  void wait();

  Backend& backend_;
  Tensor probe_;
  double last_ = 0;
  struct Spent {
    double seconds = 0;
    int64_t calls = 0;
  };
  std::map<std::pair<std::string, Phase>, Spent> spent_;
};

}  // namespace folio::cli

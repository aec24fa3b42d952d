// Event files of TensorBoard: what metrics.jsonl has, as scalars.
//
// A file is TFRecords: u64 length, u32 checksum of the length, the bytes, u32 their checksum, little-endian; a checksum
// is CRC-32C (Castagnoli), turned right by 15 bits, + 0xa282ead8. Each record is a protobuf message Event
// (tensorflow/core/util/event.proto) with wall_time (1), step (2) and one of file_version (3), summary (5), session_log
// (7). A resumed run begins another file; a session_log START in it makes TensorBoard drop what older files have from
// that step on.
#pragma once

#include "train/loop.h"

namespace folio::train {

class TensorBoard final : public Watcher {
 public:
  /// A new file in `folder`, which is made. `first`: the step that comes next, 1 in a new run.
  TensorBoard(Path const& folder, int64_t first);

  void stepped(StepReport const&) override;
  void evaluated(EvalReport const&) override;
  void measured(Statistics const&) override;
  void rolled_back(Rollback const&) override;  // what was written of the steps behind is dropped

 private:
  void begin_at(int64_t step);
  using Scalars = std::vector<std::pair<std::string, double>>;
  void write(int64_t step, Scalars const&);
  void record(int64_t step, std::string const& payload);
  AppendFile file_;
};

/// Hands everything on to several.
class Watchers final : public Watcher {
 public:
  explicit Watchers(std::vector<Watcher*> all) : all_(std::move(all)) {}
  void stepped(StepReport const& r) override { each(&Watcher::stepped, r); }
  void evaluated(EvalReport const& r) override { each(&Watcher::evaluated, r); }
  void measured(Statistics const& s) override { each(&Watcher::measured, s); }
  void diagnosed(Finding const& f) override { each(&Watcher::diagnosed, f); }
  void sampled(Sample const& s) override { each(&Watcher::sampled, s); }
  void saved(SaveReport const& r) override { each(&Watcher::saved, r); }
  void refused(StepReport const& r, int64_t in_a_row) override { each(&Watcher::refused, r, in_a_row); }
  void spiked(StepReport const& r, Spike const& s) override { each(&Watcher::spiked, r, s); }
  void rolled_back(Rollback const& r) override { each(&Watcher::rolled_back, r); }
  void overflowed(StepReport const& r, double scale) override { each(&Watcher::overflowed, r, scale); }

 private:
  template <class F, class... Arguments>
  void each(F f, Arguments const&... arguments) {
    for (Watcher* w : all_) (w->*f)(arguments...);
  }
  std::vector<Watcher*> all_;
};

}  // namespace folio::train

// Which windows of a split a training step reads. The whole state is two integers, so a run resumes in the middle of
// an epoch bit for bit.
//
//   shuffled   An epoch begins at an offset drawn in [0, T), cuts the rest into windows of T that do not overlap, and
//              takes each once, in the order of a permutation drawn for the epoch. A step may end one epoch and begin
//              the next. The offset moves the borders, so that no token is always first.
//   random     Row g of step s begins at random_below(seed, data, s, g, n − T), which is uniform over every place
//              where T ids and a target behind the last lie in the split: drawn anew each time, as nanoGPT does.
//
// Row g = (rank·A + a)·B + b of a step is numbered over all ranks and micro-batches; its window and its dropout depend
// on g only, so neither accumulation nor ranks change a step. Targets are the next ids, over document borders too;
// an id that the loss mask leaves out is a target of −1 and weighs nothing.
#pragma once

#include <optional>
#include <string>

#include "core/api.h"
#include "data/batch.h"
#include "data/dataset.h"

namespace folio::data {

class Permutation;

enum class Windows { shuffled, random };
FOLIO_API Windows windows_of(std::string const& name);  // Fault::value for another word

struct BatcherOptions {
  int64_t batch = 1;       // B, sequences a micro-batch
  int64_t accumulate = 1;  // A, micro-batches a step, of this rank
  int64_t context = 1;     // T
  Windows windows = Windows::shuffled;
  uint64_t seed = 1;
  int64_t rank = 0, ranks = 1;
};

class FOLIO_API Batcher {
 public:
  struct State {
    int64_t epoch = 0;     // shuffled: epochs done; random: 0
    int64_t position = 0;  // shuffled: windows taken in this epoch; random: steps done
    bool operator==(State const&) const = default;
  };

  /// Throws Fault::content where the split has no window of T ids and a target. The split outlives the batcher.
  Batcher(Split const&, BatcherOptions const&);

  void next(HostBatch&);  // all micro-batches of this rank's step; vectors are resized

  State state() const { return state_; }
  bool has(State const&) const;  // it can be of this split and these options
  void restore(State const&);    // throws Fault::content for one that cannot

  int64_t windows_in_epoch(int64_t epoch) const;  // shuffled
  /// Tokens that an epoch shows, near enough for "tokens an epoch": windows · T of epoch 0; random: those of the split.
  int64_t tokens_in_epoch() const;

 private:
  [[gnu::visibility("hidden")]] int64_t offset(int64_t epoch) const;
  [[gnu::visibility("hidden")]] int64_t random_start(int64_t row) const;
  [[gnu::visibility("hidden")]] int64_t take_shuffled(std::optional<Permutation>& order);

  Split const& split_;
  BatcherOptions o_;
  State state_;
};

}  // namespace folio::data

#include "data/batcher.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "data/permutation.h"
#include "data/windows.h"

namespace folio::data {

Windows windows_of(std::string const& name) {
  check(name == "shuffled" || name == "random", Fault::value, "windows {}: it is shuffled or random", name);
  return name == "random" ? Windows::random : Windows::shuffled;
}

Batcher::Batcher(Split const& split, BatcherOptions const& o) : split_(split), o_(o) {
  check(o.batch > 0 && o.accumulate > 0 && o.context > 0 && o.ranks > 0 && o.rank >= 0 && o.rank < o.ranks,
        "a batcher of {} × {} × {}, rank {} of {}", o.accumulate, o.batch, o.context, o.rank, o.ranks);
  check(split.tokens() > o.context, Fault::content,
        "the split {} has {} tokens, but a window of context {} takes {}: choose --context {} or less, or more text",
        split.name(), split.tokens(), o.context, o.context + 1, std::max<int64_t>(split.tokens() - 1, 1));
}

int64_t Batcher::offset(int64_t epoch) const {
  int64_t const choices = std::min(o_.context, split_.tokens() - o_.context);  // one window at least
  return static_cast<int64_t>(
      random_below(o_.seed, Domain::data, static_cast<uint32_t>(epoch), 0, static_cast<uint64_t>(choices)));
}

int64_t Batcher::windows_in_epoch(int64_t epoch) const { return (split_.tokens() - 1 - offset(epoch)) / o_.context; }

int64_t Batcher::tokens_in_epoch() const {
  return o_.windows == Windows::random ? split_.tokens() : windows_in_epoch(0) * o_.context;
}

bool Batcher::has(State const& s) const {
  return s.epoch >= 0 && s.epoch <= UINT32_MAX && s.position >= 0 &&
         (o_.windows == Windows::random ? s.epoch == 0 && s.position <= UINT32_MAX
                                        : s.position < windows_in_epoch(s.epoch));
}

void Batcher::restore(State const& s) {
  check(has(s), Fault::content, "the position in the data (epoch {}, {}) is none of the split {} with context {}",
        s.epoch, s.position, split_.name(), o_.context);
  state_ = s;
}

int64_t Batcher::random_start(int64_t row) const {
  return static_cast<int64_t>(random_below(o_.seed, Domain::data, static_cast<uint32_t>(state_.position),
                                           static_cast<uint64_t>(row),
                                           static_cast<uint64_t>(split_.tokens() - o_.context)));
}

int64_t Batcher::take_shuffled(std::optional<Permutation>& order) {
  int64_t const windows = windows_in_epoch(state_.epoch);
  if (!order) order.emplace(static_cast<uint64_t>(windows), o_.seed, static_cast<uint32_t>(state_.epoch));
  auto const window = static_cast<int64_t>((*order)(static_cast<uint64_t>(state_.position)));
  int64_t const start = offset(state_.epoch) + window * o_.context;
  if (++state_.position == windows) {
    state_ = {state_.epoch + 1, 0};
    order.reset();
  }
  return start;
}

void Batcher::next(HostBatch& batch) {
  int64_t const rows = o_.accumulate * o_.batch, T = o_.context;
  auto const size = static_cast<size_t>(rows * T);
  batch.tokens.resize(size);
  batch.targets.resize(size);
  batch.token_weights.resize(size);
  batch.sequences.resize(static_cast<size_t>(rows));
  batch.total_weight = 0;
  int64_t const mine = o_.rank * rows;  // my first row
  std::optional<Permutation> order;     // of the epoch at hand
  for (int64_t g = 0; g < rows * o_.ranks; ++g) {
    int64_t const start = o_.windows == Windows::random ? random_start(g) : take_shuffled(order);
    if (g < mine || g >= mine + rows) {
      batch.total_weight += window_weight(split_, start, T);
      continue;
    }
    batch.total_weight += fill_window(split_, start, g - mine, T, batch);
    batch.sequences[static_cast<size_t>(g - mine)] = g;
  }
  if (o_.windows == Windows::random) ++state_.position;
}

}  // namespace folio::data

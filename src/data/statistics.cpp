#include "data/statistics.h"

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace folio::data {
namespace {

constexpr int64_t kPiece = 1 << 16;  // ids read at once

template <class Each>
void for_each_id(Split const& split, Counted const& progress, Each each) {
  std::vector<int32_t> ids;
  for (int64_t begin = 0; begin < split.tokens(); begin += kPiece) {
    ids.resize(static_cast<size_t>(std::min(kPiece, split.tokens() - begin)));
    split.read(begin, ids);
    for (int32_t const id : ids) each(id);
    if (progress) progress(begin + static_cast<int64_t>(ids.size()), split.tokens());
  }
}

// Σ (id + 1) · base^(W − 1 − i) mod 2⁶⁴ (Karp, Rabin 1987). The places in the table come from its upper half.
constexpr uint64_t kBase = 0x9E3779B97F4A7C15u;

class Windows {  // distinct ones, in open addressing, at most half full
 public:
  Windows(Split const& split, int64_t W, int64_t most) : split_(split), here_(size_t(W)), there_(size_t(W)) {
    int64_t const all = split.tokens() / W, count = std::min(all, most);
    slots_.resize(std::bit_ceil(static_cast<size_t>(std::max<int64_t>(2 * count, 2))));
    for (int64_t j = 0; j < count; ++j) add(j * (all / count) * W);
  }
  int64_t count() const { return count_; }
  void seen(uint64_t hash, Split const& hay, int64_t start) {
    if (Slot* const slot = find(hash, hay, start); slot->windows > 0) slot->places = std::min(slot->places + 1, 2u);
  }
  int64_t found(uint32_t places) const {
    int64_t sum = 0;
    for (Slot const& s : slots_)
      if (s.places >= places) sum += s.windows;
    return sum;
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    int64_t start = 0;
    uint32_t windows = 0;  // of needles that are these ids; 0: free
    uint32_t places = 0;   // in the hay; 2: two or more
  };
  // The slot of the window at `start` of `split`, or the free one where it would go.
  Slot* find(uint64_t hash, Split const& split, int64_t start) {
    size_t const mask = slots_.size() - 1;
    for (size_t at = (hash * kBase >> 32) & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.windows == 0) return &slot;
      if (slot.hash != hash) continue;
      split_.read(slot.start, here_);
      split.read(start, there_);
      if (here_ == there_) return &slot;
    }
  }
  void add(int64_t start) {
    split_.read(start, here_);
    uint64_t hash = 0;
    for (int32_t const id : here_) hash = hash * kBase + uint64_t(id) + 1;
    Slot* const slot = find(hash, split_, start);
    if (slot->windows == 0) *slot = {hash, start, 0, 0};
    ++slot->windows;
    ++count_;
  }

  Split const& split_;
  int64_t count_ = 0;
  std::vector<int32_t> here_, there_;
  std::vector<Slot> slots_;
};

}  // namespace

std::vector<int64_t> count_ids(Split const& split, Counted const& progress) {
  std::vector<int64_t> counts(static_cast<size_t>(split.vocab()), 0);
  for_each_id(split, progress, [&](int32_t id) { ++counts[static_cast<size_t>(id)]; });
  return counts;
}

Recurrence find_windows(Split const& needles, Split const& hay, int64_t W, int64_t most, Counted const& progress) {
  check(W >= 1 && most >= 1, "{} windows of {} ids", most, W);
  Windows windows(needles, W, most);
  uint64_t last = 1;  // base^W: what leaves the window
  for (int64_t i = 0; i < W; ++i) last *= kBase;
  std::vector<int32_t> ring(static_cast<size_t>(W), -1);  // −1 adds 0 to the hash
  uint64_t hash = 0;
  int64_t at = 0;
  for_each_id(hay, progress, [&](int32_t id) {
    int32_t& oldest = ring[static_cast<size_t>(at % W)];
    hash = hash * kBase + uint64_t(id) + 1 - last * (uint64_t(int64_t(oldest)) + 1);
    oldest = id;
    if (++at >= W) windows.seen(hash, hay, at - W);
  });
  return {windows.count(), windows.found(&needles == &hay ? 2 : 1)};
}

}  // namespace folio::data

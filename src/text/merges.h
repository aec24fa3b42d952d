// Byte pair encoding of one word: its bytes become ids, then the neighbours whose pair has the lowest rank, the
// leftmost of them first, are replaced by the pair's result, until no pair has a rank (Sennrich, Haddow, Birch 2016,
// with the order of GPT-2). A short word is scanned for its lowest pair each time; a long one keeps its pairs in
// buckets by rank, so that n bytes take n log n time whatever they are.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace folio::text {

struct Merge {
  uint32_t left, right, result;  // ids
};

class Merges {
 public:
  /// `byte_ids` are the ids of the 256 bytes; `ranked` the merges, the first to be applied first, no pair twice.
  Merges(std::array<uint32_t, 256> const& byte_ids, std::vector<Merge> ranked);

  class Work;  // memory that the long words of one call share
  /// Appends the word's ids. `word` has fewer than 2^32 bytes.
  void apply(std::string_view word, std::vector<int32_t>& ids, Work&) const;

  std::vector<Merge> const& ranked() const { return ranked_; }
  uint32_t byte_id(unsigned char byte) const { return byte_ids_[byte]; }

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;
  static constexpr size_t kShort = 40;  // bytes up to which scanning is the faster

  uint32_t rank(uint32_t left, uint32_t right) const {
    auto const key = uint64_t{left} << 32 | right;
    for (auto at = key * kMix >> shift_;; at = (at + 1) & mask_) {
      auto const& slot = slots_[at];
      if (slot.key == key || slot.rank == kNoRank) return slot.rank;
    }
  }
  void apply_short(std::string_view word, std::vector<int32_t>& ids) const;
  void apply_long(std::string_view word, std::vector<int32_t>& ids, Work&) const;

  struct Slot {
    uint64_t key = 0;
    uint32_t rank = kNoRank;
  };
  static constexpr uint64_t kMix = 0x9e3779b97f4a7c15;
  std::array<uint32_t, 256> byte_ids_;
  std::vector<Merge> ranked_;
  std::vector<Slot> slots_;  // open addressing, at most half full
  uint64_t mask_ = 0;
  int shift_ = 0;
};

class Merges::Work {
  friend class Merges;
  struct Bucket {                  // the places whose pair has one rank, taken from left to right
    std::vector<uint32_t> places;  // in the order found, sorted when the first is taken
    size_t taken = 0;
    std::vector<uint32_t> late;  // a heap of those found after that
    bool open = false;
    uint32_t take();
    bool empty() const { return taken == places.size() && late.empty(); }
  };
  void start(std::string_view word, size_t ranks);
  void add(uint32_t rank, uint32_t place);
  void drop_lowest();

  // One element a byte of the word; a place is the first byte of a symbol.
  std::vector<uint32_t> id, next, previous, rank;
  std::vector<uint32_t> bucket_of_rank;  // index into buckets, or none
  std::vector<Bucket> buckets;
  std::vector<uint32_t> unused;  // of buckets
  std::vector<uint32_t> ranks;   // a heap of the ranks that have a bucket, lowest on top
};

}  // namespace folio::text

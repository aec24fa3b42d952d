// The ids of the words met most lately in one call of encode: short words with few ids, which are nearly all. A word
// has one place, found by its hash; another word that falls there takes it over, so the memory is fixed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace folio::text {

class WordCache {
 public:
  static constexpr size_t kLongest = 15;  // bytes
  static constexpr size_t kIds = 3;

  struct Key {  // the word's bytes, filled up with zeros, and its length in the last byte: no two words have the same
    uint64_t low, high;
    bool operator==(Key const&) const = default;
  };
  struct Entry {
    Key key;  // 0 is no word's
    int32_t ids[kIds];
    uint32_t count;
    void keep(Key k, std::span<int32_t const> of) {
      if (of.size() > kIds) return;
      key = k;
      count = static_cast<uint32_t>(of.size());
      std::copy(of.begin(), of.end(), ids);
    }
  };

  explicit WordCache(size_t text_bytes) : entries_(std::bit_floor(std::clamp<size_t>(text_bytes / 16, 64, 32768))) {
    shift_ = 64 - std::countr_zero(entries_.size());
  }

  /// Of the `length` bytes, 1 to kLongest, at `word`; nothing at or after `end` is read.
  static Key key(char const* word, size_t length, char const* end) {
    static_assert(std::endian::native == std::endian::little);
    Key k;
    if (end - word >= 16) [[likely]] {
      std::memcpy(&k.low, word, 8);
      std::memcpy(&k.high, word + 8, 8);
      k.low &= kMasks[length].low;
      k.high &= kMasks[length].high;
    } else {
      char padded[16] = {};
      std::memcpy(padded, word, length);
      std::memcpy(&k.low, padded, 8);
      std::memcpy(&k.high, padded + 8, 8);
    }
    k.high |= uint64_t{length} << 56;
    return k;
  }
  Entry& entry(Key k) {
    auto const mixed = (k.low ^ std::rotl(k.high, 27)) * 0x9e3779b97f4a7c15;
    return entries_[(mixed ^ mixed >> 32) * 0xd6e8feb86659fd93 >> shift_];
  }

 private:
  static constexpr auto kMasks = [] {
    std::array<Key, kLongest + 1> masks{};
    for (size_t n = 0; n <= kLongest; ++n) {
      masks[n].low = n >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * n) - 1;
      masks[n].high = n <= 8 ? 0 : (uint64_t{1} << 8 * (n - 8)) - 1;
    }
    return masks;
  }();
  std::vector<Entry> entries_;
  int shift_ = 0;
};

}  // namespace folio::text

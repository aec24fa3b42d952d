// How often each word of a text occurs: what a tokenizer is trained on. Words are those of GPT-2's pre-tokenizer
// (text/words.h). Counts are 64-bit, and the table's content does not depend on the order in which it was filled.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_cache.h"

namespace folio::text {

class WordCounts {
 public:
  void add(std::string_view word, uint64_t times);  // an empty word is not counted
  void add(WordCounts const&);
  void count(std::string_view text);  // the words of a text, or of a part of it that ends where a word does

  size_t size() const { return size_; }      // distinct words
  uint64_t bytes() const { return bytes_; }  // of the distinct words
  uint64_t total() const { return total_; }  // words, each as often as it was counted

  /// f(word, count) for each, in no particular order.
  template <class F>
  void for_each(F f) const {
    for (Slot const& s : slots_) {
      if (s.count == 0) continue;
      if (is_long(s.key)) {
        f(std::string_view(long_words_[s.key.high & kIndex]), s.count);
      } else {
        char word[sizeof s.key];
        std::memcpy(word, &s.key, sizeof word);
        f(std::string_view(word, s.key.high >> 56), s.count);
      }
    }
  }

 private:
  // A word of up to WordCache::kLongest bytes is its key. A longer one has its hash and its place in long_words_.
  using Key = WordCache::Key;
  static constexpr uint64_t kLong = uint64_t{0xff} << 56, kIndex = ~kLong;
  static bool is_long(Key k) { return k.high >= kLong; }
  struct Slot {
    Key key{0, 0};
    uint64_t count = 0;  // 0: free
  };

  static uint64_t mixed(Key);
  void add(std::string_view word, char const* readable_end, uint64_t times);
  void add_short(Key, uint64_t times);
  void add_long(std::string_view word, uint64_t times);
  void added(uint64_t bytes);
  void grow();

  std::vector<Slot> slots_;  // open addressing, at most half full
  std::vector<std::string> long_words_;
  size_t size_ = 0;
  uint64_t bytes_ = 0, total_ = 0;
};

}  // namespace folio::text

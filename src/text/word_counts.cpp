#include "text/word_counts.h"

#include <functional>
#include <utility>

#include "text/words.h"

namespace folio::text {

uint64_t WordCounts::mixed(Key k) {
  auto const x = (k.low ^ std::rotl(is_long(k) ? kLong : k.high, 27)) * 0x9e3779b97f4a7c15;
  return (x ^ x >> 32) * 0xd6e8feb86659fd93;
}

void WordCounts::add(std::string_view word, char const* readable_end, uint64_t times) {
  total_ += times;
  if (word.size() <= WordCache::kLongest) add_short(WordCache::key(word.data(), word.size(), readable_end), times);
  else add_long(word, times);
}

void WordCounts::add(std::string_view word, uint64_t times) {
  if (!word.empty() && times > 0) add(word, word.data() + word.size(), times);
}

void WordCounts::add(WordCounts const& other) {
  other.for_each([&](std::string_view word, uint64_t times) { add(word, times); });
}

void WordCounts::count(std::string_view text) {
  Words const words;
  for (char const *at = text.data(), *const end = at + text.size(); at < end;) {
    auto const* const word = at;
    at = words.end_of_word(at, end);
    add({word, static_cast<size_t>(at - word)}, end, 1);
  }
}

void WordCounts::add_short(Key key, uint64_t times) {
  if (2 * (size_ + 1) > slots_.size()) grow();
  for (auto at = mixed(key) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& s = slots_[at];
    if (s.count > 0 && s.key != key) continue;
    if (s.count == 0) {
      s.key = key;
      added(key.high >> 56);
    }
    s.count += times;
    return;
  }
}

void WordCounts::add_long(std::string_view word, uint64_t times) {
  if (2 * (size_ + 1) > slots_.size()) grow();
  Key const key{std::hash<std::string_view>()(word), kLong | long_words_.size()};
  for (auto at = mixed(key) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& s = slots_[at];
    if (s.count > 0 && !(is_long(s.key) && s.key.low == key.low && long_words_[s.key.high & kIndex] == word)) continue;
    if (s.count == 0) {
      s.key = key;
      long_words_.emplace_back(word);
      added(word.size());
    }
    s.count += times;
    return;
  }
}

void WordCounts::added(uint64_t bytes) {
  ++size_;
  bytes_ += bytes;
}

void WordCounts::grow() {
  std::vector<Slot> const old = std::exchange(slots_, std::vector<Slot>(std::max<size_t>(1024, 2 * slots_.size())));
  for (Slot const& s : old) {
    if (s.count == 0) continue;
    auto at = mixed(s.key) & (slots_.size() - 1);
    while (slots_[at].count > 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = s;
  }
}

}  // namespace folio::text

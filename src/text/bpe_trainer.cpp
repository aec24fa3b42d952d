#include "text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "text/byte_letters.h"
#include "text/utf8.h"
#include "text/visible.h"

namespace folio::text {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

using Pair = uint64_t;  // left id · 2^32 + right id: ordered as pairs are
Pair pair_of(uint32_t left, uint32_t right) { return Pair{left} << 32 | right; }
uint32_t left_of(Pair p) { return static_cast<uint32_t>(p >> 32); }
uint32_t right_of(Pair p) { return static_cast<uint32_t>(p); }

struct PairHash {
  size_t operator()(Pair p) const {
    p *= 0x9e3779b97f4a7c15;
    return p ^ p >> 32;
  }
};

/// The tokens so far, and which of them a pair makes.
class Vocabulary {
 public:
  explicit Vocabulary(BpeTraining const& o) {
    for (auto const& special : o.specials) {
      check(!special.empty(), Fault::value, "a special token is empty: give it a name such as <|user|>");
      check(is_utf8(special), Fault::value, "the special token {} is not UTF-8", visible(special));
      auto const spelled = from_letters(special);
      check(!spelled || spelled->size() != 1, Fault::value,
            "the special token {} is how a byte is spelled: give it another name", visible(special));
      if (!specials_.insert(special).second) continue;
      parts.added.push_back({static_cast<int32_t>(parts.tokens.size()), special, true});
      parts.tokens.push_back(special);
    }
    std::array<std::pair<std::string, unsigned char>, 256> letters;
    for (int b = 0; b < 256; ++b) letters[b] = {to_letters(std::string(1, static_cast<char>(b))), b};
    std::ranges::sort(letters);  // by letter: UTF-8 sorts as code points do
    for (auto const& [letter, byte] : letters) byte_ids[byte] = add(std::string(1, static_cast<char>(byte)));
    check(o.vocab >= size(), Fault::value, "a vocabulary of {} has no room for {} special token{} and the 256 bytes",
          o.vocab, specials_.size(), specials_.size() == 1 ? "" : "s");
  }

  int64_t size() const { return static_cast<int64_t>(parts.tokens.size()); }
  uint32_t length(uint32_t id) const { return static_cast<uint32_t>(parts.tokens[id].size()); }

  /// The token of the pair joined; kNone where a special token is spelled so.
  uint32_t join(Pair pair) {
    auto bytes = parts.tokens[left_of(pair)] + parts.tokens[right_of(pair)];
    if (specials_.contains(to_letters(bytes))) return kNone;
    auto const id = add(std::move(bytes));
    parts.merges.push_back({left_of(pair), right_of(pair), id});
    return id;
  }

  BpeParts parts;
  std::array<uint32_t, 256> byte_ids{};

 private:
  uint32_t add(std::string bytes) {
    parts.tokens.push_back(std::move(bytes));
    return static_cast<uint32_t>(parts.tokens.size() - 1);
  }

  std::unordered_set<std::string> specials_;
};

/// The distinct words as symbols, one behind the other. A place is a byte of them; a symbol's id stands at its first
/// and at its last byte, kNone at those between and behind each word, so the neighbours of a symbol are found from the
/// lengths of tokens.
class Symbols {
 public:
  Symbols(WordCounts const& words, Vocabulary const& vocabulary) : vocabulary_(vocabulary) {
    auto const bytes = words.bytes() + words.size() + 1;
    check(bytes < kNone, Fault::memory, "the distinct words have {} bytes, and fewer than 2^32 can be held", bytes);
    ids_.reserve(bytes);
    words_.reserve(bytes);
    counts_.reserve(words.size());
    ids_.push_back(kNone);
    words_.push_back(0);
    words.for_each([&](std::string_view word, uint64_t count) {
      for (char const c : word) ids_.push_back(vocabulary.byte_ids[static_cast<unsigned char>(c)]);
      ids_.push_back(kNone);
      words_.resize(ids_.size(), static_cast<uint32_t>(counts_.size()));
      counts_.push_back(count);
    });
  }

  uint32_t places() const { return static_cast<uint32_t>(ids_.size()); }
  uint32_t at(uint32_t place) const { return ids_[place]; }
  uint32_t before(uint32_t place) const { return ids_[place - 1]; }
  uint32_t next(uint32_t place) const { return place + vocabulary_.length(ids_[place]); }
  uint64_t count(uint32_t place) const { return counts_[words_[place]]; }

  bool stands(Pair pair, uint32_t place) const {
    return ids_[place] == left_of(pair) && ids_[next(place)] == right_of(pair);
  }
  void replace(Pair pair, uint32_t place, uint32_t by) {
    auto const middle = place + vocabulary_.length(left_of(pair)), end = middle + vocabulary_.length(right_of(pair));
    ids_[middle - 1] = ids_[middle] = kNone;
    ids_[place] = ids_[end - 1] = by;
  }

  uint64_t tokens() const {
    uint64_t sum = 0;
    for (uint32_t place = 0; place < places();) {
      auto const symbol = ids_[place] != kNone;
      sum += symbol ? count(place) : 0;
      place = symbol ? next(place) : place + 1;
    }
    return sum;
  }

 private:
  Vocabulary const& vocabulary_;
  std::vector<uint32_t> ids_, words_;  // by place: the word it belongs to
  std::vector<uint64_t> counts_;       // by word
};

/// A pair is queued once. For a token is made by one merge, which replaces it everywhere: what happens inside a stretch
/// of a word that no merge has crossed depends on its bytes alone, so equal stretches become one symbol by the same
/// merges. All the places of a pair therefore arise at once, when the later of its two tokens does, and from then on
/// its count only falls.
class Trainer {
 public:
  Trainer(WordCounts const& words, BpeTraining const& o)
      : least_(static_cast<int64_t>(std::clamp<uint64_t>(o.min_frequency, 1, INT64_MAX))),
        vocab_(o.vocab),
        vocabulary_(o),
        symbols_(words, vocabulary_) {}

  TrainedBpe train(std::function<void(int64_t)> const& progress) {
    queue_bytes();
    while (vocabulary_.size() < vocab_ && !queue_.empty()) {
      auto top = queue_.top();
      queue_.pop();
      auto const state = pairs_.find(top.pair);
      if (top.count != state->second.count) {  // it was queued with what it had then
        top.count = state->second.count;
        if (top.count >= least_) queue_.push(top);
        continue;
      }
      if (progress) progress(static_cast<int64_t>(vocabulary_.parts.merges.size()));
      if (auto const made = vocabulary_.join(top.pair); made != kNone) merge(top, made);
    }
    auto const tokens = symbols_.tokens();  // before the vocabulary goes
    return {std::move(vocabulary_.parts), tokens};
  }

 private:
  struct State {  // of a pair that was met
    int64_t count = 0;
    uint32_t found = kNone;  // its place in found_, during one merge
  };
  struct Entry {  // of the queue: a pair, and where it came to stand
    int64_t count;
    Pair pair;
    uint64_t begin, size;  // in places_
    bool operator<(Entry const& other) const { return count != other.count ? count < other.count : pair > other.pair; }
  };

  /// The pairs of bytes, sorted by counting.
  void queue_bytes() {
    auto const first = vocabulary_.byte_ids;
    std::vector<uint64_t> sizes(size_t{256} * 256);
    auto const low = *std::ranges::min_element(first);
    auto const bucket = [&](uint32_t place) {
      return static_cast<size_t>(symbols_.at(place) - low) * 256 + (symbols_.at(place + 1) - low);
    };
    auto const for_each_pair = [&](auto f) {
      for (uint32_t p = 0; p + 1 < symbols_.places(); ++p)
        if (symbols_.at(p) != kNone && symbols_.at(p + 1) != kNone) f(p);
    };
    for_each_pair([&](uint32_t p) { ++sizes[bucket(p)]; });
    std::vector<uint64_t> ends(sizes.size());
    std::exclusive_scan(sizes.begin(), sizes.end(), ends.begin(), uint64_t{0});
    places_.resize(ends.back() + sizes.back());
    for_each_pair([&](uint32_t p) {
      places_[ends[bucket(p)]++] = p;
      pairs_[pair_of(symbols_.at(p), symbols_.at(p + 1))].count += static_cast<int64_t>(symbols_.count(p));
    });
    for (size_t b = 0; b < sizes.size(); ++b)
      if (sizes[b] > 0) {
        auto const pair = pair_of(low + static_cast<uint32_t>(b / 256), low + static_cast<uint32_t>(b % 256));
        enqueue(pair, ends[b] - sizes[b], sizes[b]);
      }
  }

  void enqueue(Pair pair, uint64_t begin, uint64_t size) {
    if (auto const count = pairs_[pair].count; count >= least_) queue_.push({count, pair, begin, size});
  }

  void merge(Entry const& entry, uint32_t made) {  // from left to right, as its places stand in places_
    pairs_.erase(entry.pair);
    for (uint64_t i = 0; i < entry.size; ++i) {
      auto const place = places_[entry.begin + i];
      if (!symbols_.stands(entry.pair, place)) continue;
      auto const count = static_cast<int64_t>(symbols_.count(place));
      symbols_.replace(entry.pair, place, made);
      if (auto const before = symbols_.before(place); before != kNone) {
        pairs_[pair_of(before, left_of(entry.pair))].count -= count;
        note(pair_of(before, made), place - vocabulary_.length(before), count);
      }
      if (auto const after = symbols_.at(symbols_.next(place)); after != kNone) {
        pairs_[pair_of(right_of(entry.pair), after)].count -= count;
        note(pair_of(made, after), place, count);
      }
    }
    queue_found();
  }

  void note(Pair pair, uint32_t place, int64_t count) {
    auto& state = pairs_[pair];
    state.count += count;
    if (state.found == kNone) {
      state.found = static_cast<uint32_t>(found_.size());
      found_.push_back({pair, 0});
    }
    ++found_[state.found].size;
    noted_.push_back({state.found, place});
  }

  /// Queues the pairs that a merge made, each with its places behind the others of places_.
  void queue_found() {
    auto end = places_.size();
    places_.resize(end + noted_.size());
    for (auto& f : found_) f.end = std::exchange(end, end + f.size);
    for (auto const& [found, place] : noted_) places_[found_[found].end++] = place;
    for (auto const& f : found_) {
      pairs_[f.pair].found = kNone;
      enqueue(f.pair, f.end - f.size, f.size);
    }
    found_.clear();
    noted_.clear();
  }

  struct Found {
    Pair pair;
    uint64_t size, end = 0;
  };
  struct Noted {
    uint32_t found, place;
  };

  int64_t least_, vocab_;
  Vocabulary vocabulary_;
  Symbols symbols_;
  std::unordered_map<Pair, State, PairHash> pairs_;
  std::vector<uint32_t> places_;  // those of all entries
  std::priority_queue<Entry> queue_;
  std::vector<Found> found_;  // the pairs that one merge makes, and where
  std::vector<Noted> noted_;
};

}  // namespace

void check_training(BpeTraining const& options) { Vocabulary const checked(options); }

TrainedBpe train_bpe(WordCounts const& words, BpeTraining const& options,
                     std::function<void(int64_t)> const& progress) {
  return Trainer(words, options).train(progress);
}

}  // namespace folio::text

#include "data/count_words.h"

#include <deque>
#include <future>
#include <map>

#include "core/error.h"
#include "core/machine.h"
#include "data/cutter.h"

namespace folio::data {

namespace {

constexpr size_t kPiece = size_t{4} << 20;

// A slot of the table (24 bytes, at least half of them used after it grew) and what training holds: for each byte its
// symbol, its word and up to three places of pairs, in vectors that grow by doubling; pairs; for each word its count.
constexpr uint64_t kPerWord = 112, kPerByte = 28;
uint64_t cost(uint64_t words, uint64_t bytes) { return words * kPerWord + bytes * kPerByte; }

class Counter {
 public:
  Counter(CountOptions const& o) : options_(o), cutter_(kPiece) {
    threads_ = o.threads > 0 ? static_cast<size_t>(o.threads) : static_cast<size_t>(look_at_machine().granted_cores());
  }

  void add(std::string const& source, std::string_view text) {
    document_ += text.size();
    if (auto piece = cutter_.add(text)) put(*piece);
    check(cutter_.held() <= kLongestWord, Fault::content,
          "{} goes on for {} MiB without a place between two words: it is not a text to learn words from", source,
          kLongestWord >> 20);
  }
  void end() {
    put(cutter_.rest());
    (document_ > 0 ? counted.documents : counted.empty) += 1;
    counted.bytes += std::exchange(document_, 0);
  }
  void finish() {
    launch();
    while (!running_.empty()) take_first();
  }

  CountedWords counted;

 private:
  struct Job {
    std::string text;
    std::vector<size_t> ends;  // of its pieces: no word reaches over one
  };

  void put(std::string_view piece) {
    if (piece.empty()) return;
    job_.text += piece;
    job_.ends.push_back(job_.text.size());
    if (job_.text.size() >= kPiece) launch();
  }

  void launch() {
    if (running_.size() >= threads_) take_first();
    running_.push_back(std::async(std::launch::async, [job = std::exchange(job_, {})] {
      text::WordCounts counts;
      size_t begin = 0;
      for (size_t const end : job.ends)
        counts.count(std::string_view(job.text).substr(begin, end - begin)), begin = end;
      return counts;
    }));
  }

  void take_first() {
    auto const counts = running_.front().get();
    running_.pop_front();
    counted.read += counts.total();
    auto& words = counted.words;
    words.add(counts);
    if (bytes_to_train_on(words) <= options_.memory) return;
    auto const before = words.total();
    counted.short_by += drop_rare(words, options_.memory / 2);
    counted.dropped += before - words.total();
    ++counted.drops;
  }

  CountOptions const& options_;
  size_t threads_;
  Cutter cutter_;
  uint64_t document_ = 0;  // its bytes so far
  Job job_;                // being gathered
  std::deque<std::future<text::WordCounts>> running_;
};

}  // namespace

uint64_t bytes_to_train_on(text::WordCounts const& words) { return cost(words.size(), words.bytes()); }

uint64_t drop_rare(text::WordCounts& words, uint64_t bytes) {
  std::map<uint64_t, uint64_t> by_count;  // bytes that the words of one count need
  words.for_each([&](std::string_view word, uint64_t count) { by_count[count] += cost(1, word.size()); });
  uint64_t needed = bytes_to_train_on(words), highest = 0;
  for (auto at = by_count.begin(); at != by_count.end() && needed > bytes; ++at) {
    highest = at->first;
    needed -= at->second;
  }
  text::WordCounts kept;
  words.for_each([&](std::string_view word, uint64_t count) {
    if (count > highest) kept.add(word, count);
  });
  words = std::move(kept);
  return highest;
}

CountedWords count_words(std::vector<Source> const& sources, CountOptions const& options,
                         std::function<void(uint64_t)> const& progress) {
  Counter counter(options);
  uint64_t done = 0;
  for (Source const& source : sources)
    read_documents(source, options.separator,
                   {.text =
                        [&](std::string_view piece) {
                          if (progress) progress(done += piece.size());
                          counter.add(source.name, piece);
                        },
                    .end = [&] { counter.end(); }});
  counter.finish();
  auto& counted = counter.counted;
  check(counted.bytes > 0, Fault::content, "{} is empty: there is no text to learn from",
        sources.size() == 1 ? sources[0].name : "every text given");
  check(counted.words.size() > 0, Fault::memory, "no word was left that occurs more than {} times: give more memory",
        counted.short_by);
  return std::move(counted);
}

}  // namespace folio::data

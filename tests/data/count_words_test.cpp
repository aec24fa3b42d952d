// Words of files counted piece by piece and by several threads equal those of each whole document, and a table that is
// full says what it lost.
#include "data/count_words.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::expect_fault;
using Table = std::map<std::string, uint64_t>;

Table table_of(text::WordCounts const& words) {
  Table table;
  words.for_each([&](std::string_view word, uint64_t count) { table[std::string(word)] = count; });
  return table;
}

/// Words with blanks, line ends and bytes that are not UTF-8 between them; some words are frequent.
std::string random_text(size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    auto const rank = static_cast<unsigned>(50'000.0 * std::pow(double(random()) / 4294967296.0, 6));
    text += std::to_string(rank * 7919 % 100'003) + "x";
    text += std::string_view(" \0\n  \n\t\xff\xa0 'll", 14).substr(random() % 12, 1 + random() % 2);
  }
  return text;
}

class CountWords : public testing::Test {
 protected:
  test::ScratchFolder folder;
  CountedWords count(std::vector<std::string> const& texts, CountOptions o) const {
    std::vector<Source> sources;
    for (auto const& text : texts) {
      auto const path = folder / std::to_string(sources.size());
      write_file(path, text);
      sources.push_back({path, path.string()});
    }
    return count_words(sources, o);
  }
};

constexpr uint64_t kMuch = uint64_t{4} << 30;

TEST_F(CountWords, OfPiecesAreThoseOfTheWholeWhateverTheThreads) {
  std::vector<std::string> const texts = {random_text(11'000'000, 1), "don't  stop", "", random_text(5'000'000, 2)};
  text::WordCounts whole;
  uint64_t bytes = 0;
  for (auto const& text : texts) whole.count(text), bytes += text.size();
  for (int64_t const threads : {1, 2, 5}) {
    auto const counted = count(texts, {.threads = threads, .memory = kMuch});
    EXPECT_EQ(table_of(counted.words), table_of(whole));
    EXPECT_EQ(counted.documents, 3u);
    EXPECT_EQ(counted.empty, 1u);
    EXPECT_EQ(counted.bytes, bytes);
    EXPECT_EQ(counted.read, whole.total());
    EXPECT_EQ(counted.drops, 0u);
  }
}

TEST_F(CountWords, DoNotReachOverTheEndOfADocument) {
  EXPECT_EQ(table_of(count({"ab", "cd"}, {.memory = kMuch}).words), (Table{{"ab", 1}, {"cd", 1}}));
  auto const counted = count({"ab<sep>cd<sep><sep>ab"}, {.separator = "<sep>", .memory = kMuch});
  EXPECT_EQ(table_of(counted.words), (Table{{"ab", 2}, {"cd", 1}}));
  EXPECT_EQ(counted.documents, 3u);
  EXPECT_EQ(counted.empty, 1u);
}

TEST_F(CountWords, AFullTableDropsTheRarestAndSaysSo) {
  auto const text = random_text(24'000'000, 3);
  auto const whole = count({text}, {.memory = kMuch});
  auto const needed = bytes_to_train_on(whole.words);
  auto const bounded = count({text}, {.threads = 1, .memory = needed / 2});
  EXPECT_LE(bytes_to_train_on(bounded.words), needed / 2);
  EXPECT_GT(bounded.drops, 0u);
  EXPECT_GT(bounded.short_by, 0u);
  EXPECT_EQ(bounded.read, whole.read);
  EXPECT_EQ(bounded.words.total() + bounded.dropped, whole.read) << "what is not there was told";
  auto const kept = table_of(bounded.words);
  for (auto const& [word, count] : table_of(whole.words)) {
    auto const at = kept.find(word);
    auto const now = at == kept.end() ? 0 : at->second;
    ASSERT_LE(now, count) << word;
    ASSERT_LE(count - now, bounded.short_by) << word;
  }
  for (int64_t const threads : {2, 5})
    EXPECT_EQ(table_of(count({text}, {.threads = threads, .memory = needed / 2}).words), kept);
}

TEST_F(CountWords, DropRareKeepsTheMostFrequent) {
  text::WordCounts words;
  for (int n = 1; n <= 100; ++n) words.add(std::to_string(n), static_cast<uint64_t>(n));
  EXPECT_EQ(drop_rare(words, bytes_to_train_on(words) / 2), 51u);  // 1 to 9 have a byte less
  EXPECT_EQ(words.size(), 49u);
  words.for_each([](std::string_view, uint64_t count) { EXPECT_GT(count, 51u); });
}

TEST_F(CountWords, RefusesWhatIsNoText) {
  expect_fault(Fault::content, {"is empty"}, [&] { count({""}, {.memory = kMuch}); });
  expect_fault(Fault::content, {"every text given is empty"}, [&] { count({"", ""}, {.memory = kMuch}); });
  expect_fault(Fault::content, {"64 MiB", "not a text"},
               [&] { count({std::string(kLongestWord + 5'000'000, 'a')}, {.memory = kMuch}); });
  expect_fault(Fault::memory, {"more memory"}, [&] { count({"a b c"}, {.memory = 1}); });
}

}  // namespace
}  // namespace folio::data

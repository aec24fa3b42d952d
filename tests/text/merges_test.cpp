// Byte pair encoding of one word against the plainest form of its definition: look at all pairs, merge the leftmost of
// the lowest rank, begin again.
#include "text/merges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>

namespace folio::text {
namespace {

using Ids = std::vector<int32_t>;

std::array<uint32_t, 256> plain_bytes() {
  std::array<uint32_t, 256> ids{};
  for (uint32_t b = 0; b < 256; ++b) ids[b] = b;
  return ids;
}

/// A table whose tokens have at most `longest` bytes of the letters a … a + letters − 1; in every order that the random
/// numbers give, also such that a merge comes before those that make its parts.
std::vector<Merge> random_table(std::mt19937& random, int letters, size_t size, size_t longest, bool shuffled) {
  std::map<std::string, uint32_t> ids;
  std::vector<std::string> tokens;
  for (int c = 0; c < letters; ++c) tokens.emplace_back(1, static_cast<char>('a' + c));
  for (int c = 0; c < letters; ++c) ids[tokens[c]] = static_cast<uint32_t>('a' + c);
  std::vector<Merge> merges;
  std::map<std::pair<uint32_t, uint32_t>, bool> seen;
  uint32_t next = 256;
  for (int tries = 0; merges.size() < size && tries < 10'000; ++tries) {
    auto const left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
    auto const joined = left + right;
    auto const pair = std::pair{ids[left], ids[right]};
    if (joined.size() > longest || seen[pair]) continue;
    seen[pair] = true;
    if (!ids.contains(joined)) ids[joined] = next++, tokens.push_back(joined);
    merges.push_back({pair.first, pair.second, ids[joined]});
  }
  if (shuffled) std::shuffle(merges.begin(), merges.end(), random);
  return merges;
}

Ids plainly(std::vector<Merge> const& table, std::string_view word) {
  Ids ids(word.begin(), word.end());
  for (;;) {
    size_t best = table.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      for (size_t r = 0; r < best; ++r)
        if (static_cast<int32_t>(table[r].left) == ids[i] && static_cast<int32_t>(table[r].right) == ids[i + 1]) {
          best = r, at = i;
          break;
        }
    if (best == table.size()) return ids;
    ids[at] = static_cast<int32_t>(table[best].result);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

Ids apply(Merges const& merges, std::string_view word, Merges::Work& work) {
  Ids ids;
  merges.apply(word, ids, work);
  return ids;
}

TEST(Merges, OfRandomTablesAreTheDefinitions) {
  std::mt19937 random(7);
  size_t merged = 0;
  for (int n = 0; n < 400; ++n) {
    int const letters = 1 + n % 4;
    auto const table = random_table(random, letters, 4 + random() % 40, 9, n % 2 == 1);
    Merges const merges(plain_bytes(), table);
    Merges::Work work;  // shared by the words: each must leave it clean
    for (size_t length : {1, 2, 3, 7, 20, 39, 40, 41, 42, 60, 150}) {
      std::string word;
      while (word.size() < length) word += static_cast<char>('a' + random() % letters);
      auto const ids = apply(merges, word, work);
      ASSERT_EQ(ids, plainly(table, word)) << word;
      merged += word.size() - ids.size();
    }
  }
  EXPECT_GT(merged, 10'000u);
}

TEST(Merges, TakeTheLeftmostOfEqualRank) {
  std::vector<Merge> const table = {{'a', 'a', 256}};
  Merges const merges(plain_bytes(), table);
  Merges::Work work;
  EXPECT_EQ(apply(merges, "aaa", work), (Ids{256, 'a'}));
  Ids expected(50, 256);
  expected.push_back('a');
  EXPECT_EQ(apply(merges, std::string(101, 'a'), work), expected);
}

TEST(Merges, WithNoneGiveTheBytes) {
  Merges const merges(plain_bytes(), {});
  Merges::Work work;
  EXPECT_EQ(apply(merges, "", work), Ids{});
  EXPECT_EQ(apply(merges, "\xff\x01", work), (Ids{255, 1}));
  EXPECT_EQ(apply(merges, std::string(100, 'x'), work), Ids(100, 'x'));
}

// Quadratic work on 1 MB would take many minutes; the bound leaves room for a slow machine and a sanitizer.
TEST(Merges, OfALongWordTakeNLogN) {
  std::mt19937 random(9);
  for (bool const shuffled : {false, true}) {
    auto table = random_table(random, 2, 60, 64, shuffled);
    auto const has = [&](uint32_t left, uint32_t right) {
      return std::ranges::any_of(table, [&](Merge m) { return m.left == left && m.right == right; });
    };
    while (!has('a', 'a') || !has('a', 'b')) table = random_table(random, 2, 60, 64, shuffled);
    Merges const merges(plain_bytes(), table);
    for (int kind = 0; kind < 3; ++kind) {
      std::string word(1 << 20, 'a');
      if (kind > 0)
        for (size_t i = 0; i < word.size(); ++i) word[i] = static_cast<char>('a' + (kind == 1 ? i % 2 : random() % 2));
      Merges::Work work;
      auto const begin = std::chrono::steady_clock::now();
      auto const ids = apply(merges, word, work);
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
      EXPECT_LT(ids.size(), word.size());
    }
  }
}

}  // namespace
}  // namespace folio::text

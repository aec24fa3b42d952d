// Training of byte-level BPE: the definition, written out naively, beside the fast one; its conventions; and digests of
// what Hugging Face's trainer makes, which tests/oracles asks live.
#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>

#include "tests/support/corpora.h"
#include "tests/support/files.h"
#include "text/byte_letters.h"

namespace folio::text {
namespace {

using test::expect_fault;

WordCounts counted(std::string_view text) {
  WordCounts words;
  words.count(text);
  return words;
}

std::vector<std::string> merges_of(BpeParts const& parts) {
  std::vector<std::string> lines;
  for (auto const& m : parts.merges) lines.push_back(parts.tokens[m.left] + "|" + parts.tokens[m.right]);
  return lines;
}

/// All pairs counted anew before each merge.
std::vector<std::string> naively(WordCounts const& words, BpeTraining const& o) {
  auto tokens =
      train_bpe({}, {.vocab = 256 + static_cast<int64_t>(o.specials.size()), .specials = o.specials}).parts.tokens;
  std::map<std::string, uint32_t> byte_ids;
  for (uint32_t id = o.specials.size(); id < tokens.size(); ++id) byte_ids[tokens[id]] = id;
  std::vector<std::pair<std::vector<uint32_t>, uint64_t>> all;
  words.for_each([&](std::string_view word, uint64_t count) {
    all.push_back({{}, count});
    for (char const c : word) all.back().first.push_back(byte_ids.at(std::string(1, c)));
  });
  std::vector<std::string> merges;
  while (static_cast<int64_t>(tokens.size()) < o.vocab) {
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> pairs;
    for (auto const& [ids, count] : all)
      for (size_t i = 0; i + 1 < ids.size(); ++i) pairs[{ids[i], ids[i + 1]}] += count;
    auto best = pairs.end();
    for (auto at = pairs.begin(); at != pairs.end(); ++at)  // in ascending order: the lowest pair of equals stays
      if (best == pairs.end() || at->second > best->second) best = at;
    if (best == pairs.end() || best->second < o.min_frequency) break;
    auto const [left, right] = best->first;
    merges.push_back(tokens[left] + "|" + tokens[right]);
    for (auto& [ids, count] : all)
      for (size_t i = 0; i + 1 < ids.size(); ++i)
        if (ids[i] == left && ids[i + 1] == right) {
          ids[i] = static_cast<uint32_t>(tokens.size());
          ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
    tokens.push_back(tokens[left] + tokens[right]);
  }
  return merges;
}

TEST(BpeTrainer, MergesByHand) {
  // "aab" 3 times, " aab" once: (a, a) 4, (a, b) 4, (Ġ, a) 1; a < Ġ in the order of letters.
  auto const made = train_bpe(counted("aab\naab\naab aab"), {.vocab = 260, .min_frequency = 1});
  EXPECT_EQ(merges_of(made.parts), (std::vector<std::string>{"a|a", "aa|b", " |aab"}));
  EXPECT_EQ(made.parts.tokens.size(), 260u);
  EXPECT_EQ(made.tokens, 6u);  // aab \n aab \n aab, " aab"
}

TEST(BpeTrainer, NumbersSpecialTokensThenBytesByTheirLetters) {
  auto const parts = train_bpe({}, {.vocab = 300, .specials = {"<|endoftext|>", "<x>", "<|endoftext|>"}}).parts;
  ASSERT_EQ(parts.tokens.size(), 258u);
  EXPECT_EQ(parts.tokens[0], "<|endoftext|>");
  EXPECT_EQ(parts.tokens[1], "<x>");
  EXPECT_EQ(parts.tokens[2], "!");
  std::string last;
  for (size_t id = 2; id < 258; ++id) {
    auto const letter = to_letters(parts.tokens[id]);
    EXPECT_LT(last, letter);
    last = letter;
  }
  EXPECT_TRUE(parts.merges.empty());
  ASSERT_EQ(parts.added.size(), 2u);
  EXPECT_TRUE(parts.added[1].special);
}

TEST(BpeTrainer, EqualsTheNaiveDefinitionOnRandomTexts) {
  std::mt19937 random(3);
  std::vector<std::string> const alphabets = {"a", "ab", "ab", "abc ", "ab \n", "aB1 '", "\xc3\xa9 \xff"};
  size_t merged = 0;
  for (int trial = 0; trial < 300; ++trial) {
    auto const& alphabet = alphabets[random() % alphabets.size()];
    std::string text;
    for (size_t n = 1 + random() % 300; n > 0; --n)
      text.append(random() % 5 == 0 ? 1 + random() % 9 : 1, alphabet[random() % alphabet.size()]);
    BpeTraining const o{.vocab = 258 + static_cast<int64_t>(random() % 60), .min_frequency = 1 + random() % 3};
    auto const words = counted(text);
    auto const got = merges_of(train_bpe(words, o).parts);
    ASSERT_EQ(got, naively(words, o)) << trial << ": " << text;
    merged += got.size();
  }
  EXPECT_GT(merged, 3000u);
}

TEST(BpeTrainer, CountsBeyond32Bits) {
  WordCounts words;
  words.add("ab", (uint64_t{1} << 33) + 1);  // 1 in 32 bits
  words.add("cd", uint64_t{1} << 33);        // 0 there
  words.add("ef", uint64_t{1} << 32);
  words.add("gh", (uint64_t{1} << 31) + 5);  // negative there
  EXPECT_EQ(merges_of(train_bpe(words, {.vocab = 300}).parts), (std::vector<std::string>{"a|b", "c|d", "e|f", "g|h"}));
}

TEST(BpeTrainer, StopsWhereNoPairIsFrequentEnough) {
  auto const words = counted("abab cd ef ef");
  EXPECT_EQ(merges_of(train_bpe(words, {.vocab = 10000, .min_frequency = 2}).parts),
            (std::vector<std::string>{"a|b", "e|f", " |ef"}));
  EXPECT_EQ(train_bpe(words, {.vocab = 10000, .min_frequency = 3}).parts.merges.size(), 0u);
  auto const all = train_bpe(words, {.vocab = 10000, .min_frequency = 0});
  EXPECT_EQ(all.tokens, 4u);  // every word is a token in the end
  EXPECT_LT(all.parts.tokens.size(), 300u);
}

TEST(BpeTrainer, NeverSpellsASpecialToken) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "abc abcd <x> ";
  auto parts =
      train_bpe(counted(text), {.vocab = 300, .min_frequency = 1, .specials = {"abc", "Ġabc", "<x>", "Ġ<"}}).parts;
  for (auto const& special : {"abc", "<x>"})
    EXPECT_EQ(std::ranges::count(parts.tokens, special), 1) << "but for the special token, nothing has these bytes";
  for (size_t id = 4; id < parts.tokens.size(); ++id)
    EXPECT_EQ(std::ranges::find_if(parts.added, [&](auto const& a) { return a.text == to_letters(parts.tokens[id]); }),
              parts.added.end());
  auto const t = make_bpe_tokenizer(std::move(parts), "trained");
  for (auto const id : t->encode(text)) EXPECT_GE(id, 4);
  EXPECT_EQ(t->decode(t->encode(text)), text);
  EXPECT_EQ(t->encode("abc", Specials::as_token), std::vector<int32_t>{0});
}

TEST(BpeTrainer, RefusesWhatCannotBe) {
  expect_fault(Fault::value, {"256", "no room", "1 special token "}, [] { check_training({.vocab = 256}); });
  expect_fault(Fault::value, {"no room", "2 special tokens"}, [] {
    check_training({.vocab = 257, .specials = {"<a>", "<b>"}});
  });
  expect_fault(Fault::value, {"empty"}, [] { check_training({.vocab = 300, .specials = {""}}); });
  expect_fault(Fault::value, {"\"Ġ\"", "byte"}, [] { check_training({.vocab = 300, .specials = {"Ġ"}}); });
  expect_fault(Fault::value, {"UTF-8"}, [] { check_training({.vocab = 300, .specials = {"<\xff>"}}); });
  check_training({.vocab = 257});
}

TEST(BpeTrainer, TellsHowFarItIsAndCanBeStopped) {
  auto const words = counted("the cat the hat the bat");
  int64_t last = -1;
  train_bpe(words, {.vocab = 262}, [&](int64_t made) { EXPECT_EQ(made, ++last); });
  EXPECT_EQ(last, 3);
  expect_fault(Fault::failed, {"stop"},
               [&] { train_bpe(words, {.vocab = 262}, [](int64_t) { fail(Fault::failed, "stop"); }); });
}

TEST(BpeTrainer, LongWordsTakeNoLongerThanShortOnes) {
  std::mt19937 random(9);
  std::string letters;
  for (int i = 0; i < 1'000'000; ++i) letters += static_cast<char>('a' + random() % 20);
  auto const begin = std::chrono::steady_clock::now();
  for (auto const& text : {std::string(1'000'000, 'a'), letters}) {
    auto const made = train_bpe(counted(text), {.vocab = 4000});
    auto const t = make_bpe_tokenizer(made.parts, "long");
    EXPECT_EQ(t->encode(text).size(), made.tokens);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60)) << "hours, where it is quadratic";
}

/// The SHA-256 of the merges as merges.txt has them, one a line.
std::string digest(BpeParts const& parts) {
  std::string lines;
  for (auto const& m : parts.merges)
    lines += to_letters(parts.tokens[m.left]) + " " + to_letters(parts.tokens[m.right]) + "\n";
  return test::sha256(lines);
}

TEST(BpeTrainer, MakesHuggingFacesMergesOfTinyShakespeare) {
  auto const text = test::tiny_shakespeare();
  if (!text) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file";
  auto const words = counted(*text);
  EXPECT_EQ(digest(train_bpe(words, {.vocab = 1000}).parts),
            "1ff59761988543ed493949b0df4bd023bda08d899a13201d031011e3f5a3b1d3");
  EXPECT_EQ(digest(train_bpe(words, {.vocab = 8192}).parts),
            "e7f4edee4cd707313774beed18dbbb8b9e87b451d79523db586f9647bfea88e4");
}

TEST(BpeTrainer, MakesHuggingFacesMergesOfThePlays) {
  auto const text = test::plays();
  if (!text) GTEST_SKIP() << "no plays in the data directory: run scripts/get-data";
  auto const made = train_bpe(counted(*text), {.vocab = 8192});
  EXPECT_EQ(digest(made.parts), "9d61dfb0d3f815e846c3f8f5b04a5e2ffc14d437591819ca751774f7b6440ee2");
  auto const t = make_bpe_tokenizer(made.parts, "plays");
  EXPECT_EQ(t->encode(*text).size(), made.tokens);
}

TEST(WordCounts, CountsWordsOfAnyLength) {
  std::mt19937 random(5);
  std::map<std::string, uint64_t> expected;
  WordCounts counts, half;
  uint64_t bytes = 0, total = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string const word(1 + random() % 40, static_cast<char>(random() % 256));
    uint64_t const times = 1 + random() % 3;
    (i % 2 ? counts : half).add(word, times);
    expected[word] += times;
    total += times;
  }
  counts.add(half);
  counts.add("", 5);
  counts.add("x", 0);
  for (auto const& [word, count] : expected) bytes += word.size();
  EXPECT_EQ(counts.size(), expected.size());
  EXPECT_EQ(counts.bytes(), bytes);
  EXPECT_EQ(counts.total(), total);
  size_t seen = 0;
  counts.for_each([&](std::string_view word, uint64_t count) {
    EXPECT_EQ(count, expected.at(std::string(word)));
    ++seen;
  });
  EXPECT_EQ(seen, expected.size());
}

}  // namespace
}  // namespace folio::text

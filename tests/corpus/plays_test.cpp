// The corpus that set-up makes: pinned by count and hash, in tiny Shakespeare's layout, and split so that nothing of
// the held-out plays can be learnt by heart from the others. Then what counting reaches on the held-out plays.
#include "tests/corpus/plays.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>
#include <sstream>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "tests/corpus/ngram.h"

namespace {

using namespace folio::corpus;

class Plays : public testing::Test {
 protected:
  static void SetUpTestSuite() { plays = read_plays(); }
  void SetUp() override {
    if (plays.empty()) GTEST_SKIP() << "no plays in " << plays_folder() << ": run scripts/get-data";
  }
  static std::map<std::string, std::string> plays;
};
std::map<std::string, std::string> Plays::plays;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t const end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

TEST_F(Plays, HaveTheirPinnedHashes) {
  std::istringstream list(file_text(std::filesystem::path(std::getenv("FOLIO_SOURCE")) / "tools" / "plays.sha256"));
  size_t rows = 0;
  for (std::string digest, name; list >> digest >> name; ++rows) {
    auto const play = plays.find(name.substr(0, name.size() - 4));
    ASSERT_NE(play, plays.end()) << name;
    EXPECT_EQ(sha256(play->second), digest) << name;
  }
  EXPECT_EQ(rows, kPlays);
  EXPECT_EQ(plays.size(), kPlays);
}

TEST_F(Plays, HaveTheirPinnedSize) {
  auto const add = [](size_t sum, std::string_view text) { return sum + text.size(); };
  auto const train = split(plays, false), held_out = split(plays, true);
  EXPECT_EQ(train.size(), 35);
  EXPECT_EQ(held_out.size(), 3);
  EXPECT_EQ(std::accumulate(held_out.begin(), held_out.end(), size_t{0}, add), kHeldOutBytes);
  EXPECT_EQ(std::accumulate(train.begin(), train.end(), size_t{0}, add), kBytes - kHeldOutBytes);
}

TEST_F(Plays, AreSpeechesUnderTheirSpeakers) {
  std::string_view const alphabet = "\n !$&',-.24568:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (auto const& [name, text] : plays) {
    EXPECT_EQ(text.find_first_not_of(alphabet), std::string::npos) << name;
    EXPECT_TRUE(text.ends_with('\n') && !text.ends_with("\n\n")) << name;
    auto const lines = lines_of(text);
    for (size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i], lines[i].substr(0, lines[i].find_last_not_of(' ') + 1)) << name << ": blank at the end";
      bool const opens = i == 0 || lines[i - 1].empty();
      bool const speech_follows = i + 1 < lines.size() && !lines[i + 1].empty();
      EXPECT_TRUE(!opens || (lines[i].ends_with(':') && speech_follows)) << name << ": " << lines[i];
    }
  }
}

/// Share of `wanted`, line by line, that `made` reproduces in order: the longest common subsequence, found greedily
/// by anchors that look ahead a bounded number of lines (so the true share is at least this).
double reproduced(std::vector<std::string_view> const& wanted, std::vector<std::string_view> const& made) {
  constexpr size_t kAhead = 400, kRun = 3;
  auto run_at = [](auto const& lines, size_t i, auto const& others, size_t j) {
    size_t n = 0;
    while (n < kRun && i + n < lines.size() && j + n < others.size() && lines[i + n] == others[j + n]) ++n;
    return n;
  };
  size_t i = 0, j = 0, same = 0;
  while (i < wanted.size() && j < made.size()) {
    if (wanted[i] == made[j]) {
      ++i, ++j, ++same;
      continue;
    }
    bool found = false;
    for (size_t ahead = 1; ahead < kAhead && !found; ++ahead)
      for (size_t skip = 0; skip <= std::min<size_t>(ahead, 5) && !found; ++skip)
        if (run_at(wanted, i + skip, made, j + ahead - skip) == kRun) {
          i += skip, j += ahead - skip;
          found = true;
        }
    if (!found) ++i;
  }
  return static_cast<double>(same) / static_cast<double>(wanted.size());
}

TEST_F(Plays, AgreeWithTinyShakespeare) {
  char const* path = std::getenv("FOLIO_TINY_SHAKESPEARE");
  if (!path || !*path) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file: this row compares with it";
  auto const tiny = file_text(path);
  ASSERT_EQ(sha256(tiny).substr(0, 8), "86c4e6aa") << path << " is not tiny Shakespeare";
  std::string made;
  for (auto name : {"coriolanus", "richard-iii", "richard-ii", "romeo-and-juliet", "henry-vi-part-3", "a-winter-s-tale",
                    "measure-for-measure", "the-taming-of-the-shrew", "the-tempest"})
    made += plays.at(name) + "\n";
  double const share = reproduced(lines_of(tiny), lines_of(made));
  std::printf("lines of tiny Shakespeare that the plays reproduce in order: %.2f %%\n", 100 * share);
  EXPECT_GT(share, 0.997);
}

TEST_F(Plays, ShareNoSpanOfFiftyCharactersAcrossTheSplit) {
  constexpr size_t kSpan = 50;
  std::unordered_set<std::string_view> seen;
  seen.reserve(5'000'000);
  for (auto text : split(plays, false))
    for (size_t i = 0; i + kSpan <= text.size(); ++i) seen.insert(text.substr(i, kSpan));
  size_t looked = 0;
  for (auto text : split(plays, true))
    for (size_t i = 0; i + kSpan <= text.size(); ++i, ++looked)
      ASSERT_FALSE(seen.contains(text.substr(i, kSpan))) << text.substr(i, kSpan);
  EXPECT_EQ(looked, kHeldOutBytes - 3 * (kSpan - 1));
  EXPECT_TRUE(seen.contains(std::string_view(plays.at("macbeth")).substr(1000, kSpan)));
}

TEST_F(Plays, AreCountedToAtBest247HundredthsOfABit) {
  auto const bits = Ngram(split(plays, false), 6).bits_per_byte(split(plays, true));
  std::printf("Witten-Bell n-gram, %zu plays counted, Hamlet, The Tempest and Twelfth Night scored:\n", kPlays - 3);
  for (size_t n = 0; n < bits.size(); ++n) std::printf("  order %zu  %.3f bits per byte\n", n + 1, bits[n]);
  double const best = *std::ranges::min_element(bits);
  std::printf("  best     %.3f bits per byte\n", best);
  EXPECT_NEAR(best, 2.467, 0.001);
}

}  // namespace

// The pre-tokenizer: every branch of the pattern by example, and PCRE2 with the pattern itself as an oracle on all code
// points and on generated texts, on the characters that both know.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/words.h"
#include "core/error.h"

#include <gtest/gtest.h>
#include <pcre2.h>
#include <rapidcheck.h>

#include <memory>

#include "text/tokenizer.h"

namespace folio::text {
namespace {

using Cut = std::vector<std::string>;

Cut cut(std::string_view text) {
  Words const words;
  Cut out;
  for (char const *at = text.data(), *end = at + text.size(); at < end;) {
    auto const* const next = words.end_of_word(at, end);
    out.emplace_back(at, next);
    at = next;
  }
  return out;
}

class Pattern {
 public:
  explicit Pattern(char const* pattern) {
    int error = 0;
    size_t offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                              &error, &offset, nullptr));
    if (!code_) throw std::runtime_error("the pattern does not compile");
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }
  size_t match(std::string_view text, size_t at) const {  // length of a match at `at`, or 0
    auto const n = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, PCRE2_ANCHORED,
                               match_.get(), nullptr);
    return n < 1 ? 0 : pcre2_get_ovector_pointer(match_.get())[1] - at;
  }
  Cut cut(std::string_view text) const {
    Cut out;
    for (size_t at = 0; at < text.size(); at += out.back().size()) {
      auto const length = match(text, at);
      if (length == 0) throw std::runtime_error("PCRE2 found no match");
      out.emplace_back(text.substr(at, length));
    }
    return out;
  }

 private:
  struct Free {
    void operator()(pcre2_code* c) const { pcre2_code_free(c); }
    void operator()(pcre2_match_data* m) const { pcre2_match_data_free(m); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

constexpr char const* kPublished = R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string utf8(uint32_t code) {
  std::string out;
  append_utf8(out, code);
  return out;
}

TEST(Words, ContractionsAreCutInLowerCaseOnly) {
  EXPECT_EQ(cut("I'm you're he'll she'd we've it's don't"),
            (Cut{"I", "'m", " you", "'re", " he", "'ll", " she", "'d", " we", "'ve", " it", "'s", " don", "'t"}));
  EXPECT_EQ(cut("I'M YOU'RE"), (Cut{"I", "'", "M", " YOU", "'", "RE"}));
  EXPECT_EQ(cut("'sabc"), (Cut{"'s", "abc"}));
  EXPECT_EQ(cut("a'lx'l'v've'r'"), (Cut{"a", "'", "lx", "'", "l", "'", "v", "'ve", "'", "r", "'"}));
}

TEST(Words, AnApostropheAfterAnotherMarkOrABlankIsNoContraction) {
  EXPECT_EQ(cut("''s"), (Cut{"''", "s"}));
  EXPECT_EQ(cut("!'s"), (Cut{"!'", "s"}));
  EXPECT_EQ(cut(" 's"), (Cut{" '", "s"}));
}

TEST(Words, ABlankJoinsWhatFollowsUnlessItIsWhiteSpace) {
  EXPECT_EQ(cut("a b 1 2 ! ?"), (Cut{"a", " b", " 1", " 2", " !", " ?"}));
  EXPECT_EQ(cut("ab12!?cd"), (Cut{"ab", "12", "!?", "cd"}));
  EXPECT_EQ(cut("a\nb"), (Cut{"a", "\n", "b"}));
  EXPECT_EQ(cut("a\tb"), (Cut{"a", "\t", "b"}));
}

TEST(Words, ARunOfWhiteSpaceGivesItsLastCharacterBack) {
  EXPECT_EQ(cut("a   b"), (Cut{"a", "  ", " b"}));
  EXPECT_EQ(cut("a \n b"), (Cut{"a", " \n", " b"}));
  EXPECT_EQ(cut("a\n\nb"), (Cut{"a", "\n", "\n", "b"}));
  EXPECT_EQ(cut("a  "), (Cut{"a", "  "}));
  EXPECT_EQ(cut("  "), (Cut{"  "}));
  EXPECT_EQ(cut(" "), (Cut{" "}));
  EXPECT_EQ(cut("a \u3000b"), (Cut{"a", " ", "\u3000", "b"}));
  EXPECT_EQ(cut("\u00a0\u2003b"), (Cut{"\u00a0", "\u2003", "b"}));
}

TEST(Words, AWordIsOfOneClass) {
  EXPECT_EQ(cut("한국어123①ⅷ٣"), (Cut{"한국어", "123①ⅷ٣"}));
  EXPECT_EQ(cut("e\u0301a"), (Cut{"e", "\u0301", "a"}));  // a combining mark is neither letter nor number
  EXPECT_EQ(cut(" 👩‍👩‍👧!x"), (Cut{" 👩‍👩‍👧!", "x"}));
}

TEST(Words, AByteThatIsNotUtf8IsOfTheClassOther) {
  EXPECT_EQ(cut("a\xff\xfe!b"), (Cut{"a", "\xff\xfe!", "b"}));
  EXPECT_EQ(cut(" \x80z"), (Cut{" \x80", "z"}));
  EXPECT_EQ(cut("\xc3"), (Cut{"\xc3"}));
  EXPECT_EQ(cut("\xed\xa0\x80x"), (Cut{"\xed\xa0\x80", "x"}));  // a surrogate
  EXPECT_EQ(cut("\xc1\xa1x"), (Cut{"\xc1\xa1", "x"}));          // an overlong a
}

TEST(Words, OfAnyBytesJoinedAreTheText) {
  EXPECT_TRUE(rc::check([](std::string const& text) {
    std::string joined;
    for (auto const& word : cut(text)) {
      RC_ASSERT(!word.empty());
      joined += word;
    }
    RC_ASSERT(joined == text);
  }));
}

TEST(CharClasses, ArePcre2sOnEveryCodePointThatItKnows) {
  Pattern const letter(R"(\p{L})"), number(R"(\p{N})"), space(R"(\s)"), unknown(R"(\p{Cn})");
  auto const& classes = char_classes();
  constexpr uint32_t kMongolianVowelSeparator = 0x180e;  // no white space since Unicode 6.3, but to PCRE2
  EXPECT_TRUE(space.match(utf8(kMongolianVowelSeparator), 0));
  int known = 0, newer = 0;
  for (uint32_t code = 0; code < kCodePoints; ++code) {
    if (code >= 0xd800 && code < 0xe000) {
      ASSERT_EQ(classes.of(code), CharClass::other);
      continue;
    }
    auto const c = utf8(code);
    if (unknown.match(c, 0)) {
      newer += classes.of(code) != CharClass::other;
      continue;
    }
    ++known;
    auto const is_space = code != kMongolianVowelSeparator && space.match(c, 0);
    auto const expected = letter.match(c, 0)   ? CharClass::letter
                          : number.match(c, 0) ? CharClass::number
                          : is_space           ? CharClass::space
                                               : CharClass::other;
    ASSERT_EQ(classes.of(code), expected) << std::hex << code;
  }
  EXPECT_GT(known, 280'000);
  EXPECT_GT(newer, 4'000);  // letters and numbers that came after PCRE2's tables
}

TEST(CharClasses, CountWhatUnicode16Has) {
  std::array<int, 4> counts{};
  for (uint32_t code = 0; code < kCodePoints; ++code) ++counts[static_cast<size_t>(char_classes().of(code))];
  EXPECT_EQ(unicode_version(), "16.0.0");
  EXPECT_EQ(counts[static_cast<size_t>(CharClass::letter)], 141'028);
  EXPECT_EQ(counts[static_cast<size_t>(CharClass::number)], 1'911);
  EXPECT_EQ(counts[static_cast<size_t>(CharClass::space)], 25);
}

TEST(Words, AreWhatPcre2FindsWithThePublishedPattern) {
  Pattern const pattern(kPublished);
  std::vector<std::string> const pieces = {"'",
                                           "'s",
                                           "'d",
                                           "'m",
                                           "'t",
                                           "'ll",
                                           "'ve",
                                           "'re",
                                           "'S",
                                           "'LL",
                                           "l",
                                           "v",
                                           "e",
                                           " ",
                                           "  ",
                                           "\n",
                                           "\t",
                                           "\r",
                                           "\u000b",
                                           "\u000c",
                                           "\u00a0",
                                           "\u1680",
                                           "\u2000",
                                           "\u200a",
                                           "\u2028",
                                           "\u2029",
                                           "\u202f",
                                           "\u205f",
                                           "\u3000",
                                           "a",
                                           "Z",
                                           "é",
                                           "e\u0301",
                                           "ж",
                                           "한",
                                           "글",
                                           "中",
                                           "𝒳",
                                           "0",
                                           "9",
                                           "٣",
                                           "Ⅷ",
                                           "½",
                                           "𝟗",
                                           "!",
                                           "-",
                                           "_",
                                           "\u200d",
                                           "👩",
                                           "🏽",
                                           "\U0001f1e9",
                                           "\ue000",
                                           std::string(1, '\0')};
  auto const piece = rc::gen::elementOf(pieces);
  EXPECT_TRUE(rc::check([&] {
    std::string text;
    for (auto const& p : *rc::gen::container<std::vector<std::string>>(piece)) text += p;
    RC_ASSERT(cut(text) == pattern.cut(text));
  }));
  uint64_t state = 1;
  for (int n = 0; n < 50'000; ++n) {
    std::string text;
    auto const length = 1 + n % 12;
    for (int i = 0; i < length; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += pieces[(state >> 33) % pieces.size()];
    }
    ASSERT_EQ(cut(text), pattern.cut(text)) << text;
  }
}

}  // namespace
}  // namespace folio::text

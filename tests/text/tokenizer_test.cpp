// GPT-2's tokenizer whole: known ids, known corpora, special tokens, any bytes there and back, speed on what is worst.
// That its ids are tiktoken's is shown by tests/oracles/tokenizer_oracle.py.
#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "tests/support/corpora.h"
#include "tests/support/files.h"

namespace folio::text {
namespace {

using Ids = std::vector<int32_t>;

class Gpt2 : public testing::Test {
 protected:
  void SetUp() override { FOLIO_NEEDS_GPT2(); }
  static Tokenizer const& gpt2() {
    static auto const tokenizer = load_tokenizer("gpt2");
    return *tokenizer;
  }
  static std::string sha256_as_u16(Ids const& ids) {
    std::string bytes;
    for (auto const id : ids) bytes += {static_cast<char>(id), static_cast<char>(id >> 8)};
    return test::sha256(bytes);
  }
};

TEST_F(Gpt2, IsWhatItIs) {
  EXPECT_EQ(gpt2().name(), "gpt2");
  EXPECT_EQ(gpt2().vocab(), 50257);
  EXPECT_EQ(gpt2().end_of_text(), 50256);
  EXPECT_EQ(gpt2().token(50256), "<|endoftext|>");
  EXPECT_EQ(gpt2().token(220), " ");
  EXPECT_EQ(gpt2().token(198), "\n");
}

TEST_F(Gpt2, KnownIds) {
  EXPECT_EQ(gpt2().encode("ROMEO:"), (Ids{33676, 4720, 25}));
  EXPECT_EQ(gpt2().encode("Hello world"), (Ids{15496, 995}));
  EXPECT_EQ(gpt2().encode(""), Ids{});
  EXPECT_EQ(gpt2().encode(std::string(1, '\0')), Ids{188});
}

TEST_F(Gpt2, TinyShakespeareIsTheKnownIds) {
  auto const text = test::tiny_shakespeare();
  if (!text) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file";
  auto const ids = gpt2().encode(*text);
  EXPECT_EQ(ids.size(), 338'025u);
  EXPECT_EQ(std::set<int32_t>(ids.begin(), ids.end()).size(), 11'706u);
  EXPECT_EQ(sha256_as_u16(ids).substr(0, 16), "25c01b32b32f4189");
  EXPECT_EQ(gpt2().decode(ids), *text);
}

TEST_F(Gpt2, ThePlaysOfSetUpAreTheKnownIds) {
  auto const text = test::plays();
  if (!text) GTEST_SKIP() << "the plays are not in the data directory: run scripts/get-data";
  auto const ids = gpt2().encode(*text);
  EXPECT_EQ(ids.size(), 1'454'788u);
  EXPECT_EQ(sha256_as_u16(ids).substr(0, 16), "8f97128f73a9d162");
  EXPECT_EQ(gpt2().decode(ids), *text);
}

TEST_F(Gpt2, EndOfTextIsATokenOnlyWhereAllowed) {
  auto const text = "a<|endoftext|>b<|endoftext|><|endoftext|";
  EXPECT_EQ(gpt2().encode(text, Specials::as_token), (Ids{64, 50256, 65, 50256, 27, 91, 437, 1659, 5239, 91}));
  auto const plain = gpt2().encode(text);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 50256), 0);
  EXPECT_EQ(gpt2().decode(plain), text);
  EXPECT_EQ(gpt2().encode("<|endoftext|>", Specials::as_token), Ids{50256});
}

TEST_F(Gpt2, ASpecialTokenEndsTheTextBeforeIt) {
  auto ids = gpt2().encode("x  ");
  ids.push_back(50256);
  for (auto const id : gpt2().encode("  y")) ids.push_back(id);
  EXPECT_EQ(gpt2().encode("x  <|endoftext|>  y", Specials::as_token), ids);
}

TEST_F(Gpt2, AnyBytesGoThereAndBack) {
  auto const byte = rc::gen::map(rc::gen::inRange(0, 256), [](int b) { return static_cast<char>(b); });
  EXPECT_TRUE(rc::check([&] {
    auto const text = *rc::gen::container<std::string>(byte);
    RC_ASSERT(gpt2().decode(gpt2().encode(text)) == text);
    RC_ASSERT(gpt2().decode(gpt2().encode(text, Specials::as_token)) == text);
  }));
  EXPECT_TRUE(rc::check([&] {
    auto const text = *rc::gen::container<std::string>(
        rc::gen::weightedOneOf<char>({{8, rc::gen::inRange('a', 'e')}, {2, rc::gen::just(' ')}, {1, byte}}));
    RC_ASSERT(gpt2().decode(gpt2().encode(text)) == text);
  }));
  std::mt19937 random(3);
  std::string text(200'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  EXPECT_EQ(gpt2().decode(gpt2().encode(text)), text);
}

TEST_F(Gpt2, ALongTextIsItsPiecesEncodedAlone) {  // what is kept of earlier words changes nothing
  std::mt19937 random(4);
  std::string all;
  Ids expected;
  for (int n = 0; n < 60'000; ++n) {
    std::string word = " ";
    for (auto length = 1 + random() % 9; length > 0; --length) word += static_cast<char>('a' + random() % 6);
    all += word;
    for (auto const id : gpt2().encode(word)) expected.push_back(id);
  }
  EXPECT_EQ(gpt2().encode(all), expected);
}

TEST_F(Gpt2, ThreadsShareIt) {
  std::string text;
  std::mt19937 random(5);
  for (int n = 0; n < 50'000; ++n) text += static_cast<char>(' ' + random() % 90);
  auto const expected = gpt2().encode(text);
  std::vector<Ids> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& ids : got) threads.emplace_back([&] { ids = gpt2().encode(text); });
  }
  for (auto const& ids : got) EXPECT_EQ(ids, expected);
}

TEST_F(Gpt2, AMegabyteOfOneThingTakesNoTime) {  // milliseconds; quadratic work would take an hour
  for (std::string const piece : {"a", "^", " ", "\n", "😀", "한", "ab", "\xff"}) {
    std::string text;
    while (text.size() < 1 << 20) text += piece;
    auto const begin = std::chrono::steady_clock::now();
    auto const ids = gpt2().encode(text);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10)) << piece;
    EXPECT_EQ(gpt2().decode(ids), text);
  }
}

TEST_F(Gpt2, RefusesIdsThatItDoesNotHave) {
  for (auto const id : {-1, 50257, INT32_MAX}) {
    test::expect_fault(Fault::content, {std::to_string(id), "0 … 50256"}, [&] { gpt2().token(id); });
    test::expect_fault(Fault::content, {std::to_string(id)}, [&] { gpt2().decode(Ids{5, id}); });
  }
}

TEST_F(Gpt2, AStreamOfTokensShowsWholeCharacters) {
  std::string const text = "한국어 👩‍👩‍👧 각";
  Utf8Stream stream;
  std::string shown;
  bool held = false;
  for (auto const id : gpt2().encode(text)) {
    auto const token = gpt2().token(id);
    auto const now = stream.push(token);
    held = held || now.size() < token.size();
    shown += now;
    EXPECT_EQ(text.compare(0, shown.size(), shown), 0);
    EXPECT_TRUE(shown.size() == text.size() || (text[shown.size()] & 0xc0) != 0x80);
  }
  EXPECT_TRUE(held) << "no token of this text ends inside a character";
  EXPECT_EQ(shown + stream.finish(), text);
}

}  // namespace
}  // namespace folio::text

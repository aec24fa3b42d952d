// The character tokenizer: ids by code point, nothing unknown, exact there and back through its file.
#include "text/char_tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include "tests/support/corpora.h"
#include "tests/support/files.h"

namespace folio::text {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> again(Tokenizer const& tokenizer) {  // written and read
  return read_char_json(parse_json(tokenizer.files().at(0).content, "tokenizer.json"), "tokenizer.json");
}

TEST(CharTokenizer, NumbersItsCharactersByCodePointAndThenTheBytes) {
  auto const t = make_char_tokenizer("b한a\n\xff😀\x80 ab");
  std::vector<std::string> tokens;
  for (int32_t id = 0; id < t->vocab(); ++id) tokens.emplace_back(t->token(id));
  EXPECT_EQ(tokens, (std::vector<std::string>{"\n", " ", "a", "b", "한", "😀", "\x80", "\xff"}));
  EXPECT_EQ(t->encode("ab한\xff\n"), (Ids{2, 3, 4, 7, 0}));
  EXPECT_EQ(t->name(), "char");
  EXPECT_EQ(t->end_of_text(), std::nullopt);
}

TEST(CharTokenizer, KeepsSpecialTokensAsText) {
  std::string const text = "<|endoftext|>";
  auto const t = make_char_tokenizer(text);
  EXPECT_EQ(t->encode(text, Specials::as_token).size(), text.size());
}

TEST(CharTokenizer, RefusesWhatItsTextDidNotHave) {
  auto const t = make_char_tokenizer("abc");
  test::expect_fault(Fault::content, {"byte 2", "U+0064", "3 characters"}, [&] { t->encode("abd"); });
  test::expect_fault(Fault::content, {"byte 1", "U+1F600"}, [&] { t->encode("a😀"); });
  test::expect_fault(Fault::content, {"byte 3", "byte 0xC3"}, [&] { t->encode("abc\xc3"); });
  test::expect_fault(Fault::content, {"id 3"}, [&] { t->token(3); });
  test::expect_fault(Fault::content, {"empty"}, [] { make_char_tokenizer(""); });
}

TEST(CharTokenizer, AnyTextGoesThereAndBackAlsoThroughItsFile) {
  auto const byte = rc::gen::map(rc::gen::inRange(0, 256), [](int b) { return static_cast<char>(b); });
  EXPECT_TRUE(rc::check([&] {
    auto const text = *rc::gen::nonEmpty(rc::gen::container<std::string>(byte));
    auto const t = make_char_tokenizer(text);
    auto const ids = t->encode(text);
    RC_ASSERT(t->decode(ids) == text);
    auto const read = again(*t);
    RC_ASSERT(read->encode(text) == ids);
    RC_ASSERT(read->decode(ids) == text);
    RC_ASSERT(read->fingerprint() == t->fingerprint());
  }));
}

TEST(CharTokenizer, IsFoundInItsDirectory) {
  test::ScratchFolder folder;
  auto const t = make_char_tokenizer("To be, \xff\n");
  for (auto const& file : t->files()) write_file(folder.path() / file.name, file.content);
  EXPECT_TRUE(has_tokenizer(folder.path()));
  auto const read = load_tokenizer(folder.path().string());
  EXPECT_EQ(read->name(), "char");
  EXPECT_EQ(read->fingerprint(), t->fingerprint());
}

TEST(CharTokenizer, OfTinyShakespeareHas65) {
  auto const text = test::tiny_shakespeare();
  if (!text) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file";
  auto const t = make_char_tokenizer(*text);
  EXPECT_EQ(t->vocab(), 65);
  EXPECT_EQ(t->encode("First Citizen:\n"), (Ids{18, 47, 56, 57, 58, 1, 15, 47, 58, 47, 64, 43, 52, 10, 0}));
  EXPECT_EQ(t->decode(t->encode(*text)), *text);
}

TEST(CharTokenizer, RefusesAFileThatIsNotOneOfItsOwn) {
  auto const files = make_char_tokenizer("ab\xff")->files();
  auto const good = parse_json(files.at(0).content, "good");
  EXPECT_EQ(files.at(0).name, "tokenizer.json");
  EXPECT_EQ(read_char_json(good, "good")->vocab(), 3);
  auto const expect = [&](std::string const& words, auto change) {
    auto changed = good;
    change(changed);
    test::expect_fault(Fault::content, {"bad.json", words}, [&] { read_char_json(changed, "bad.json"); });
  };
  expect("single characters", [](Json& j) { j["pre_tokenizer"] = nullptr; });
  expect("single characters", [](Json& j) { j.erase("pre_tokenizer"); });
  expect("normalizer", [](Json& j) { j["normalizer"] = {{"type", "NFC"}}; });
  expect("added_tokens", [](Json& j) { j["added_tokens"] = {1}; });
  expect("model.vocab", [](Json& j) { j["model"].erase("vocab"); });
  expect("model.vocab", [](Json& j) { j["model"]["vocab"] = Json::object(); });
  expect("not one character", [](Json& j) { j["model"]["vocab"] = {{"ab", 0}}; });
  expect("not one character", [](Json& j) { j["model"]["vocab"] = {{"", 0}}; });
  expect("not one character", [](Json& j) { j["model"]["vocab"] = {{"<0x41>", 0}}; });
  expect("0 … 1", [](Json& j) { j["model"]["vocab"] = {{"a", 0}, {"b", 2}}; });
  expect("0 … 1", [](Json& j) { j["model"]["vocab"] = {{"a", 0}, {"b", -1}}; });
  expect("0 … 1", [](Json& j) { j["model"]["vocab"] = {{"a", 0}, {"b", "1"}}; });
  expect("same id", [](Json& j) { j["model"]["vocab"] = {{"a", 0}, {"b", 0}}; });
}

}  // namespace
}  // namespace folio::text

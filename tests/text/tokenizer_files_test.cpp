// Tokenizers on disk: both forms are read, what is written is read back the same, and every lie in a file is refused
// with a sentence.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/corpora.h"
#include "tests/support/files.h"
#include "text/bpe.h"
#include "text/byte_letters.h"

namespace folio::text {
namespace {

using Ids = std::vector<int32_t>;
using test::expect_fault;

/// The 256 bytes, "ab" (256), "abc" (257), " a" (258), and <|endoftext|> (259).
BpeParts small_parts() {
  BpeParts parts;
  parts.name = "small";
  for (int b = 0; b < 256; ++b) parts.tokens.emplace_back(1, static_cast<char>(b));
  for (auto const* t : {"ab", "abc", " a", "<|endoftext|>"}) parts.tokens.emplace_back(t);
  parts.merges = {{'a', 'b', 256}, {256, 'c', 257}, {' ', 'a', 258}};
  parts.added = {{259, "<|endoftext|>", true}};
  return parts;
}

class Files : public testing::Test {
 protected:
  test::ScratchFolder folder;
  std::string directory() const { return folder.path().string(); }

  void write(Tokenizer const& tokenizer, std::vector<std::string> const& only = {}) const {
    for (auto const& file : tokenizer.files())
      if (only.empty() || std::ranges::find(only, file.name) != only.end())
        write_file(folder.path() / file.name, file.content);
  }
  static Json small_json() {
    for (auto const& file : make_bpe_tokenizer(small_parts(), "small")->files())
      if (file.name == "tokenizer.json") return parse_json(file.content, file.name);
    throw std::runtime_error("no tokenizer.json");
  }
  void expect_same(Tokenizer const& a, Tokenizer const& b) const {
    EXPECT_EQ(a.vocab(), b.vocab());
    EXPECT_EQ(a.end_of_text(), b.end_of_text());
    EXPECT_EQ(a.fingerprint(), b.fingerprint());
    for (std::string const text : {"abcab ab a", "a<|endoftext|>b", "\xff \n한"})
      for (auto const specials : {Specials::as_text, Specials::as_token})
        EXPECT_EQ(a.encode(text, specials), b.encode(text, specials)) << text;
  }
  void put(Json const& json) const {  // without write_json's care, which costs time
    std::ofstream(folder / "tokenizer.json") << json.dump();
  }
  void refuses(std::string const& words, auto change) const {
    auto json = small_json();
    change(json);
    put(json);
    expect_fault(Fault::content, {"tokenizer.json", words}, [&] { load_tokenizer(directory()); });
  }
};

TEST_F(Files, AreReadBackTheSameFromEitherForm) {
  auto const small = make_bpe_tokenizer(small_parts(), "small");
  EXPECT_EQ(small->encode("abcab a"), (Ids{257, 256, 258}));
  write(*small, {"vocab.json", "merges.txt"});
  EXPECT_TRUE(has_tokenizer(folder.path()));
  expect_same(*load_tokenizer(directory()), *small);
  std::filesystem::remove(folder / "merges.txt");
  EXPECT_FALSE(has_tokenizer(folder.path()));
  write(*small, {"tokenizer.json"});
  EXPECT_TRUE(has_tokenizer(folder.path()));
  auto const read = load_tokenizer(directory());
  expect_same(*read, *small);
  EXPECT_EQ(read->name(), folder.path().filename().string());
}

TEST_F(Files, MergesMayBePairsInALoneList) {  // as tokenizers writes them since 0.20
  auto json = small_json();
  json["model"]["merges"] = Json::parse(R"([["a", "b"], ["ab", "c"], ["Ġ", "a"]])");
  write_json(folder / "tokenizer.json", json);
  expect_same(*load_tokenizer(directory()), *make_bpe_tokenizer(small_parts(), "small"));
}

TEST_F(Files, WindowsLineEndsAndNoVersionLineAreRead) {
  auto const small = make_bpe_tokenizer(small_parts(), "small");
  write(*small, {"vocab.json"});
  write_file(folder / "merges.txt", "a b\r\nab c\r\nĠ a");
  expect_same(*load_tokenizer(directory()), *small);
}

TEST_F(Files, AddedTokensAreFoundLeftmostThenLongest) {
  auto parts = small_parts();
  for (auto const* t : {"<a>", "<a>b", "[x y]"}) parts.tokens.emplace_back(t);
  parts.added.push_back({260, "<a>", true});
  parts.added.push_back({261, "<a>b", true});
  parts.added.push_back({262, "[x y]", false});
  auto const t = make_bpe_tokenizer(parts, "small");
  EXPECT_EQ(t->encode("c<a>bc<a>[x y]", Specials::as_token), (Ids{'c', 261, 'c', 260, 262}));
  EXPECT_EQ(t->encode("<a>[x y]"), (Ids{'<', 'a', '>', 262}));  // one that is not special is always found
  write(*t);
  auto const read = load_tokenizer(directory());
  EXPECT_EQ(read->encode("c<a>bc<a>[x y]", Specials::as_token), (Ids{'c', 261, 'c', 260, 262}));
  EXPECT_EQ(read->token(262), "[x y]");
}

TEST_F(Files, AddedTokensMayLieInsideTheVocabularyOrBehindIt) {
  auto json = small_json();
  auto const added = [](int64_t id, std::string const& text, bool special, bool normalized) {
    return Json{{"id", id}, {"content", text}, {"special", special}, {"normalized", normalized}};
  };
  json["added_tokens"].push_back(added(257, "abc", false, true));  // an id of the vocabulary
  json["added_tokens"].push_back(added(260, "<|user|>", true, false));
  json["added_tokens"].push_back(added(262, "bca", false, false));
  json["added_tokens"].push_back(added(261, "\n ", true, false));
  put(json);
  for (int i = 0; i < 2; ++i) {  // as it was, then as folio writes it
    auto const t = load_tokenizer(directory());
    EXPECT_EQ(t->vocab(), 263);
    EXPECT_EQ(t->encode("<|user|>\n a", Specials::as_token), (Ids{260, 261, 'a'}));
    EXPECT_EQ(t->encode("\n a"), (Ids{'\n', 258}));
    EXPECT_EQ(t->encode("xabc"), (Ids{'x', 257}));
    EXPECT_EQ(t->encode("xabca"), (Ids{'x', 'a', 262})) << "one that is normalized is found in what the others leave";
    EXPECT_EQ(t->token(261), "\n ");
    EXPECT_EQ(t->decode(Ids{257, 260, 262, 261}), "abc<|user|>bca\n ");
    write(*t);
  }
}

TEST_F(Files, MergesInAnyOrderAreAppliedByRank) {
  auto json = small_json();
  json["model"]["merges"] = {"ab c", "Ġ a", "a b"};
  put(json);
  EXPECT_EQ(load_tokenizer(directory())->encode("abc abc"), (Ids{257, 258, 'b', 'c'}));
}

TEST_F(Files, ThatAreEnormousAreRefusedUnread) {
  auto const path = folder / "tokenizer.json";
  write_file(path, "{");
  std::filesystem::resize_file(path, uint64_t{1} << 40);  // sparse
  expect_fault(Fault::content, {"tokenizer.json"}, [&] { load_tokenizer(directory()); });
  std::filesystem::remove(path);
  write_file(folder / "vocab.json", "{");
  write_file(folder / "merges.txt", "");
  std::filesystem::resize_file(folder / "vocab.json", uint64_t{1} << 40);
  expect_fault(Fault::content, {"vocab.json"}, [&] { load_tokenizer(directory()); });
  write_file(path, std::string(200'000, '['));
  expect_fault(Fault::content, {"tokenizer.json"}, [&] { load_tokenizer(directory()); });
}

TEST_F(Files, Gpt2IsKnownByItsContentWhereverItLies) {
  FOLIO_NEEDS_GPT2();
  auto const gpt2 = load_tokenizer("gpt2");
  write(*gpt2);
  EXPECT_EQ(test::sha256(read_file(folder / "merges.txt")),
            "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5");  // byte for byte OpenAI's file
  auto const read = load_tokenizer(directory());
  EXPECT_EQ(read->name(), "gpt2");
  expect_same(*read, *gpt2);
  std::filesystem::remove(folder / "tokenizer.json");
  EXPECT_EQ(load_tokenizer(directory())->name(), "gpt2");
}

TEST_F(Files, ThatAreNotThereAreMissing) {
  expect_fault(Fault::missing, {"no such", "no tokenizer"}, [&] { load_tokenizer(directory() + "/no such"); });
  expect_fault(Fault::missing, {directory(), "no tokenizer"}, [&] { load_tokenizer(directory()); });
  write_file(folder / "vocab.json", "{}");
  expect_fault(Fault::missing, {"merges.txt"}, [&] { load_tokenizer(directory()); });
  expect_fault(Fault::content, {"is a file"}, [&] { load_tokenizer((folder / "vocab.json").string()); });
}

TEST_F(Files, TheDataDirectorysAreCheckedByHash) {
  FOLIO_NEEDS_GPT2();
  auto const real = data_directory() / "gpt2";
  ::setenv("FOLIO_DATA", directory().c_str(), 1);
  expect_fault(Fault::missing, {"encoder.json", "scripts/get-data"}, [] { load_tokenizer("gpt2"); });
  make_folders(folder / "gpt2");
  std::filesystem::copy(real, folder / "gpt2");
  EXPECT_EQ(load_tokenizer("gpt2")->vocab(), 50257);
  auto bytes = read_file(real / "vocab.bpe");
  bytes[bytes.size() / 2] ^= 1;
  write_file(folder / "gpt2" / "vocab.bpe", bytes);
  expect_fault(Fault::content, {"vocab.bpe", "SHA-256", "scripts/get-data"}, [] { load_tokenizer("gpt2"); });
  ::setenv("FOLIO_DATA", real.parent_path().c_str(), 1);
}

TEST_F(Files, WithWrongVocabulariesAreRefused) {
  refuses("not an object", [](Json& j) { j["model"].erase("vocab"); });
  refuses("not an object", [](Json& j) { j["model"]["vocab"] = Json::object(); });
  refuses("must be 0 … 259", [](Json& j) { j["model"]["vocab"]["ab"] = 260; });
  refuses("must be 0 … 259", [](Json& j) { j["model"]["vocab"]["ab"] = -1; });
  refuses("same id 257", [](Json& j) { j["model"]["vocab"]["ab"] = 257; });
  refuses("not an integer", [](Json& j) { j["model"]["vocab"]["ab"] = 18446744073709551615u; });
  refuses("not an integer", [](Json& j) { j["model"]["vocab"]["ab"] = 1.5; });
  refuses("not an integer", [](Json& j) { j["model"]["vocab"]["ab"] = "256"; });
  refuses("not spelled in GPT-2's letters", [](Json& j) { j["model"]["vocab"]["a b"] = 260; });
  refuses("is empty", [](Json& j) { j["model"]["vocab"][""] = 260; });
  refuses("no token for the byte 0x41", [](Json& j) {
    j["model"]["vocab"].erase("A");
    j["model"]["vocab"]["AA"] = 65;
  });
}

TEST_F(Files, WithWrongMergesAreRefused) {
  auto const with = [](std::vector<std::string> merges) {
    return [merges](Json& j) { j["model"]["merges"] = merges; };
  };
  refuses("not a list", [](Json& j) { j["model"].erase("merges"); });
  refuses("neither", [](Json& j) { j["model"]["merges"] = {7}; });
  refuses("neither", [](Json& j) { j["model"]["merges"] = {{"a", "b", "c"}}; });
  refuses("merge 0", with({"ab"}));
  refuses("merge 1", with({"a b", "ab  c"}));
  refuses("merge 0", with({" a"}));
  refuses("needs the token \"zz\"", with({"a b", "zz c"}));
  refuses("needs the token \"bc\"", with({"b c"}));
  refuses("merge 2 repeats", with({"a b", "ab c", "a b"}));
}

TEST_F(Files, WithWrongAddedTokensAreRefused) {
  auto const added = [](int64_t id, std::string const& text) {
    return Json{{"id", id}, {"content", text}, {"special", true}};
  };
  refuses("not a list", [](Json& j) { j["added_tokens"] = 5; });
  refuses("content", [](Json& j) { j["added_tokens"] = {5}; });
  refuses("another id", [&](Json& j) { j["added_tokens"] = {added(258, "<|endoftext|>")}; });
  refuses("must be 0 … 260", [&](Json& j) { j["added_tokens"].push_back(added(300, "<x>")); });
  refuses("same id", [&](Json& j) { j["added_tokens"].push_back(added(3, "<x>")); });
  refuses("is empty", [&](Json& j) { j["added_tokens"].push_back(added(260, "")); });
  refuses("two added tokens", [&](Json& j) { j["added_tokens"].push_back(added(259, "<|endoftext|>")); });
  refuses("must be 0 … 260", [&](Json& j) { j["added_tokens"].push_back(added(-1, "<x>")); });
  refuses("must be 0 … 260", [&](Json& j) { j["added_tokens"].push_back(added(int64_t{1} << 40, "<x>")); });
  refuses("the same id 259", [&](Json& j) { j["added_tokens"] = {added(259, "<x>"), added(260, "<y>")}; });
  refuses("lstrip", [&](Json& j) { j["added_tokens"][0]["lstrip"] = true; });
}

TEST_F(Files, ThatCutTextsInAnotherWayAreRefused) {
  refuses("normalizer", [](Json& j) { j["normalizer"] = {{"type", "NFC"}}; });
  refuses("pre-tokenizer", [](Json& j) { j["pre_tokenizer"] = nullptr; });
  refuses("\"Whitespace\"", [](Json& j) { j["pre_tokenizer"] = {{"type", "Whitespace"}}; });
  refuses("add_prefix_space", [](Json& j) { j["pre_tokenizer"]["add_prefix_space"] = true; });
  refuses("use_regex", [](Json& j) { j["pre_tokenizer"]["use_regex"] = false; });
  Json const sequence = {{"Sequence", {{"id", "A"}}}}, special = {{"SpecialToken", {{"id", "<|endoftext|>"}}}};
  auto const processed = [](Json const& by) { return [by](Json& j) { j["post_processor"] = by; }; };
  auto const by_template = [](Json parts) {
    return Json{{"type", "TemplateProcessing"}, {"single", std::move(parts)}};
  };
  refuses("post_processor", processed(Json{{"type", "RobertaProcessing"}}));
  refuses("post_processor", processed(by_template(Json::array({special, sequence}))));
  refuses("post_processor",
          processed(Json{{"type", "Sequence"}, {"processors", Json::array({by_template(Json::array({special}))})}}));
  Json harmless = small_json();
  Json const byte_level = {{"type", "ByteLevel"}};
  harmless["post_processor"] = {{"type", "Sequence"},
                                {"processors", Json::array({byte_level, by_template(Json::array({sequence}))})}};
  put(harmless);
  EXPECT_EQ(load_tokenizer(directory())->vocab(), 260);
  refuses("end_of_word_suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; });
  refuses("ignore_merges", [](Json& j) { j["model"]["ignore_merges"] = true; });
  refuses("drop out", [](Json& j) { j["model"]["dropout"] = 0.1; });
  refuses("\"Unigram\"", [](Json& j) { j["model"]["type"] = "Unigram"; });
  refuses("version \"2.0\"", [](Json& j) { j["version"] = "2.0"; });
  refuses("no model", [](Json& j) { j = {{"version", "1.0"}}; });
  refuses("no model", [](Json& j) { j = Json::array(); });
}

// Whatever stands in whichever place, it loads or one sentence says why not.
TEST_F(Files, WithAnyValueOfAnyTypeAnywhereEndInASentenceAtWorst) {
  std::vector<Json> const values = {nullptr,       true,           5,   -1,           1.5, "x", "",
                                    Json::array(), Json::object(), {5}, {{"type", 5}}};
  std::vector<Json> tokenizers = {small_json()};
  tokenizers.push_back(parse_json(make_char_tokenizer("ab\xff")->files().at(0).content, "char"));
  size_t loaded = 0, refused = 0;
  for (auto const& whole : tokenizers) {
    std::vector<std::string> places;
    auto const flat = whole.flatten();
    for (auto const& [place, value] : flat.items()) {
      if (place.find("/vocab/") != place.npos && !place.ends_with("/a")) continue;  // one token is enough
      for (auto end = place.size(); end != place.npos && end > 0; end = place.rfind('/', end - 1))
        places.push_back(place.substr(0, end));
    }
    std::ranges::sort(places);
    places.erase(std::unique(places.begin(), places.end()), places.end());
    EXPECT_GT(places.size(), 15u);
    for (auto const& place : places)
      for (auto const& value : values) {
        auto changed = whole;
        changed[Json::json_pointer(place)] = value;
        put(changed);
        auto const thrown = test::thrown_by([&] { load_tokenizer(directory()); });  // another exception ends the test
        ASSERT_TRUE(thrown.fault == 0 || thrown.fault == 65) << place << ": " << thrown.sentence;
        thrown.fault == 0 ? ++loaded : ++refused;
      }
  }
  EXPECT_GT(refused, 200u);
  EXPECT_GT(loaded, 20u);
}

TEST_F(Files, CutOffAnywhereAreRefused) {
  auto const content = dump(small_json());
  for (size_t size = 0; size < content.size(); size += 97) {
    std::ofstream(folder / "tokenizer.json") << content.substr(0, size);
    expect_fault(Fault::content, {"tokenizer.json"}, [&] { load_tokenizer(directory()); });
  }
}

TEST(ByteLetters, AreEveryByteAsAVisibleLetter) {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  EXPECT_EQ(from_letters(to_letters(all)), all);
  EXPECT_EQ(to_letters(" a\n\x7f\xad\xff"), "ĠaĊġŃÿ");
  EXPECT_EQ(from_letters("a b"), std::nullopt);
  EXPECT_EQ(from_letters("한"), std::nullopt);
  EXPECT_EQ(from_letters("\xff"), std::nullopt);
}

}  // namespace
}  // namespace folio::text

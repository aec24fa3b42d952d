#include "data/sources.h"
#include "data/shard_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "data/alphabet.h"
#include "data/encode.h"
#include "data/shard.h"
#include "tests/data/data_support.h"
#include "tests/support/files.h"
#include "text/words.h"

namespace folio::data {
namespace {

using test::expect_fault;
using test::put;
using test::ScratchFolder;

std::vector<std::string> names_of(std::vector<Source> const& sources, Path const& below) {
  std::vector<std::string> names;
  for (Source const& s : sources)
    names.push_back(s.path.lexically_relative(below).generic_string() + (s.val ? "*" : ""));
  return names;
}

TEST(Sources, AFolderMeansItsTextsByName) {
  ScratchFolder folder;
  for (char const* name :
       {"b.txt", "a.txt", "sub/c.TXT", "sub/deep/d.txt", "note.md", ".hidden.txt", ".git/e.txt", "a0/z.txt"})
    put(folder.path() / "in" / name, "x");
  std::filesystem::create_symlink(folder.path() / "in", folder.path() / "in" / "loop");
  auto const sources = list_sources({(folder.path() / "in").string()}, {}, folder / "spool");
  EXPECT_EQ(names_of(sources, folder / "in"),
            (std::vector<std::string>{"a.txt", "a0/z.txt", "b.txt", "sub/c.TXT", "sub/deep/d.txt"}));
}

TEST(Sources, HeldOutFilesMayAlsoStandAmongTheTexts) {
  ScratchFolder folder;
  for (char const* name : {"in/a.txt", "in/b.txt", "in/c.txt", "other.txt"}) put(folder.path() / name, "x");
  std::string const in = (folder / "in").string();
  EXPECT_EQ(
      names_of(list_sources({in}, {in + "/b.txt", (folder / "other.txt").string()}, folder / "spool"), folder.path()),
      (std::vector<std::string>{"in/a.txt", "in/b.txt*", "in/c.txt", "other.txt*"}));
  EXPECT_EQ(names_of(list_sources({in + "/a.txt"}, {in + "/../in"}, folder / "spool"), folder.path()).front(),
            "in/a.txt*")
      << "by file, not by spelling";
}

TEST(Sources, WhatCannotBeReadIsRefused) {
  ScratchFolder folder;
  put(folder / "a.txt", "x");
  put(folder.path() / "empty/readme.md", "x");
  std::string const a = (folder / "a.txt").string();
  auto const list = [&](std::vector<std::string> const& texts, std::vector<std::string> const& val = {}) {
    return list_sources(texts, val, folder / "spool");
  };
  expect_fault(Fault::missing, {"none.txt", "does not exist"}, [&] { list({(folder / "none.txt").string()}); });
  expect_fault(Fault::content, {"without .txt files"}, [&] { list({(folder / "empty").string()}); });
  put(folder.path() / "data/manifest.json", "{}");
  put(folder.path() / "data/tokenizer/merges.txt", "x");
  put(folder.path() / "model/config.json", "{}");
  put(folder.path() / "model/merges.txt", "x");
  put(folder / "ids.bin", "xx");
  expect_fault(Fault::content, {"prepared data already", "folio train"}, [&] { list({(folder / "data").string()}); });
  expect_fault(Fault::content, {"is a model"}, [&] { list({a}, {(folder / "model").string()}); });
  expect_fault(Fault::content, {"token ids, not text"}, [&] { list({(folder / "ids.bin").string()}); });
  expect_fault(Fault::value, {"given twice"}, [&] { list({a, a}); });
  put(folder.path() / "some/b.txt", "x");
  expect_fault(Fault::value, {"given twice"}, [&] {
    list({(folder / "some").string(), (folder / "some/b.txt").string()});
  });
  expect_fault(Fault::value, {"given twice"}, [&] { list({}, {a, a}); });
}

TEST(Sources, APipeIsCopiedWhole) {
  ScratchFolder folder;
  Path const pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string const text = test::made_text(300'000, 4);
  std::jthread const writer([&] { std::ofstream(pipe, std::ios::binary) << text; });
  uint64_t copied = 0;
  std::filesystem::create_directory(folder / "spool");
  auto const sources = list_sources({pipe.string()}, {}, folder / "spool", [&](uint64_t bytes) { copied = bytes; });
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].name, pipe.string());
  EXPECT_EQ(read_file(sources[0].path), text);
  EXPECT_EQ(copied, text.size());
}

std::vector<std::string> documents_of(std::string const& text, std::string const& separator) {
  ScratchFolder folder;
  put(folder / "t", text);
  std::vector<std::string> documents(1);
  read_documents(
      {folder / "t", "t"}, separator,
      {.text = [&](std::string_view s) { documents.back() += s; }, .end = [&] { documents.emplace_back(); }});
  EXPECT_EQ(documents.back(), "") << "text after the last end";
  documents.pop_back();
  return documents;
}

TEST(Sources, SeparatorsDivideAFile) {
  using Documents = std::vector<std::string>;
  EXPECT_EQ(documents_of("one<|x|>two", ""), Documents{"one<|x|>two"});
  EXPECT_EQ(documents_of("one<|x|>two", "<|x|>"), (Documents{"one", "two"}));
  EXPECT_EQ(documents_of("<|x|>one<|x|><|x|>two<|x|>", "<|x|>"), (Documents{"", "one", "", "two", ""}));
  EXPECT_EQ(documents_of("aaaaa", "aa"), (Documents{"", "", "a"})) << "from the left";
  EXPECT_EQ(documents_of("a<|x|b<|x|", "<|x|>"), Documents{"a<|x|b<|x|"});
  EXPECT_EQ(documents_of("", "<|x|>"), Documents{""});
}

TEST(Sources, ASeparatorMayLieAcrossPieces) {
  std::string const separator = "<|endoftext|>";
  size_t const piece = size_t{1} << 20;
  for (size_t shift = 0; shift <= separator.size(); ++shift) {
    std::string const first(piece - shift, 'a');
    EXPECT_EQ(documents_of(first + separator + "b", separator), (std::vector<std::string>{first, "b"})) << shift;
  }
}

TEST(Sources, SeparatorsAreWrittenWithEscapes) {
  EXPECT_EQ(unescaped("\\n\\n"), "\n\n");
  EXPECT_EQ(unescaped("a\\tb\\\\c\\x00\\xFf"), std::string("a\tb\\c\0\xff", 7));
  for (char const* wrong : {"\\", "\\q", "\\x1", "\\xg0"})
    expect_fault(Fault::usage, {"--separator"}, [&] { unescaped(wrong); });
}

TEST(Sources, CharactersOfPartsAddUp) {
  std::string const text = test::made_text(5000, 3, true);
  for (size_t cut = 0; cut < text.size(); cut += 13)
    ASSERT_EQ(count_characters(text.substr(0, cut)) + count_characters(text.substr(cut)), count_characters(text));
  EXPECT_EQ(count_characters("aé日😀"), 4u);
}

std::unique_ptr<text::Tokenizer> gpt2() {
  try {
    return text::load_tokenizer("gpt2");
  } catch (Error const&) {
    return nullptr;
  }
}

/// `whole` of a text equals that of its two parts together, at every place that find_cut takes in some beginning.
template <class Whole>
void expect_parts_as_the_whole(Whole whole, uint32_t seeds) {
  int places = 0;
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    std::string const text = test::made_text(10 + seed % 200, seed, seed % 2);
    auto const expected = whole(text);
    for (size_t end = 1; end <= text.size(); ++end) {
      size_t const cut = find_cut(std::string_view(text).substr(0, end));
      if (cut == 0 || cut + 1 != end) continue;
      auto parts = whole(text.substr(0, cut));
      auto const rest = whole(text.substr(cut));
      parts.insert(parts.end(), rest.begin(), rest.end());
      ASSERT_EQ(parts, expected) << "seed " << seed << ", cut at " << cut << " of: " << text;
      ++places;
    }
  }
  EXPECT_GT(places, static_cast<int>(seeds));
}

TEST(Cut, PartsHaveTheWordsOfTheWhole) {
  text::Words const words;
  expect_parts_as_the_whole(
      [&](std::string const& text) {
        std::vector<std::string> found;
        for (char const *at = text.data(), *end = at + text.size(); at < end;) {
          char const* const next = words.end_of_word(at, end);
          found.emplace_back(at, next);
          at = next;
        }
        return found;
      },
      3000);
}

TEST(Cut, PartsGiveTheIdsOfTheWhole) {
  auto const tokenizer = gpt2();
  if (!tokenizer) GTEST_SKIP() << "the GPT-2 vocabulary is not here: run scripts/get-data";
  ASSERT_TRUE(cut_is_safe(*tokenizer));
  expect_parts_as_the_whole([&](std::string const& text) { return tokenizer->encode(text); }, 400);
}

TEST(Cut, PlacesThatChangeIdsAreNotChosen) {
  auto const cut = [](std::string_view s) { return find_cut(s); };
  EXPECT_EQ(cut("abc def"), 3u);
  EXPECT_EQ(cut("abc  def"), 3u) << "in front of the blanks, not among them";
  EXPECT_EQ(cut("abc\n\ndef ghi\n"), 12u) << "the last";
  EXPECT_EQ(cut("日本 x"), 6u);
  EXPECT_EQ(cut("abc"), 0u);
  EXPECT_EQ(cut(""), 0u);
  EXPECT_EQ(cut(" abc"), 0u);
  EXPECT_EQ(cut("\u00a0 x"), 0u) << "a wide blank before a blank is one run";
  EXPECT_EQ(cut("\u3000 x"), 0u);
  EXPECT_EQ(cut("\u2028\nx"), 0u);
  EXPECT_EQ(cut("\u0085 x"), 0u);
  EXPECT_EQ(cut("\u1680 x"), 0u);
}

class ByteTokenizer : public text::Tokenizer {  // a byte is an id; with an added token that holds a blank, if asked
 public:
  explicit ByteTokenizer(bool with_added = false) : added_(with_added) {
    for (int b = 0; b < 256; ++b) bytes_ += static_cast<char>(b);
  }
  std::string name() const override { return "bytes"; }
  int64_t vocab() const override { return added_ ? 257 : 256; }
  std::vector<int32_t> encode(std::string_view s, text::Specials) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < s.size(); ++i)
      if (added_ && s.substr(i, 7) == "New Yor") ids.push_back(256), i += 6;
      else ids.push_back(static_cast<unsigned char>(s[i]));
    return ids;
  }
  std::string_view token(int32_t id) const override {
    return id == 256 ? "New Yor" : std::string_view(bytes_).substr(static_cast<size_t>(id), 1);
  }
  std::optional<int32_t> end_of_text() const override { return {}; }
  std::vector<Attachment> files() const override { return {}; }

 private:
  bool added_;
  std::string bytes_;
};

/// An id a word, so that a cut that moves a word's border shows.
class WordTokenizer : public ByteTokenizer {
 public:
  int64_t vocab() const override { return 65'536; }
  std::vector<int32_t> encode(std::string_view s, text::Specials) const override {
    std::vector<int32_t> ids;
    text::Words const words;
    for (char const *at = s.data(), *end = at + s.size(); at < end;) {
      char const* const next = words.end_of_word(at, end);
      ids.push_back(static_cast<int32_t>(std::hash<std::string_view>{}({at, next}) % 65'536));
      at = next;
    }
    return ids;
  }
  std::string_view token(int32_t) const override { return "x"; }
};

std::vector<int32_t> encode_in_pieces(text::Tokenizer const& tokenizer, std::vector<std::string> const& documents,
                                      size_t step, size_t threads, std::optional<int32_t> end = {}) {
  ScratchFolder folder;
  ShardWriter writer(folder.path(), "train", {.vocab = tokenizer.vocab()});
  DocumentEncoder encoder(tokenizer, threads);
  for (std::string const& d : documents) {
    encoder.begin(writer);
    for (size_t at = 0; at < d.size(); at += step) encoder.add(std::string_view(d).substr(at, step));
    encoder.end(end);
  }
  encoder.finish();
  EXPECT_EQ(writer.documents(), documents.size());
  std::vector<Shard> shards;
  shards.push_back(Shard::open(folder.path() / writer.finish()[0].file));
  return test::all_of(Split("train", std::move(shards)));
}

TEST(Encoder, PiecesAndThreadsChangeNothing) {
  auto const real = gpt2();
  ByteTokenizer const bytes;
  text::Tokenizer const& tokenizer = real ? *real : static_cast<text::Tokenizer const&>(bytes);
  std::string const text = test::made_text(5 * DocumentEncoder::kPiece, 8);
  auto const whole = tokenizer.encode(text);
  EXPECT_EQ(encode_in_pieces(tokenizer, {text}, 100'001, 1), whole);
  EXPECT_EQ(encode_in_pieces(tokenizer, {text}, 3 * DocumentEncoder::kPiece, 4), whole);
}

TEST(Encoder, ManyDocumentsStandInOrderWithWhatFollowsThem) {
  ByteTokenizer const tokenizer;
  std::vector<std::string> documents;
  std::vector<int32_t> expected;
  for (uint32_t i = 0; i < 40'000; ++i) {
    documents.push_back(std::to_string(i));
    for (char c : documents.back()) expected.push_back(c);
    expected.push_back(7);
  }
  EXPECT_EQ(encode_in_pieces(tokenizer, documents, 100, 3, 7), expected);
}

TEST(Encoder, ATextWithoutAPlaceToCutIsHeldWhole) {
  ByteTokenizer const tokenizer;
  std::string text(3 * DocumentEncoder::kPiece, 'x');
  text[DocumentEncoder::kPiece * 5 / 2] = ' ';
  auto const ids = encode_in_pieces(tokenizer, {text}, 65'537, 2);
  EXPECT_EQ(tokenizer.decode(ids), text);
}

TEST(Encoder, ARunOfBlanksOnTheEdgeOfAPieceIsNotTornApart) {
  WordTokenizer const tokenizer;
  for (std::string const run : {"\u3000\n\n", "\u00a0  ", "\u2028 \n", " \u3000 \u3000\n\n"})
    for (size_t before = 0; before < 12; ++before) {  // the edge stands at each place of the run
      std::string const text = std::string(DocumentEncoder::kPiece - before, 'x') + run +
                               std::string(2 * DocumentEncoder::kPiece, 'y') + " z";
      ASSERT_EQ(encode_in_pieces(tokenizer, {text}, DocumentEncoder::kPiece, 1),
                tokenizer.encode(text, text::Specials::as_text))
          << before;
    }
}

TEST(Alphabet, PiecesGiveTheCharactersOfTheWhole) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::string const text = test::made_text(300, seed, true);
    auto const expected = text::make_char_tokenizer(text)->fingerprint();
    for (size_t const step : {1, 2, 3, 7, 300}) {
      Alphabet alphabet;
      for (size_t at = 0; at < text.size(); at += step) alphabet.add(std::string_view(text).substr(at, step));
      alphabet.end();
      ASSERT_EQ(text::make_char_tokenizer(alphabet.text())->fingerprint(), expected)
          << "seed " << seed << " by " << step;
    }
  }
}

TEST(Alphabet, CharactersDoNotJoinOverDocuments) {
  Alphabet alphabet;
  alphabet.add("\xc3"), alphabet.end();
  alphabet.add("\xa9"), alphabet.end();
  EXPECT_EQ(text::make_char_tokenizer(alphabet.text())->vocab(), 2);
}

TEST(Encoder, ATokenThatHoldsAPlaceToCutIsNotTornApart) {
  ByteTokenizer const plain, added(true);
  EXPECT_TRUE(cut_is_safe(plain));
  EXPECT_FALSE(cut_is_safe(added));
  std::string text;
  while (text.size() < 2 * DocumentEncoder::kPiece) text += "New Yor";
  auto const ids = encode_in_pieces(added, {text}, 4096, 2);
  EXPECT_EQ(ids, std::vector<int32_t>(text.size() / 7, 256));
}

}  // namespace
}  // namespace folio::data

#include "data/prepare.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/log.h"
#include "data/dataset.h"
#include "data/holdout.h"
#include "tests/data/data_support.h"
#include "tests/support/corpora.h"
#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::expect_fault;
using test::put;
using test::ScratchFolder;

PrepareOptions with(std::string const& tokenizer, double val = 0.1) {
  PrepareOptions o;
  o.tokenizer = tokenizer;
  o.val = val;
  return o;
}

std::string text_of(Dataset const& data, std::string const& split) {
  auto const tokenizer = text::load_tokenizer(data.tokenizer_directory()->string());
  return tokenizer->decode(test::all_of(data.split(split)));
}

std::vector<std::string> documents_of(Dataset const& data, std::string const& name) {
  auto const tokenizer = text::load_tokenizer(data.tokenizer_directory()->string());
  Split const& split = data.split(name);
  std::vector<std::string> documents;
  for (int64_t d = 0; d < split.documents(); ++d) {
    int64_t const begin = split.document_start(d);
    int64_t const end = d + 1 < split.documents() ? split.document_start(d + 1) : split.tokens();
    std::vector<int32_t> ids(static_cast<size_t>(end - begin));
    split.read(begin, ids);
    documents.push_back(tokenizer->decode(ids));
  }
  return documents;
}

/// SHA-256 of the ids as little-endian u16, its first 16 digits.
std::string hash_of_ids(Dataset const& data, std::vector<std::string> const& splits) {
  std::string bytes;
  for (std::string const& split : splits)
    for (int32_t const id : test::all_of(data.split(split))) {
      bytes += static_cast<char>(id & 255);
      bytes += static_cast<char>(id >> 8);
    }
  return test::sha256(bytes).substr(0, 16);
}

TEST(Prepare, TheTailIsCutByCharactersAndNothingIsLost) {
  for (uint32_t seed = 0; seed < 4; ++seed)
    for (double const val : {0.1, 0.013}) {
      ScratchFolder folder;
      std::string const text = test::made_text(3000 + seed, seed, seed % 2);
      put(folder / "in", text);
      Manifest const m = prepare({(folder / "in").string()}, folder / "data", with("char", val));
      Dataset const data(folder / "data");
      std::string const train = text_of(data, "train");
      ASSERT_EQ(train + text_of(data, "val"), text);
      auto const characters = [](std::string const& s) {
        return std::ranges::count_if(s, [](char c) { return (c & 0xc0) != 0x80; });
      };
      ASSERT_EQ(characters(train), static_cast<int64_t>(static_cast<double>(characters(text)) * (1 - val)));
      ASSERT_EQ(m.splits[0].text_bytes, train.size());
      ASSERT_EQ(m.splits[1].text_bytes, text.size() - train.size());
      ASSERT_EQ(data.verify(), static_cast<int64_t>(m.tokenizer_files.size()) + 2);
    }
}

TEST(Prepare, TinyShakespeareByCharacterIsNanoGpts) {
  auto const text = test::tiny_shakespeare();
  if (!text) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file";
  ScratchFolder folder;
  put(folder / "in", *text);
  Manifest const m = prepare({(folder / "in").string()}, folder / "data", with("char"));
  EXPECT_EQ(m.vocab, 65u);
  EXPECT_EQ(m.splits[0].tokens, 1'003'854u);
  EXPECT_EQ(m.splits[1].tokens, 111'540u);
}

TEST(Prepare, TinyShakespeareInGpt2sTokensIsNanoGpts) {
  auto const text = test::tiny_shakespeare();
  if (!text) GTEST_SKIP() << "FOLIO_TINY_SHAKESPEARE does not name the file";
  FOLIO_NEEDS_GPT2();
  ScratchFolder folder;
  put(folder / "in", *text);
  Manifest const m = prepare({(folder / "in").string()}, folder / "data", with("gpt2"));
  EXPECT_EQ(m.splits[0].tokens, 301'966u);
  EXPECT_EQ(m.splits[1].tokens, 36'059u);
  Dataset const data(folder / "data");
  EXPECT_EQ(hash_of_ids(data, {"train", "val"}), "25c01b32b32f4189");
}

// Figures and hashes of the plays are tiktoken's, on the same texts.
TEST(Prepare, ThePlaysInOneTextAreTiktokens) {
  auto const text = test::plays();
  if (!text) GTEST_SKIP() << "the plays are not in the data directory: run scripts/get-data";
  FOLIO_NEEDS_GPT2();
  ScratchFolder folder;
  put(folder / "in", *text);
  Manifest const m = prepare({(folder / "in").string()}, folder / "data", with("gpt2"));
  EXPECT_EQ(m.splits[0].tokens, 1'306'439u);
  EXPECT_EQ(m.splits[1].tokens, 148'351u);
  EXPECT_EQ(hash_of_ids(Dataset(folder / "data"), {"train", "val"}), "a017e482da418e4e");
  Manifest const c = prepare({(folder / "in").string()}, folder / "characters", with("char"));
  EXPECT_EQ(c.vocab, 69u);
  EXPECT_EQ(c.splits[0].tokens, 4'305'635u);
  EXPECT_EQ(c.splits[1].tokens, 478'404u);
}

TEST(Prepare, ThePlaysAsDocumentsAreTiktokensWithEndsOfTextBetween) {
  if (!test::plays()) GTEST_SKIP() << "the plays are not in the data directory: run scripts/get-data";
  FOLIO_NEEDS_GPT2();
  ScratchFolder folder;
  Path const plays = data_directory() / "shakespeare";
  PrepareOptions o = with("gpt2");
  for (char const* name : {"hamlet.txt", "the-tempest.txt", "twelfth-night.txt"})
    o.val_files.push_back((plays / name).string());
  Manifest const m = prepare({plays.string()}, folder / "data", o);
  EXPECT_EQ(m.splits[0].tokens, 1'338'938u);
  EXPECT_EQ(m.splits[0].documents, 35u);
  EXPECT_EQ(m.splits[1].tokens, 115'886u);
  EXPECT_EQ(m.splits[1].text_bytes, 373'269u);
  Dataset const data(folder / "data");
  EXPECT_EQ(hash_of_ids(data, {"train"}), "014a4b3eb1805d6c");
  EXPECT_EQ(hash_of_ids(data, {"val"}), "9f488fc442301196");
}

TEST(Prepare, OneDocumentGivesTheIdsOfItsPartsAndNothingElse) {
  FOLIO_NEEDS_GPT2();
  ScratchFolder folder;
  std::string const text = test::made_text(200'000, 5);
  put(folder / "in", text);
  prepare({(folder / "in").string()}, folder / "data", with("gpt2"));
  Dataset const data(folder / "data");
  auto const tokenizer = text::load_tokenizer("gpt2");
  std::string const train = text_of(data, "train");
  EXPECT_EQ(test::all_of(data.split("train")), tokenizer->encode(train));
  EXPECT_EQ(test::all_of(data.split("val")), tokenizer->encode(text.substr(train.size())));
}

TEST(Prepare, EndOfTextStandsBetweenDocumentsAndTextNeverSpellsIt) {
  FOLIO_NEEDS_GPT2();
  ScratchFolder folder;
  put(folder / "a", "first<|endoftext|>");
  put(folder / "b", "second");
  put(folder / "c", "third");
  Manifest const m = prepare({(folder / "a").string(), (folder / "b").string(), (folder / "c").string()},
                             folder / "data", with("gpt2", 0));
  auto const tokenizer = text::load_tokenizer("gpt2");
  std::vector<int32_t> expected = tokenizer->encode("first<|endoftext|>");
  EXPECT_GT(expected.size(), 3u);
  auto const then = [&](std::string const& text) {
    expected.push_back(50256);
    for (int32_t const id : tokenizer->encode(text)) expected.push_back(id);
  };
  then("second"), then("third");
  Dataset const data(folder / "data");
  EXPECT_EQ(test::all_of(data.split("train")), expected);
  EXPECT_EQ(data.split("train").documents(), 3);
  EXPECT_EQ(m.splits[0].text_bytes, 18u + 6 + 5) << "separators are no text";
  EXPECT_FALSE(data.has("val")) << "--val 0 holds nothing out";
}

TEST(Prepare, ASeparatorDividesAndEmptyDocumentsAreDropped) {
  ScratchFolder folder;
  put(folder / "in", "<|endoftext|>one\n<|endoftext|><|endoftext|>two<|endoftext|>");
  put(folder / "more", "three");
  PrepareOptions o = with("char", 0);
  o.separator = "<|endoftext|>";
  Manifest const m = prepare({(folder / "in").string(), (folder / "more").string()}, folder / "data", o);
  EXPECT_EQ(documents_of(Dataset(folder / "data"), "train"), (std::vector<std::string>{"one\n", "two", "three"}));
  EXPECT_EQ(m.vocab, 8u) << "the separator's letters are not in the alphabet: e h n o r t w and the line's end";
}

TEST(Prepare, TheTailMayBeginInsideADocument) {
  ScratchFolder folder;
  for (char const* name : {"a", "b", "c"}) put(folder / name, std::string(10, name[0]));
  prepare({(folder / "a").string(), (folder / "b").string(), (folder / "c").string()}, folder / "data",
          with("char", 0.5));
  Dataset const data(folder / "data");
  EXPECT_EQ(documents_of(data, "train"), (std::vector<std::string>{"aaaaaaaaaa", "bbbbb"}));
  EXPECT_EQ(documents_of(data, "val"), (std::vector<std::string>{"bbbbb", "cccccccccc"}));
}

TEST(Prepare, NamedTextsAreHeldOutWhole) {
  ScratchFolder folder;
  for (char const* name : {"hamlet", "lear", "tempest"})
    put(folder.path() / "plays" / (std::string(name) + ".txt"), name);
  PrepareOptions o = with("char");
  o.val_files = {(folder / "plays/tempest.txt").string(), (folder / "plays/hamlet.txt").string()};
  Manifest const m = prepare({(folder / "plays").string()}, folder / "data", o);
  Dataset const data(folder / "data");
  EXPECT_EQ(documents_of(data, "train"), (std::vector<std::string>{"lear"}));
  EXPECT_EQ(documents_of(data, "val"), (std::vector<std::string>{"hamlet", "tempest"}));
  EXPECT_EQ(m.split_by, "files");
  o.val_files = {(folder / "plays").string()};
  expect_fault(Fault::content, {"every text is held out"}, [&] { prepare(o.val_files, folder / "none", o); });
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

TEST(Prepare, DrawnDocumentsStayWholeAndInOrder) {
  ScratchFolder folder;
  std::vector<std::string> all;
  std::string text;
  for (int i = 0; i < 200; ++i) {
    all.push_back(std::to_string(i) + std::string(static_cast<size_t>(i % 7 + 1), 'x'));
    text += (i ? "|" : "") + all.back();
  }
  put(folder / "in", text);
  PrepareOptions o = with("char");
  o.val_by = "documents";
  o.separator = "|";
  std::vector<std::vector<std::string>> drawn;
  for (uint64_t const seed : {1, 1, 2}) {
    o.seed = seed;
    Path const out = folder.path() / ("data" + std::to_string(drawn.size()));
    Manifest const m = prepare({(folder / "in").string()}, out, o);
    Dataset const data(out);
    drawn.push_back(documents_of(data, "val"));
    auto joined = documents_of(data, "train");
    for (auto const* part : {&joined, &drawn.back()})
      EXPECT_TRUE(std::ranges::is_sorted(*part, {}, [&](std::string const& d) { return std::ranges::find(all, d); }));
    joined.insert(joined.end(), drawn.back().begin(), drawn.back().end());
    EXPECT_TRUE(std::ranges::is_permutation(joined, all));
    EXPECT_NEAR(static_cast<double>(m.splits[1].text_bytes) / static_cast<double>(text.size() - 199), 0.1, 0.01);
  }
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_NE(drawn[0], drawn[2]);
}

TEST(Holdout, DrawsOneDocumentAtLeastAndLeavesOne) {
  auto const held = [](std::vector<uint64_t> const& sizes, double val) {
    std::vector<Document> documents;
    for (uint64_t const n : sizes) documents.push_back({0, n, n});
    auto const h = hold_out_documents(documents, val, 3);
    return std::ranges::count(h.places, Place::val);
  };
  EXPECT_EQ(held({1000, 1000}, 0.001), 1);
  EXPECT_EQ(held({1, 1, 1}, 0.999), 2);
  EXPECT_EQ(held({5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 0.3), 3);
  EXPECT_EQ(held({5, 5}, 0), 0);
  expect_fault(Fault::content, {"--val-by tail"}, [&] { held({5}, 0.1); });
}

TEST(Prepare, BytesThatAreNotUtf8AreKept) {
  ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 256; ++i) text += static_cast<char>(i);
  text += "\xc3\xc3\xa9\xa9\xe6\x97\xe6\x97\xa5\xf0\x9f\x98 \xed\xa0\x80 \x80\x80\xc0\xaf";
  put(folder / "in", text);
  for (std::string const tokenizer : {"char", "gpt2"}) {
    if (tokenizer == "gpt2" && !test::has_gpt2()) continue;
    Path const out = folder.path() / tokenizer;
    prepare({(folder / "in").string()}, out, with(tokenizer));
    Dataset const data(out);
    EXPECT_EQ(text_of(data, "train") + text_of(data, "val"), text) << tokenizer;
  }
}

TEST(Prepare, RefusalsLeaveNothing) {
  ScratchFolder folder;
  put(folder / "empty", "");
  put(folder / "one", "x");
  put(folder / "full", std::string(100, 'y'));
  auto const out = folder / "out";
  auto const path = [&](char const* name) { return std::vector<std::string>{(folder / name).string()}; };
  expect_fault(Fault::content, {"empty is empty"}, [&] { prepare(path("empty"), out, with("char")); });
  expect_fault(Fault::content, {"1 characters", "--val 0"}, [&] { prepare(path("one"), out, with("char")); });
  expect_fault(Fault::missing, {"does not exist"}, [&] { prepare(path("none"), out, with("char")); });
  expect_fault(Fault::missing, {"no tokenizer"}, [&] { prepare(path("full"), out, with((folder / "nope").string())); });
  std::filesystem::create_directory(folder / "there");
  expect_fault(Fault::exists, {"there exists"}, [&] { prepare(path("full"), folder / "there", with("char")); });
  expect_fault(Fault::failed, {"enough"}, [&] {
    prepare(path("full"), out, with("char"), [](PrepareProgress const&) { fail(Fault::failed, "enough"); });
  });
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"empty", "full", "one", "there"}));
  EXPECT_NO_THROW(prepare(path("one"), out, with("char", 0)));
}

TEST(Prepare, EveryFailingWriteLeavesNothing) {
  ScratchFolder folder;
  put(folder / "in", test::made_text(3000, 1));
  int calls = 0;
  for (int fail_at = 0;; ++fail_at) {
    calls = 0;
    set_io_hook([&](std::string_view, Path const&) { return calls++ == fail_at ? ENOSPC : 0; });
    auto const thrown = test::thrown_by([&] { prepare({(folder / "in").string()}, folder / "data", with("char")); });
    set_io_hook({});
    if (thrown.fault == 0) break;
    ASSERT_EQ(thrown.fault, static_cast<int>(Fault::io)) << thrown.sentence;
    bool const whole = std::filesystem::exists(folder / "data");  // only the sync of the parent came after its name
    ASSERT_EQ(folder.names(), whole ? (std::vector<std::string>{"data", "in"}) : (std::vector<std::string>{"in"}))
        << "call " << fail_at;
    if (whole) {
      EXPECT_NO_THROW(Dataset(folder / "data").verify());
      std::filesystem::remove_all(folder / "data");
    }
    ASSERT_LT(fail_at, 500);
  }
  EXPECT_GT(calls, 15);
  EXPECT_NO_THROW(Dataset(folder / "data").verify());
}

TEST(Prepare, TheTokenizerIsChosenBySizeAndSaid) {
  EXPECT_EQ(choose_tokenizer(1'115'394).name, "char");
  EXPECT_NE(choose_tokenizer(1'115'394).sentence.find("1.1 MiB"), std::string::npos);
  EXPECT_EQ(choose_tokenizer(15'999'999).name, "char");
  EXPECT_EQ(choose_tokenizer(16'000'000).name, test::has_gpt2() ? "gpt2" : "char");
  char const* const set = std::getenv("FOLIO_DATA");
  std::optional<std::string> const before = set ? std::optional<std::string>(set) : std::nullopt;
  ::setenv("FOLIO_DATA", "/nowhere/at/all", 1);
  auto const choice = choose_tokenizer(1'000'000'000);
  before ? ::setenv("FOLIO_DATA", before->c_str(), 1) : ::unsetenv("FOLIO_DATA");
  EXPECT_EQ(choice.name, "char");
  EXPECT_NE(choice.sentence.find("get-data"), std::string::npos) << choice.sentence;
}

TEST(Prepare, ByteLengthsAddUpToTheText) {
  FOLIO_NEEDS_GPT2();
  auto const tokenizer = text::load_tokenizer("gpt2");
  auto const lengths = byte_lengths(*tokenizer);
  std::string const text = test::made_text(5000, 2);
  int64_t sum = lengths.at(50256);
  for (int32_t const id : tokenizer->encode(text)) sum += lengths[static_cast<size_t>(id)];
  EXPECT_EQ(sum, static_cast<int64_t>(text.size()));
}

}  // namespace
}  // namespace folio::data

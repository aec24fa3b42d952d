#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "data/manifest.h"
#include "data/prepare.h"
#include "data/sources.h"
#include "tests/data/data_support.h"
#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::expect_fault;
using test::put;
using test::ScratchFolder;

std::string const kText = "Speak, speak.\nResolved.\n";

Path prepared(ScratchFolder const& folder) {  // char tokens of kText 40 times, in shards of 300
  std::string text;
  for (int i = 0; i < 40; ++i) text += kText;
  put(folder / "in.txt", text);
  PrepareOptions o;
  o.tokenizer = "char";
  o.shard_tokens = 300;
  prepare({(folder / "in.txt").string()}, folder / "data", o);
  return folder / "data";
}

TEST(Dataset, OpensWhatPrepareWrote) {
  ScratchFolder folder;
  Path const path = prepared(folder);
  Dataset const data(path);
  EXPECT_EQ(data.tokenizer_name(), "char");
  ASSERT_TRUE(data.tokenizer_directory());
  auto const tokenizer = text::load_tokenizer(data.tokenizer_directory()->string());
  EXPECT_EQ(tokenizer->fingerprint(), data.tokenizer_fingerprint());
  EXPECT_EQ(data.vocab(), tokenizer->vocab());
  Split const& train = data.split("train");
  EXPECT_EQ(train.tokens(), 960 * 9 / 10);
  EXPECT_EQ(train.text_bytes(), 960 * 9 / 10);
  EXPECT_EQ(train.documents(), 1);
  EXPECT_TRUE(std::filesystem::exists(path / "train-00002.bin"));
  EXPECT_EQ(tokenizer->decode(test::all_of(train)) + tokenizer->decode(test::all_of(data.split("val"))),
            read_file(folder / "in.txt"));
  expect_fault(Fault::content, {"no split test"}, [&] { data.split("test"); });
  EXPECT_EQ(Dataset(path, data.vocab() + 1).vocab(), data.vocab()) << "the number is for plain files";
}

TEST(Dataset, VerifyFindsEveryFlippedBit) {
  ScratchFolder folder;
  Path const path = prepared(folder);
  Dataset const data(path);
  uint64_t last = 0, all = 1;
  EXPECT_GE(data.verify([&](uint64_t done, uint64_t of) { last = done, all = of; }), 5);
  EXPECT_LT(last, all);
  for (auto const& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file() || entry.path().filename() == kManifestFile) continue;
    std::string const whole = read_file(entry.path());
    for (size_t const at : {size_t{0}, whole.size() / 2, whole.size() - 1}) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 4);
      put(entry.path(), flipped);
      expect_fault(Fault::content, {entry.path().filename().string(), "hash"}, [&] { data.verify(); });
    }
    std::filesystem::remove(entry.path());
    expect_fault(Fault::missing, {entry.path().filename().string()}, [&] { data.verify(); });
    put(entry.path(), whole);
  }
  EXPECT_GE(data.verify(), 5);
}

void expect_manifest_refused(Path const& path, std::vector<std::string> const& parts,
                             std::function<void(Json&)> const& change) {
  std::string const whole = read_file(path / kManifestFile);
  Json j = parse_json(whole, "manifest");
  change(j);
  put(path / kManifestFile, dump(j));
  expect_fault(Fault::content, parts, [&] { Dataset const data(path); });
  put(path / kManifestFile, whole);
}

TEST(Dataset, ManifestsThatLieAreRefused) {
  ScratchFolder folder;
  Path const path = prepared(folder);
  auto const refused = [&](std::vector<std::string> const& parts, std::function<void(Json&)> const& change) {
    expect_manifest_refused(path, parts, change);
  };
  refused({"version 2", "newer folio"}, [](Json& j) { j["version"] = 2; });
  refused({"version 0"}, [](Json& j) { j["version"] = 0; });
  refused({"folio-data"}, [](Json& j) { j["format"] = "other"; });
  refused({"manifest.json"}, [](Json& j) { j.erase("version"); });
  refused({"manifest.json"}, [](Json& j) { j = Json::array(); });
  for (char const* key : {"tokenizer", "splits", "made", "masked"})
    refused({"manifest.json", key}, [&](Json& j) { j.erase(key); });
  refused({"no split"}, [](Json& j) { j["splits"] = Json::object(); });
  for (char const* name : {"../in.txt", "/etc/passwd", "..", ".", "", "a/b.bin"})
    refused({"no name of a file"}, [&](Json& j) { j["splits"]["train"]["shards"][0]["file"] = name; });
  refused({"tokens"}, [](Json& j) { j["splits"]["train"]["tokens"] = 865; });
  refused({"tokens"}, [](Json& j) { j["splits"]["train"]["shards"].erase(0); });
  refused({"belong together"}, [](Json& j) {
    j["splits"]["train"]["shards"][0]["tokens"] = 301;
    j["splits"]["train"]["shards"][1]["tokens"] = 299;
  });
  refused({"tokens"}, [](Json& j) {  // adds up only where sums wrap
    j["splits"]["train"]["shards"][0]["tokens"] = INT64_MAX;
    j["splits"]["train"]["shards"][1]["tokens"] = INT64_MAX;
    j["splits"]["train"]["shards"][2]["tokens"] = 866;
  });
  refused({"counts nothing"}, [](Json& j) { j["splits"]["val"]["text_bytes"] = -1; });
  refused({"belong together"}, [](Json& j) { j["tokenizer"]["vocab"] = 1000; });
  refused({"makes no sense"}, [](Json& j) { j["tokenizer"]["vocab"] = int64_t{1} << 40; });
  refused({"32 hex digits"}, [](Json& j) { j["splits"]["val"]["shards"][0]["xxh3"] = "abc"; });
  EXPECT_NO_THROW(Dataset{path}) << "as it was";
  put(path / kManifestFile, read_file(path / kManifestFile).substr(0, 100));
  expect_fault(Fault::content, {"manifest.json"}, [&] { Dataset const data(path); });
}

TEST(Dataset, AMissingOrExchangedShardIsRefused) {
  ScratchFolder folder;
  Path const path = prepared(folder);
  std::filesystem::rename(path / "train-00001.bin", folder / "kept.bin");
  expect_fault(Fault::missing, {"train-00001.bin"}, [&] { Dataset const data(path); });
  std::filesystem::copy_file(path / "val-00000.bin", path / "train-00001.bin");
  expect_fault(Fault::content, {"train-00001.bin", "belong together"}, [&] { Dataset const data(path); });
}

TEST(Dataset, PlainFilesAsNanoGptWritesThem) {
  ScratchFolder folder;
  put(folder.path() / "d/train.bin", std::string("\x01\x00\x02\x00\x03\x00", 6));
  put(folder.path() / "d/val.bin", std::string("\x04\x00\x05\x00", 4));
  Dataset const both(folder / "d", 6);
  EXPECT_EQ(test::all_of(both.split("train")), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(test::all_of(both.split("val")), (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(both.vocab(), 6);
  EXPECT_FALSE(both.split("val").text_bytes());
  EXPECT_EQ(both.split("val").documents(), 0);
  EXPECT_FALSE(both.tokenizer_directory());
  EXPECT_EQ(both.verify(), 0);
  expect_fault(Fault::content, {"val.bin", "id 5"}, [&] { Dataset(folder / "d", 5); });
  expect_fault(Fault::value, {"--vocab"}, [&] { Dataset(folder / "d"); });

  Dataset const one(folder.path() / "d/train.bin", 6);
  EXPECT_EQ(one.split("train").tokens(), 3);
  EXPECT_FALSE(one.has("val"));
  expect_fault(Fault::content, {"no split val", "train only"}, [&] { one.split("val"); });

  for (Attachment const& a : text::make_char_tokenizer("abcdef")->files()) put(folder.path() / "d" / a.name, a.content);
  EXPECT_EQ(Dataset(folder / "d", 6).tokenizer_directory(), folder / "d");
}

TEST(Dataset, OneShardNeedsNoVocabulary) {
  ScratchFolder folder;
  Path const path = prepared(folder) / "val-00000.bin";
  Dataset const data(path);
  EXPECT_EQ(data.split("train").tokens(), 96);
  EXPECT_EQ(Dataset(path, 50'257).vocab(), data.vocab());
  put(folder.path() / "two/train.bin", read_file(path));
  put(folder.path() / "two/val.bin", std::string("\x01\x00\x02\x00", 4));
  EXPECT_EQ(Dataset(folder / "two", data.vocab()).split("val").vocab(), data.vocab());
  expect_fault(Fault::content, {"val.bin", "train.bin"}, [&] { Dataset(folder / "two", data.vocab() + 1); });
}

TEST(Dataset, WhatIsNoDataSaysWhatItIs) {
  ScratchFolder folder;
  put(folder / "a.txt", "text");
  put(folder.path() / "model/config.json", "{}");
  put(folder.path() / "run/checkpoints/x", "");
  put(folder.path() / "else/readme.md", "");
  put(folder.path() / "texts/below/a.TXT", "text");
  expect_fault(Fault::content, {"a.txt is text", "folio prepare"}, [&] { Dataset(folder / "a.txt"); });
  expect_fault(Fault::content, {"texts is text", "folio prepare"}, [&] { Dataset(folder / "texts"); });
  expect_fault(Fault::content, {"is a model or a run"}, [&] { Dataset(folder / "model"); });
  expect_fault(Fault::content, {"is a model or a run"}, [&] { Dataset(folder / "run"); });
  expect_fault(Fault::content, {"holds no data"}, [&] { Dataset(folder / "else"); });
  expect_fault(Fault::missing, {"does not exist"}, [&] { Dataset(folder / "nowhere"); });
}

}  // namespace
}  // namespace folio::data

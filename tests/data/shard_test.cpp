#include "data/shard.h"
#include "data/shard_writer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "core/hash.h"
#include "data/shard_format.h"
#include "tests/data/data_support.h"
#include "tests/support/files.h"

namespace folio::data {
namespace {

using test::expect_fault;
using test::put;
using test::ScratchFolder;

std::vector<int32_t> made_ids(size_t n, int64_t vocab, uint32_t seed = 1) {
  std::mt19937 draw(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(draw() % static_cast<uint64_t>(vocab));
  return ids;
}

/// One shard of 1,000 ids, 3 documents and a mask.
Path write_one(Path const& folder, int64_t vocab = 300, bool masked = true) {
  ShardWriter writer(folder, "train", {.vocab = vocab, .masked = masked});
  auto const ids = made_ids(1000, vocab);
  std::vector<uint8_t> mask(1000);
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 5 != 0;
  for (size_t begin : {0, 10, 700}) {
    size_t const end = begin == 0 ? 10 : begin == 10 ? 700 : 1000;
    writer.begin_document();
    auto const part = std::span(ids).subspan(begin, end - begin);
    if (masked) writer.add(part, std::span(mask).subspan(begin, end - begin));
    else writer.add(part);
  }
  auto const shards = writer.finish();
  EXPECT_EQ(shards.size(), 1u);
  return folder / shards[0].file;
}

void expect_refused(Path const& folder, std::string content, std::vector<std::string> const& parts,
                    std::function<void(ShardHeader&)> const& change) {
  ShardHeader h;
  std::memcpy(&h, content.data(), sizeof h);
  change(h);
  std::memcpy(content.data(), &h, sizeof h);
  Path const path = folder / "lying.bin";
  put(path, content);
  expect_fault(Fault::content, parts, [&] { Shard::open(path); });
}

TEST(Shard, ReadsBackWhatWasWritten) {
  for (int64_t const vocab : {1, 2, 300, 65'536, 65'537, 100'000}) {
    for (bool const masked : {false, true}) {
      ScratchFolder folder;
      Path const path = write_one(folder.path(), vocab, masked);
      Shard const shard = Shard::open(path);
      EXPECT_EQ(shard.vocab(), vocab);
      EXPECT_EQ(shard.masked(), masked);
      EXPECT_EQ(std::vector(shard.document_starts().begin(), shard.document_starts().end()),
                (std::vector<uint64_t>{0, 10, 700}));
      auto const ids = made_ids(1000, vocab);
      ASSERT_EQ(shard.tokens(), 1000);
      std::vector<int32_t> got(1000), part(7);
      shard.read(0, got);
      EXPECT_EQ(got, ids);
      shard.read(993, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), ids.begin() + 993));
      std::vector<uint8_t> mask(6);
      shard.read_mask(4, mask);
      EXPECT_EQ(mask, masked ? (std::vector<uint8_t>{1, 0, 1, 1, 1, 1}) : std::vector<uint8_t>(6, 1));
      uint64_t const width = vocab <= 65'536 ? 2 : 4;
      uint64_t const starts = (64 + 1000 * width + 63) / 64 * 64;
      EXPECT_EQ(std::filesystem::file_size(path), starts + 64 + (masked ? 1024 : 0))
          << "as docs/formats.md lays it out";
    }
  }
}

TEST(Shard, LargestIdsOfBothWidthsSurvive) {
  for (int64_t const vocab : {int64_t{65'536}, int64_t{65'537}, int64_t{1} << 31}) {
    ScratchFolder folder;
    ShardWriter writer(folder.path(), "val", {.vocab = vocab});
    writer.begin_document();
    std::vector<int32_t> const ids = {0, static_cast<int32_t>(vocab - 1), 1};
    writer.add(ids);
    std::vector<int32_t> got(3);
    Shard::open(folder.path() / writer.finish()[0].file).read(0, got);
    EXPECT_EQ(got, ids);
  }
}

TEST(Shard, TheWriterRefusesIdsThatAreNone) {
  ScratchFolder folder;
  ShardWriter writer(folder.path(), "train", {.vocab = 10});
  for (int32_t const id : {10, -1, INT32_MAX, INT32_MIN})
    expect_fault(Fault::content, {"vocabulary has 10"}, [&] { writer.add({{3, id}}); });
  EXPECT_TRUE(folder.names().empty());
}

TEST(Shard, AreCutAfterTheLimitInsideDocumentsToo) {
  ScratchFolder folder;
  ShardWriter writer(folder.path(), "train", {.vocab = 1000, .limit = 100});
  auto const ids = made_ids(1000, 1000);
  for (size_t begin : {0, 30, 90, 350, 400}) {
    size_t const end = begin == 0 ? 30 : begin == 30 ? 90 : begin == 90 ? 350 : begin == 350 ? 400 : 1000;
    writer.begin_document();
    writer.add(std::span(ids).subspan(begin, end - begin));
  }
  auto const infos = writer.finish();
  ASSERT_EQ(infos.size(), 10u);
  EXPECT_EQ(infos[9].file, "train-00009.bin");
  std::vector<Shard> shards;
  uint64_t documents = 0;
  for (ShardInfo const& info : infos) {
    EXPECT_EQ(info.tokens, 100u);
    EXPECT_EQ(info.hash, hash_of_file(folder.path() / info.file));
    EXPECT_EQ(info.size, std::filesystem::file_size(folder.path() / info.file));
    documents += info.documents;
    shards.push_back(Shard::open(folder.path() / info.file));
  }
  EXPECT_EQ(documents, 5u);
  Split const split("train", std::move(shards));
  EXPECT_EQ(test::all_of(split), ids);
  std::vector<int64_t> starts;
  for (int64_t d = 0; d < split.documents(); ++d) starts.push_back(split.document_start(d));
  EXPECT_EQ(starts, (std::vector<int64_t>{0, 30, 90, 350, 400}));
  std::vector<int32_t> across(250);
  split.read(75, across);
  EXPECT_TRUE(std::equal(across.begin(), across.end(), ids.begin() + 75));
}

TEST(Shard, CutOffAnywhereIsRefused) {
  ScratchFolder folder;
  std::string const whole = read_file(write_one(folder.path()));
  Path const cut = folder / "cut.bin";
  // Every section's begin and end, one byte around each, and a sweep.
  std::vector<size_t> sizes = {0,    1,    8,    63,   64,   65,   2063, 2064, 2065, 2111,
                               2112, 2113, 2135, 2136, 2137, 2175, 2176, 2177, 3176, whole.size() - 1};
  for (size_t size = 0; size < whole.size(); size += 37) sizes.push_back(size);
  for (size_t const size : sizes) {
    put(cut, whole.substr(0, size));
    expect_fault(Fault::content, {"cut.bin"}, [&] { Shard::open(cut); });
  }
  put(cut, whole + '\0');
  expect_fault(Fault::content, {"cut.bin"}, [&] { Shard::open(cut); });
}

TEST(Shard, HeadersThatLieAreRefused) {
  ScratchFolder folder;
  std::string const whole = read_file(write_one(folder.path()));
  auto const refused = [&](std::vector<std::string> const& parts, std::function<void(ShardHeader&)> const& change) {
    expect_refused(folder.path(), whole, parts, change);
  };
  uint64_t const huge[] = {1050,
                           900,
                           uint64_t{1} << 31,
                           uint64_t{1} << 32,
                           uint64_t{1} << 61,
                           uint64_t{1} << 62,
                           uint64_t{1} << 63,
                           (uint64_t{1} << 63) + 1000,
                           UINT64_MAX,
                           UINT64_MAX - 63};
  for (uint64_t const n : huge) {
    refused({"lying.bin", "documents"}, [&](ShardHeader& h) { h.tokens = n; });
    refused({"lying.bin"}, [&](ShardHeader& h) { h.documents = n; });
    refused({"lying.bin"}, [&](ShardHeader& h) { h.tokens = h.documents = n; });
    refused({"lying.bin"}, [&](ShardHeader& h) { h.vocab = n < 2000 ? 0 : n; });
  }
  refused({"FOLIOTOK"}, [](ShardHeader& h) { h.magic[7] = 'k'; });
  refused({"version 2", "newer folio"}, [](ShardHeader& h) { h.version = 2; });
  refused({"version 4294967295", "newer folio"}, [](ShardHeader& h) { h.version = UINT32_MAX; });
  refused({"damaged"}, [](ShardHeader& h) { h.version = 0; });
  refused({"damaged"}, [](ShardHeader& h) { h.header_bytes = 128; });
  refused({"damaged"}, [](ShardHeader& h) { h.id_bytes = 4; });
  refused({"damaged"}, [](ShardHeader& h) { h.id_bytes = 0; });
  refused({"damaged"}, [](ShardHeader& h) { h.flags |= 2; });
  refused({"cut off or damaged"}, [](ShardHeader& h) { h.flags = 0; });
  refused({"damaged"}, [](ShardHeader& h) { h.zero[1] = 1; });
}

TEST(Shard, ContentThatCannotBeIsRefusedWithItsPlace) {
  ScratchFolder folder;
  std::string const whole = read_file(write_one(folder.path()));
  Path const path = folder / "wrong.bin";
  auto const refused = [&](std::vector<std::string> const& parts, size_t at, std::string const& bytes) {
    std::string content = whole;
    content.replace(at, bytes.size(), bytes);
    put(path, content);
    expect_fault(Fault::content, parts, [&] { Shard::open(path); });
  };
  refused({"token 5 ", "id 300,", "vocabulary has 300"}, 64 + 2 * 5, std::string("\x2c\x01", 2));
  refused({"token 999 ", "id 65535,"}, 64 + 2 * 999, "\xff\xff");
  refused({"document 1 ", "token 0"}, 2112 + 8, std::string(8, '\0'));
  refused({"document 2 ", "token 1000"}, 2112 + 16, std::string("\xe8\x03", 2));
  refused({"document 1 "}, 2112 + 15, "\x80");
  refused({"loss mask of token 7 "}, 2176 + 7, "\x02");
}

TEST(Shard, ABadIdIsFoundWhereverItStands) {
  ScratchFolder folder;
  Path const path = folder / "plain.bin";
  for (size_t const at : {0, 4095, 4096, 5000, 8191, 8192, 9999}) {
    std::string bytes(20'000, '\1');  // ids of 257
    bytes[2 * at + 1] = '\2';
    put(path, bytes);
    expect_fault(Fault::content, {"token " + std::to_string(at) + " has the id 513"}, [&] { Shard::plain(path, 513); });
    EXPECT_NO_THROW(Shard::plain(path, 514));
  }
}

TEST(Shard, AnIdThatTurnsBadWhileItIsMappedIsRefusedWhenRead) {
  ScratchFolder folder;
  Path const path = folder / "plain.bin";
  put(path, std::string("\x01\x00\x02\x00\x03\x00", 6));
  Shard const shard = Shard::plain(path, 10);
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out).seekp(2).write("\xff\xff", 2);
  std::vector<int32_t> got(2);
  expect_fault(Fault::content, {"token 1 ", "65535"}, [&] { shard.read(0, got); });
}

TEST(Shard, PlainFilesAreReadAndChecked) {
  ScratchFolder folder;
  Path const path = folder / "plain.bin";
  put(path, std::string("\x01\x00\xff\x00\x00\x01", 6));
  Shard const shard = Shard::plain(path, 257);
  std::vector<int32_t> got(3);
  shard.read(0, got);
  EXPECT_EQ(got, (std::vector<int32_t>{1, 255, 256}));
  EXPECT_TRUE(shard.document_starts().empty());
  expect_fault(Fault::content, {"token 2 ", "id 256", "vocabulary has 256"}, [&] { Shard::plain(path, 256); });
  expect_fault(Fault::value, {"vocabulary of 0"}, [&] { Shard::plain(path, 0); });
  put(path, "abc");
  expect_fault(Fault::content, {"3 bytes", "odd"}, [&] { Shard::plain(path, 65'536); });
  put(path, "");
  expect_fault(Fault::content, {"is empty"}, [&] { Shard::plain(path, 10); });
  expect_fault(Fault::missing, {"does not exist"}, [&] { Shard::plain(folder / "none.bin", 10); });
}

TEST(Shard, ReadingBesideTheEndIsABug) {
  Split const split = test::counting_split(10);
  std::vector<int32_t> out(4);
  for (int64_t const begin : {int64_t{7}, int64_t{-1}, int64_t{11}, INT64_MAX, INT64_MIN})
    expect_fault(Fault::bug, {"of 10"}, [&] { split.read(begin, out); });
  split.read(6, out);
  EXPECT_EQ(out, (std::vector<int32_t>{6, 7, 8, 9}));
}

}  // namespace
}  // namespace folio::data

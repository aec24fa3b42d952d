// Writes token shards, whose format data/shard.h has.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"
#include "data/shard.h"

namespace folio::data {

struct ShardInfo {
  std::string file;  // name in its folder
  uint64_t tokens = 0, documents = 0, size = 0;
  std::string hash;  // XXH3-128 of the file
};

/// The shards of one split, NAME-00000.bin and on, cut after `limit` ids. Memory: the document starts of a shard and,
/// with a mask, a byte an id of it.
class ShardWriter {
 public:
  struct Options {
    int64_t vocab = 0;
    uint64_t limit = 100'000'000;  // ids a shard
    bool masked = false;
  };
  ShardWriter(Path const& folder, std::string const& name, Options const&);
  ~ShardWriter();
  ShardWriter(ShardWriter&&) noexcept;

  void begin_document();
  void add(std::span<int32_t const> ids);  // throws Fault::content where an id is not in 0 … V − 1
  void add(std::span<int32_t const> ids, std::span<uint8_t const> mask);
  std::vector<ShardInfo> finish();

  uint64_t tokens() const { return tokens_; }
  uint64_t documents() const { return documents_; }

 private:
  void open();
  void close();
  void add_checked(std::span<int32_t const> ids, std::span<uint8_t const> mask);
  void write(std::span<int32_t const> ids);

  Path folder_;
  std::string name_;
  Options options_;
  uint64_t tokens_ = 0, documents_ = 0;
  std::vector<ShardInfo> done_;
  std::unique_ptr<FileWriter> file_;  // of the shard being written
  uint64_t in_shard_ = 0;
  bool at_document_ = false;  // the next id begins one
  std::vector<uint64_t> starts_;
  std::vector<uint8_t> mask_;
  std::vector<uint16_t> narrow_;
};

}  // namespace folio::data

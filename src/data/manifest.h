// manifest.json of prepared data: what the shards hold, how they were made, and the hash of every file beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/shard_writer.h"

namespace folio::data {

inline constexpr char kManifestFile[] = "manifest.json";
inline constexpr char kTokenizerFolder[] = "tokenizer";

struct FileEntry {
  std::string file;  // name in its folder
  uint64_t size = 0;
  std::string hash;  // XXH3-128
};

struct SplitEntry {
  std::string name;  // train or val
  uint64_t tokens = 0, documents = 0;
  uint64_t text_bytes = 0;  // of the texts it was made from; separators are not counted
  std::vector<ShardInfo> shards;
};

struct Manifest {
  std::string tokenizer;              // its name
  std::string tokenizer_fingerprint;  // of every token's bytes
  std::vector<FileEntry> tokenizer_files;
  uint64_t vocab = 0;
  bool masked = false;
  std::string split_by;                // tail, documents, files or none
  double val = 0;                      // fraction asked for
  uint64_t seed = 0;                   // drew the documents, where split_by is documents
  std::string separator;               // of documents in one file; empty: a file is a document
  std::optional<int64_t> end_of_text;  // stands between documents
  uint64_t files = 0;                  // texts read
  std::vector<SplitEntry> splits;
};

void write_manifest(Path const& directory, Manifest const&);

/// Throws Fault::missing, Fault::content: not JSON, another format, a newer version, names that lead out of the
/// directory, counts that do not add up.
Manifest read_manifest(Path const& directory);

}  // namespace folio::data

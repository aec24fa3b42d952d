// Tokens to train on and to be judged by: a directory that `folio prepare` wrote, or plain u16 files. A split is one
// row of ids, whatever the number of its shards.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/api.h"
#include "data/shard.h"

namespace folio::data {

class FOLIO_API Split {
 public:
  Split(std::string name, std::vector<Shard> shards, std::optional<int64_t> text_bytes = {});

  std::string const& name() const { return name_; }  // train or val
  int64_t tokens() const { return begins_.back(); }
  int64_t vocab() const { return shards_.front().vocab(); }
  int64_t documents() const { return documents_; }                   // 0 where a plain file does not say
  int64_t document_start(int64_t document) const;                    // the token it begins with
  std::optional<int64_t> text_bytes() const { return text_bytes_; }  // of the text it was made from
  bool masked() const { return masked_; }

  /// ids [begin, begin + out.size()).
  void read(int64_t begin, std::span<int32_t> out) const;
  /// 1 where the id counts as a target; all ones where the split has no mask.
  void read_mask(int64_t begin, std::span<uint8_t> out) const;

 private:
  template <class Out, class Read>
  [[gnu::visibility("hidden")]] void each_part(int64_t begin, std::span<Out> out, Read read) const;

  std::string name_;
  std::vector<Shard> shards_;
  std::vector<int64_t> begins_;           // of each shard, and the end
  std::vector<int64_t> document_begins_;  // number of each shard's first document, and the end
  int64_t documents_ = 0;
  std::optional<int64_t> text_bytes_;
  bool masked_ = false;
};

class FOLIO_API Dataset {
 public:
  /// A prepared directory, one shard, a directory with plain train.bin and val.bin, or one plain file, which is its
  /// split `train`. Plain files name no vocabulary: `plain_vocab` is theirs, and without it they are refused
  /// (Fault::value); all others bring their own. All else that is wrong: Fault::missing, Fault::content.
  explicit Dataset(Path const&, std::optional<int64_t> plain_vocab = {});

  Path const& path() const { return path_; }
  int64_t vocab() const { return vocab_; }
  bool has(std::string const& split) const;
  Split const& split(std::string const& name) const;  // Fault::content where there is none
  std::vector<Split> const& splits() const { return splits_; }

  std::string const& tokenizer_name() const { return tokenizer_name_; }                // "" where it is not known
  std::string const& tokenizer_fingerprint() const { return tokenizer_fingerprint_; }  // "" where it is not known
  std::optional<Path> const& tokenizer_directory() const { return tokenizer_directory_; }

  /// Reads every file again and compares it with the hash in the manifest; throws Fault::content with the name of the
  /// first that differs. Returns the number of files; plain files have no hash: 0. `progress` gets bytes done, of all.
  int64_t verify(std::function<void(uint64_t, uint64_t)> const& progress = {}) const;

 private:
  [[gnu::visibility("hidden")]] void open_prepared();
  [[gnu::visibility("hidden")]] void open_files(std::vector<std::pair<std::string, Path>> const& files,
                                                std::optional<int64_t> plain_vocab);

  Path path_;
  int64_t vocab_ = 0;
  std::vector<Split> splits_;
  std::string tokenizer_name_, tokenizer_fingerprint_;
  std::optional<Path> tokenizer_directory_;
};

enum class Kind {
  prepared,  // a directory with the manifest of folio prepare
  tokens,    // a shard or plain ids: FILE.bin, or a directory with train.bin
  text,      // any other file; a directory with texts
  model,     // a directory with config.json and tensors, or a run
  other,     // a directory of something else
  missing,
};
/// What a path is, told from names and first bytes only. Whoever needs to know more about one asks further
/// (cli/kind.h).
FOLIO_API Kind kind_of(Path const&);

}  // namespace folio::data

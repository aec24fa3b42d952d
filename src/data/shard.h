// Token shards: the ids of a text in a file that is mapped, never read whole. docs/formats.md has the format.
//
//   0   magic "FOLIOTOK"              40  u64 V, the vocabulary: every id is below it
//   8   u32 version, 1                48  16 bytes, zero
//   12  u32 header bytes, 64          64  ids: u16 where V ≤ 65,536, else u32
//   16  u32 bytes of an id, 2 or 4        document starts: u64 each, positions in this shard, rising
//   20  u32 flags: 1 = loss mask          loss mask: a byte an id, 1 where it counts as a target, else 0
//   24  u64 ids
//   32  u64 document starts           Little-endian; each section begins at a multiple of 64, zeros between.
//
// A shard whose first start is not 0 begins inside the document of the shard before. A plain shard is a file of
// little-endian u16 ids and nothing else.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/api.h"
#include "core/path.h"

namespace folio {
class MappedFile;
}

namespace folio::data {

inline constexpr uint64_t kLargestU16Vocab = 65536;
inline constexpr uint64_t kLargestVocab = uint64_t{1} << 31;  // ids are i32 in memory

/// Ids, and for each whether it counts as a target. All of it is checked when it is opened: the header against the
/// file's size, every id against V, the document starts, the mask. Throws Fault::missing, Fault::content.
class FOLIO_API Shard {
 public:
  static Shard open(Path const&);
  static Shard plain(Path const&, int64_t vocab);
  /// In memory; `mask` is empty or a byte an id. For tests and callers that have ids at hand.
  static Shard of(std::vector<int32_t> const& ids, int64_t vocab, std::vector<uint64_t> starts = {0},
                  std::vector<uint8_t> mask = {});

  int64_t tokens() const { return static_cast<int64_t>(tokens_); }
  int64_t vocab() const { return static_cast<int64_t>(vocab_); }
  std::span<uint64_t const> document_starts() const { return starts_; }
  bool masked() const { return !mask_.empty(); }

  /// ids [begin, begin + out.size()); throws Fault::content for an id ≥ V: a file may change under its map.
  void read(int64_t begin, std::span<int32_t> out) const;
  /// 1 where the id counts as a target; all ones without a mask.
  void read_mask(int64_t begin, std::span<uint8_t> out) const;

 private:
  Shard() = default;
  template <class Id>
  [[gnu::visibility("hidden")]] std::span<Id const> ids() const;
  [[gnu::visibility("hidden")]] void check_content() const;
  [[gnu::visibility("hidden")]] void was_read(size_t bytes) const;

  std::string name_;                   // for sentences
  std::shared_ptr<void const> owner_;  // of the memory below
  MappedFile const* map_ = nullptr;    // what owner_ is, where it is a file
  uint64_t vocab_ = 0, tokens_ = 0;
  size_t width_ = 2;  // bytes of an id
  std::byte const* ids_ = nullptr;
  std::span<uint64_t const> starts_;
  std::span<uint8_t const> mask_;
};

/// Is this regular file one that begins as a shard does?
FOLIO_API bool is_shard(Path const&);

}  // namespace folio::data

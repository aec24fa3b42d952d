// The header of a token shard and where its sections lie; for shard.cpp and shard_writer.cpp, and for tests that lie.
#pragma once

#include <bit>
#include <cstdint>

#include "core/size.h"

namespace folio::data {

static_assert(std::endian::native == std::endian::little, "shards are mapped as they are");

inline constexpr char kShardMagic[8] = {'F', 'O', 'L', 'I', 'O', 'T', 'O', 'K'};
inline constexpr uint32_t kShardVersion = 1;
inline constexpr uint64_t kShardAlignment = 64;
inline constexpr uint32_t kShardMasked = 1;  // the one flag

struct ShardHeader {
  char magic[8];
  uint32_t version, header_bytes, id_bytes, flags;
  uint64_t tokens, documents, vocab;
  uint64_t zero[2];
};
static_assert(sizeof(ShardHeader) == 64);

struct ShardSections {  // where each begins; `end` is the size of the file
  Size ids, starts, mask, end;
  explicit ShardSections(ShardHeader const& h)
      : ids(sizeof(ShardHeader)),
        starts((ids + Size(h.tokens) * Size(h.id_bytes)).rounded_up(kShardAlignment)),
        mask((starts + Size(h.documents) * Size(sizeof(uint64_t))).rounded_up(kShardAlignment)),
        end((mask + Size(h.flags & kShardMasked ? h.tokens : 0)).rounded_up(kShardAlignment)) {}
};

}  // namespace folio::data

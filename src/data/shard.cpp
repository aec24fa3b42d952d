#include "data/shard.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/file.h"
#include "data/shard_format.h"

namespace folio::data {

namespace {

/// Where the first id ≥ vocab stands, or the number of ids. Whole blocks first: their largest id needs no branch.
template <class Id>
size_t find_too_large(std::span<Id const> ids, uint64_t vocab) {
  constexpr size_t kBlock = 4096;
  size_t i = 0;
  for (; i + kBlock <= ids.size(); i += kBlock) {
    Id largest = 0;
    Id const* const block = ids.data() + i;
    for (size_t j = 0; j < kBlock; ++j) largest = std::max(largest, block[j]);
    if (largest >= vocab) break;
  }
  while (i < ids.size() && ids[i] < vocab) ++i;
  return i;
}

template <class Id>
void refuse_too_large(std::span<Id const> ids, uint64_t vocab, uint64_t first, std::string const& name) {
  size_t const at = find_too_large(ids, vocab);
  if (at == ids.size()) return;
  fail(Fault::content,
       "{}: token {} has the id {}, but the vocabulary has {} (ids 0 to {}): the file was made with another tokenizer, "
       "or is damaged",
       name, first + at, ids[at], vocab, vocab - 1);
}

ShardHeader read_header(Bytes file, Path const& path) {
  ShardHeader h;
  Bytes const bytes = section(file, Size(0), Size(sizeof h), path, "the header");
  std::memcpy(&h, bytes.data(), sizeof h);
  std::string const name = path.string();
  check(std::memcmp(h.magic, kShardMagic, sizeof kShardMagic) == 0, Fault::content,
        "{} is no token shard: it does not begin with FOLIOTOK", name);
  check(h.version <= kShardVersion, Fault::content,
        "{} is of version {} of the shard format; this folio reads versions up to {}: use a newer folio", name,
        h.version, kShardVersion);
  check(h.version == kShardVersion && h.header_bytes == sizeof h && (h.flags & ~kShardMasked) == 0 && h.zero[0] == 0 &&
            h.zero[1] == 0,
        Fault::content, "{}: the header is damaged (version {}, {} bytes, flags {:#x})", name, h.version,
        h.header_bytes, h.flags);
  check(h.vocab > 0 && h.vocab <= kLargestVocab && h.id_bytes == (h.vocab <= kLargestU16Vocab ? 2u : 4u),
        Fault::content, "{}: the header is damaged (vocabulary {}, {} bytes an id)", name, h.vocab, h.id_bytes);
  ShardSections const at(h);
  check(at.end.is(file.size()), Fault::content,
        "{}: its header speaks of {} tokens and {} documents, {} bytes in all, but the file has {}: it is cut off or "
        "damaged",
        name, h.tokens, h.documents, at.end.text(), file.size());
  return h;
}

}  // namespace

Shard Shard::open(Path const& path) {
  auto const map = std::make_shared<MappedFile>(path);
  Bytes const file = map->bytes();
  ShardHeader const h = read_header(file, path);
  ShardSections const at(h);
  Shard s;
  s.name_ = path.string();
  s.owner_ = map, s.map_ = map.get();
  s.vocab_ = h.vocab;
  s.tokens_ = h.tokens;
  s.width_ = h.id_bytes;
  s.ids_ = section(file, at.ids, Size(h.tokens) * Size(h.id_bytes), path, "the ids").data();
  Bytes const starts = section(file, at.starts, Size(h.documents) * Size(8), path, "the document starts");
  s.starts_ = {reinterpret_cast<uint64_t const*>(starts.data()), h.documents};
  if (h.flags & kShardMasked) {
    Bytes const mask = section(file, at.mask, Size(h.tokens), path, "the loss mask");
    s.mask_ = {reinterpret_cast<uint8_t const*>(mask.data()), h.tokens};
  }
  s.check_content();
  return s;
}

Shard Shard::plain(Path const& path, int64_t vocab) {
  check(vocab > 0 && static_cast<uint64_t>(vocab) <= kLargestVocab, Fault::value,
        "a vocabulary of {} makes no sense: give a number from 1 to {}", vocab, kLargestVocab);
  auto const map = std::make_shared<MappedFile>(path);
  Bytes const file = map->bytes();
  check(!file.empty(), Fault::content, "{} is empty: it should hold little-endian u16 token ids", path.string());
  check(file.size() % 2 == 0, Fault::content,
        "{} has {} bytes, an odd number: plain token files hold little-endian u16 ids and nothing else", path.string(),
        file.size());
  Shard s;
  s.name_ = path.string();
  s.owner_ = map, s.map_ = map.get();
  s.vocab_ = static_cast<uint64_t>(vocab);
  s.tokens_ = file.size() / 2;
  s.ids_ = file.data();
  s.check_content();
  return s;
}

Shard Shard::of(std::vector<int32_t> const& ids, int64_t vocab, std::vector<uint64_t> starts,
                std::vector<uint8_t> mask) {
  check(mask.empty() || mask.size() == ids.size(), "a mask of {} bytes for {} ids", mask.size(), ids.size());
  check(vocab > 0 && std::ranges::all_of(ids, [](int32_t id) { return id >= 0; }), "ids below 0, or no vocabulary");
  struct Memory {
    std::vector<int32_t> ids;
    std::vector<uint64_t> starts;
    std::vector<uint8_t> mask;
  };
  auto const memory = std::make_shared<Memory>(Memory{ids, std::move(starts), std::move(mask)});
  Shard s;
  s.name_ = "tokens in memory";
  s.owner_ = memory;
  s.vocab_ = static_cast<uint64_t>(vocab);
  s.tokens_ = ids.size();
  s.width_ = 4;
  s.ids_ = reinterpret_cast<std::byte const*>(memory->ids.data());
  s.starts_ = memory->starts;
  s.mask_ = memory->mask;
  s.check_content();
  return s;
}

template <class Id>
std::span<Id const> Shard::ids() const {
  return {reinterpret_cast<Id const*>(ids_), tokens_};
}

void Shard::check_content() const {
  auto const check_ids = [&]<class Id>(std::span<Id const> all) {
    constexpr size_t kPiece = size_t{1} << 20;
    for (size_t first = 0; first < all.size(); first += kPiece) {
      refuse_too_large(all.subspan(first, std::min(kPiece, all.size() - first)), vocab_, first, name_);
      was_read(kPiece * sizeof(Id));
    }
  };
  if (width_ == 2) check_ids(ids<uint16_t>());
  else check_ids(ids<uint32_t>());
  for (size_t i = 0; i < starts_.size(); ++i)
    check(starts_[i] < tokens_ && (i == 0 || starts_[i] > starts_[i - 1]), Fault::content,
          "{}: document {} begins at token {}, out of order or behind the last of {} tokens: the file is damaged",
          name_, i, starts_[i], tokens_);
  auto const wrong = std::ranges::find_if(mask_, [](uint8_t m) { return m > 1; });
  check(wrong == mask_.end(), Fault::content, "{}: the loss mask of token {} is neither 0 nor 1: the file is damaged",
        name_, wrong - mask_.begin());
}

void Shard::was_read(size_t bytes) const {
  if (map_) map_->was_read(bytes);
}

void Shard::read(int64_t begin, std::span<int32_t> out) const {
  check(begin >= 0 && static_cast<uint64_t>(begin) <= tokens_ && out.size() <= tokens_ - static_cast<uint64_t>(begin),
        "{}: {} tokens from {} of {}", name_, out.size(), begin, tokens_);
  auto const copy = [&]<class Id>(std::span<Id const> all) {
    std::ranges::copy(all.subspan(static_cast<size_t>(begin), out.size()), out.begin());
  };
  if (width_ == 2) copy(ids<uint16_t>());
  else copy(ids<uint32_t>());
  was_read(out.size() * width_);
  // Of the copy: what the file says later cannot hurt.
  refuse_too_large(std::span(reinterpret_cast<uint32_t const*>(out.data()), out.size()), vocab_,
                   static_cast<uint64_t>(begin), name_);
}

void Shard::read_mask(int64_t begin, std::span<uint8_t> out) const {
  check(begin >= 0 && static_cast<uint64_t>(begin) <= tokens_ && out.size() <= tokens_ - static_cast<uint64_t>(begin),
        "{}: {} tokens from {} of {}", name_, out.size(), begin, tokens_);
  if (mask_.empty()) std::ranges::fill(out, uint8_t{1});
  else
    std::ranges::transform(mask_.subspan(static_cast<size_t>(begin), out.size()), out.begin(),
                           [](uint8_t m) { return uint8_t{m != 0}; });
}

bool is_shard(Path const& path) {
  std::ifstream in(path, std::ios::binary);
  char magic[sizeof kShardMagic] = {};
  return in.read(magic, sizeof magic) && std::memcmp(magic, kShardMagic, sizeof magic) == 0;
}

}  // namespace folio::data

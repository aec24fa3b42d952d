#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "data/shard_format.h"
#include "data/shard_writer.h"

namespace folio::data {

namespace {

void pad(FileWriter& file) {
  constexpr std::array<std::byte, kShardAlignment> zeros{};
  file.write(Bytes(zeros).first((kShardAlignment - file.size() % kShardAlignment) % kShardAlignment));
}

}  // namespace

ShardWriter::ShardWriter(Path const& folder, std::string const& name, Options const& options)
    : folder_(folder), name_(name), options_(options) {
  check(options.vocab > 0 && static_cast<uint64_t>(options.vocab) <= kLargestVocab && options.limit > 0,
        "shards for a vocabulary of {}, {} ids each", options.vocab, options.limit);
}

ShardWriter::~ShardWriter() = default;
ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;

void ShardWriter::begin_document() { at_document_ = true; }

void ShardWriter::add(std::span<int32_t const> ids) {
  if (options_.masked) return add(ids, std::vector<uint8_t>(ids.size(), 1));
  add_checked(ids, {});
}

void ShardWriter::add(std::span<int32_t const> ids, std::span<uint8_t const> mask) {
  check(options_.masked && mask.size() == ids.size(), "{} ids with a mask of {}", ids.size(), mask.size());
  check(std::ranges::all_of(mask, [](uint8_t m) { return m <= 1; }), "a loss mask holds 0 and 1 only");
  add_checked(ids, mask);
}

void ShardWriter::add_checked(std::span<int32_t const> ids, std::span<uint8_t const> mask) {
  auto const wrong =
      std::ranges::find_if(ids, [&](int32_t id) { return id < 0 || static_cast<int64_t>(id) >= options_.vocab; });
  check(wrong == ids.end(), Fault::content, "token {} has the id {}, but the vocabulary has {}",
        tokens_ + static_cast<uint64_t>(wrong - ids.begin()), wrong == ids.end() ? 0 : *wrong, options_.vocab);
  while (!ids.empty()) {
    if (!file_) open();
    if (std::exchange(at_document_, false)) {
      starts_.push_back(in_shard_);
      ++documents_;
    }
    size_t const n = std::min<uint64_t>(ids.size(), options_.limit - in_shard_);
    write(ids.first(n));
    if (options_.masked) mask_.insert(mask_.end(), mask.begin(), mask.begin() + static_cast<ptrdiff_t>(n));
    in_shard_ += n;
    tokens_ += n;
    ids = ids.subspan(n);
    if (options_.masked) mask = mask.subspan(n);
    if (in_shard_ == options_.limit) close();
  }
}

void ShardWriter::write(std::span<int32_t const> ids) {
  if (static_cast<uint64_t>(options_.vocab) > kLargestU16Vocab) return file_->write(std::as_bytes(ids));
  narrow_.resize(ids.size());
  std::ranges::transform(ids, narrow_.begin(), [](int32_t id) { return static_cast<uint16_t>(id); });
  file_->write(std::as_bytes(std::span(narrow_)));
}

void ShardWriter::open() {
  file_ = std::make_unique<FileWriter>(folder_ / fmt::format("{}-{:05}.bin", name_, done_.size()));
  file_->write(Bytes(std::array<std::byte, sizeof(ShardHeader)>{}));
}

void ShardWriter::close() {
  ShardHeader h{};
  std::memcpy(h.magic, kShardMagic, sizeof h.magic);
  h.version = kShardVersion;
  h.header_bytes = sizeof h;
  h.vocab = static_cast<uint64_t>(options_.vocab);
  h.id_bytes = h.vocab <= kLargestU16Vocab ? 2 : 4;
  h.flags = options_.masked ? kShardMasked : 0;
  h.tokens = in_shard_;
  h.documents = starts_.size();
  pad(*file_);
  file_->write(std::as_bytes(std::span(starts_)));
  pad(*file_);
  file_->write(std::as_bytes(std::span(mask_)));
  pad(*file_);
  check(ShardSections(h).end.is(file_->size()), "a shard of {} bytes, planned {}", file_->size(),
        ShardSections(h).end.text());
  file_->overwrite(0, std::as_bytes(std::span(&h, 1)));
  uint64_t const size = file_->size();
  file_->commit();
  file_.reset();
  std::string const file = fmt::format("{}-{:05}.bin", name_, done_.size());
  done_.push_back({file, h.tokens, h.documents, size, hash_of_file(folder_ / file)});
  in_shard_ = 0;
  starts_.clear();
  mask_.clear();
}

std::vector<ShardInfo> ShardWriter::finish() {
  if (file_) close();
  return done_;
}

}  // namespace folio::data

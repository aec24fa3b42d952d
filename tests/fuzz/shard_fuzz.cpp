// A shard of tokens, with its header or plain: all of its ids and its mask are read.
#include <algorithm>

#include "data/shard.h"
#include "tests/fuzz/fuzz.h"

using namespace folio;

namespace {

void read_all(data::Shard const& shard) {
  std::vector<int32_t> ids(4096);
  std::vector<uint8_t> mask(ids.size());
  for (int64_t at = 0; at < shard.tokens(); at += int64_t(ids.size())) {
    auto const n = size_t(std::min(shard.tokens() - at, int64_t(ids.size())));
    shard.read(at, std::span(ids).first(n));
    shard.read_mask(at, std::span(mask).first(n));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  Path const path = fuzz::put("shard.bin", fuzz::text_of(data, size));
  return fuzz::run([&] { read_all(data::is_shard(path) ? data::Shard::open(path) : data::Shard::plain(path, 50257)); },
                   size);
}

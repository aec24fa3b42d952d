#include "text/tokenizer.h"

#include <algorithm>

#include "core/hash.h"

namespace folio::text {

std::string Tokenizer::decode(std::span<int32_t const> ids) const {
  constexpr size_t kAtOnce = 512;
  std::string out;
  std::string_view tokens[kAtOnce];
  for (size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
    auto const n = std::min(kAtOnce, ids.size() - begin);
    size_t bytes = 0;
    for (size_t i = 0; i < n; ++i) bytes += (tokens[i] = token(ids[begin + i])).size();
    if (out.capacity() < out.size() + bytes) out.reserve(std::max(out.size() + bytes, 2 * out.capacity()));
    for (size_t i = 0; i < n; ++i) out += tokens[i];
  }
  return out;
}

std::string Tokenizer::fingerprint() const {
  Hasher hasher;
  for (int32_t id = 0; id < vocab(); ++id) {
    auto const bytes = token(id);
    uint64_t const size = bytes.size();
    hasher.add(std::as_bytes(std::span(&size, 1)));
    hasher.add(bytes);
  }
  return hasher.hex();
}

}  // namespace folio::text

// XXH3-128, the hash of manifests: it finds damaged and exchanged files, not a forger's.
#pragma once

#include <memory>
#include <string>

#include "core/file.h"

namespace folio {

class Hasher {  // in pieces; of no bytes at all it is the hash of ""
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  void add(Bytes);
  void add(std::string_view text) { add(bytes_of(text)); }
  std::string hex() const;  // 32 hex digits, as `xxhsum -H2` prints them

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_of(Bytes);
std::string hash_of_file(Path const&);  // read in pieces

}  // namespace folio

#include "core/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

#include "core/error.h"

namespace folio {

namespace {

std::string text_of(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

struct Hasher::State {
  State() : xxh(XXH3_createState()) {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(State const&) = delete;
  XXH3_state_t* xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;

void Hasher::add(Bytes bytes) { XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()); }

std::string Hasher::hex() const { return text_of(XXH3_128bits_digest(state_->xxh)); }

std::string hash_of(Bytes bytes) { return text_of(XXH3_128bits(bytes.data(), bytes.size())); }

std::string hash_of_file(Path const& path) {
  std::error_code error;
  check(std::filesystem::exists(path, error), Fault::missing, "{} does not exist: check the path", path.string());
  check(!std::filesystem::is_directory(path, error), Fault::content, "{} is a folder: a file is needed here",
        path.string());
  std::ifstream in(path, std::ios::binary);
  check(in.is_open(), Fault::io, "cannot open {}: {}", path.string(), std::strerror(errno));
  Hasher hasher;
  std::vector<char> piece(size_t{1} << 20);
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    hasher.add(std::string_view(piece.data(), static_cast<size_t>(in.gcount())));
  }
  check(!in.bad(), Fault::io, "reading {} failed", path.string());
  return hasher.hex();
}

}  // namespace folio

// Names of files and what is in them, as all of folio passes them on. What reads and writes files is core/file.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace folio {

using Path = std::filesystem::path;
using Bytes = std::span<std::byte const>;

inline Bytes bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

struct Attachment {  // a small file that travels with something: a checkpoint carries its tokenizer's
  std::string name;
  std::string content;
};

}  // namespace folio

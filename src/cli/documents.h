// What tokenize and detokenize read: files or stdin, each cut into documents where asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace folio::cli {

enum class Framing { file, line, nul };
Framing framing(std::string const& name);  // "file", "line" or "nul"

struct Document {
  std::string name;  // "input.txt", "input.txt, document 3"
  std::string_view bytes;
};
/// In order. A line or a NUL byte ends a document and is no part of it; what follows the last one is a document where
/// it is not empty. No file, or "-", is stdin.
void for_each_document(std::vector<std::string> const& files, Framing, std::function<void(Document const&)> const&);

/// Fault::value where the file `out` is one of the inputs, by whatever name ("-": stdin): it would be read no more.
void expect_no_input(std::string const& out, std::vector<std::string> const& inputs);

/// Bytes of an id in a file of bare ids: 2 where 0 … V − 1 fit, else 4.
size_t id_width(text::Tokenizer const&);

}  // namespace folio::cli

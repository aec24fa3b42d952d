// GPT-2's spelling of bytes in its files: every byte is one visible letter, so that a token of any bytes is a JSON
// string and a word of merges.txt. The bytes of printable Latin-1 stand for themselves (but not U+00AD); the other 68,
// in order, are U+0100, U+0101, …: a blank is Ġ, a newline Ċ.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace folio::text {

std::string to_letters(std::string_view bytes);
std::optional<std::string> from_letters(std::string_view letters);  // none where a character stands for no byte

}  // namespace folio::text

// One id for each character of a training text, by code point; a byte that is not UTF-8 is a symbol of its own, after
// the characters. Encoding refuses what the training text did not have.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/json.h"
#include "text/tokenizer.h"

namespace folio::text {

/// From tokenizer.json as files() writes it: Hugging Face's WordLevel over single characters, where a byte that is not
/// UTF-8 is spelled <0xNN>. Throws Fault::content with the origin and what is wrong.
std::unique_ptr<Tokenizer> read_char_json(Json const& tokenizer_json, std::string const& origin);

}  // namespace folio::text

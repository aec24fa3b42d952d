// The files of a byte-level BPE tokenizer as Hugging Face reads and writes them (docs/formats.md, "Tokenizer files").
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "text/bpe.h"
#include "text/token_bytes.h"

namespace folio::text {

/// vocab.json, merges.txt, tokenizer.json, tokenizer_config.json.
std::vector<Attachment> bpe_files(TokenBytes const&, std::span<Merge const>, std::span<AddedToken const>);

/// Both throw Fault::content with the origin and what is wrong. Names are left to the caller.
BpeParts read_bpe_json(Json const& tokenizer_json, std::string const& origin);
BpeParts read_bpe_files(Path const& vocab_json, Path const& merges_txt);

}  // namespace folio::text

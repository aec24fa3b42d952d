// Byte-level byte pair encoding as GPT-2 does it: words (text/words.h), then merges inside each (text/merges.h). It can
// spell any bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/merges.h"
#include "text/tokenizer.h"

namespace folio::text {

struct AddedToken {  // found in a text before it is cut into words
  int32_t id;
  std::string text;
  bool special;         // found only where the caller allows special tokens
  bool second = false;  // found in what the others leave; Hugging Face's "normalized"
};

struct BpeParts {
  std::string name;
  std::vector<std::string> tokens;  // bytes by id; of an added token its text
  std::vector<Merge> merges;        // by rank
  std::vector<AddedToken> added;    // by id
};

/// Throws Fault::content, with `origin` and what is wrong, unless: each of the 256 bytes is a token, no two tokens but
/// added ones have the same bytes, ids are in range, no pair has two merges, a merge's result is its parts joined.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(BpeParts, std::string const& origin);

}  // namespace folio::text

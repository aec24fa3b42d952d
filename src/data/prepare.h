// Text to token shards. Every text is read twice: once to count documents and characters (and, for a character
// tokenizer, its alphabet), once to encode. Neither text nor ids are held whole: a document is encoded in pieces that
// give the ids of the whole (find_cut in data/sources.h), and pieces are encoded in parallel, which changes nothing.
//
// The ids of a split are its documents one behind the other. Where the vocabulary has an end of text, it stands after
// each document but the split's last, as in GPT-2's training data: so a single document gives the ids of its text and
// nothing else. What `<|endoftext|>` spells in a text is text. A character tokenizer has no such id: documents follow
// one another. Either way the shards record where each begins.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "data/manifest.h"
#include "text/tokenizer.h"

namespace folio::data {

struct PrepareOptions {
  std::string tokenizer;               // gpt2, char or a directory; empty: by the size of the text
  double val = 0.1;                    // fraction held out
  std::string val_by = "tail";         // or documents
  std::vector<std::string> val_files;  // held out instead: these texts, whole
  std::string separator;               // between documents of one file, escaped; empty: a file is a document
  uint64_t seed = 1337;                // draws the documents of val
  int64_t threads = 0;                 // that encode; 0: one a processor
  uint64_t shard_tokens = 100'000'000;
};
Fields fields(PrepareOptions&);

struct PrepareProgress {
  char const* doing;   // copying (of stdin), reading, encoding
  uint64_t bytes, of;  // 0: not known
};

/// Writes the directory `out`, whole or not at all, from `texts`: files, folders of .txt files, "-" for stdin. Says
/// (core/log.h) what it chose. Returns the manifest. Throws Fault::exists, missing, content, value and io.
Manifest prepare(std::vector<std::string> const& texts, Path const& out, PrepareOptions const&,
                 std::function<void(PrepareProgress const&)> const& progress = {});

/// The tokenizer for a text of so many bytes where none is named, and why.
struct TokenizerChoice {
  std::string name;
  std::string sentence;
};
TokenizerChoice choose_tokenizer(uint64_t bytes);

/// Bytes of each id of the vocabulary, 0 for the end of text, which is of no text: the denominator of bits per byte.
std::vector<int32_t> byte_lengths(text::Tokenizer const&);

}  // namespace folio::data

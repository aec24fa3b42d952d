// Text to ids and back. Bytes are kept: decode(encode(x)) = x for any bytes, valid UTF-8 or not, where the tokenizer
// can spell them (byte-level BPE always can; a character tokenizer refuses a character it does not know).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/api.h"
#include "core/path.h"

namespace folio::text {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";

enum class Specials {  // what `<|endoftext|>` in a text means
  as_text,             // ten ordinary characters or so: text from outside never makes a special token
  as_token,            // the special token
};

class FOLIO_API Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string name() const = 0;  // "gpt2", "char" or a directory's: what config and shards record
  virtual int64_t vocab() const = 0;     // V; ids are 0 … V − 1
  virtual std::vector<int32_t> encode(std::string_view bytes, Specials = Specials::as_text) const = 0;
  virtual std::string_view token(
      int32_t id) const = 0;  // its bytes; throws Fault::content where id is not in 0 … V − 1
  virtual std::optional<int32_t> end_of_text() const = 0;
  virtual std::vector<Attachment> files() const = 0;  // what load_tokenizer and Hugging Face read back

  std::string decode(std::span<int32_t const> ids) const;  // throws Fault::content where an id is not in 0 … V − 1
  std::string fingerprint() const;  // 32 hex digits, of every token's bytes: ids of equal ones mean the same
};

/// "gpt2": the vocabulary that set-up placed in the data directory; else a directory with tokenizer.json,
/// vocab.json + merges.txt, or folio's character tokenizer.
FOLIO_API std::unique_ptr<Tokenizer> load_tokenizer(std::string const& name_or_directory);
FOLIO_API std::unique_ptr<Tokenizer> make_char_tokenizer(
    std::string_view text);  // its distinct characters, by code point
/// Are files there that load_tokenizer would try to read?
FOLIO_API bool has_tokenizer(Path const& directory);

/// Holds back bytes that do not yet end a UTF-8 character, so that a stream never shows half of one.
class FOLIO_API Utf8Stream {
 public:
  std::string push(std::string_view bytes);  // what can be shown now
  std::string finish();                      // the rest, as it is

 private:
  std::string held_;
};

}  // namespace folio::text

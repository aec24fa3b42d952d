// tokenizer.json, of byte pairs or of characters: where it is taken, byte pairs spell any text and give it back.
#include "core/error.h"
#include "tests/fuzz/fuzz.h"
#include "text/tokenizer.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  Path const file = fuzz::put("tokenizer/tokenizer.json", fuzz::text_of(data, size));
  return fuzz::run(
      [&] {
        auto const tokenizer = text::load_tokenizer(file.parent_path().string());
        for (std::string const text : {"To be, or not to be: 1603 \xc3\xa9\xff\x00<|endoftext|>", "a"})
          check(tokenizer->decode(tokenizer->encode(text)) == text, "\"{}\" does not come back", text);
      },
      size, {.each = 60});
}

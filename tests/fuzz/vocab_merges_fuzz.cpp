// vocab.json and merges.txt.
#include "core/error.h"
#include "tests/fuzz/fuzz.h"
#include "text/tokenizer.h"

using namespace folio;

extern "C" int LLVMFuzzerTestOneInput(uint8_t const* data, size_t size) {
  auto const files = fuzz::parts(fuzz::text_of(data, size), 2);
  fuzz::put("bpe/vocab.json", files[0]);
  Path const file = fuzz::put("bpe/merges.txt", files[1]);
  return fuzz::run(
      [&] {
        auto const tokenizer = text::load_tokenizer(file.parent_path().string());
        std::string const text = "To be, or not to be: \xc3\xa9\xff<|endoftext|>";
        check(tokenizer->decode(tokenizer->encode(text)) == text, "\"{}\" does not come back", text);
      },
      size, {.each = 60});
}

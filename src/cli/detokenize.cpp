// folio detokenize: ids to text.
#include <charconv>

#include "cli/documents.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "text/tokenizer.h"
#include "text/visible.h"

namespace folio::cli {
namespace {

struct Options {
  std::string tokenizer = "gpt2", each = "file";
  bool bin = false;
  std::vector<std::string> files;
};

Spec spec_of(Options& o) {
  return {
      .name = "detokenize",
      .summary = "turn token ids into text",
      .details =
          "Reads ids separated by blanks or line ends, as tokenize prints them, and writes their bytes: "
          "exactly those, also where they are not UTF-8.",
      .example =
          "echo 33676 4720 25 | folio detokenize\n"
          "folio detokenize --bin input.bin",
      .positionals = {{"FILE", &o.files, "files of ids; - or none is stdin", 0, SIZE_MAX}},
      .fields = {{"tokenizer", &o.tokenizer, "gpt2, or a directory that holds a tokenizer", {.form = "gpt2|DIR"}},
                 {"bin", &o.bin, "the files are little-endian u16 (u32 above 65,536 ids), as tokenize --out writes"},
                 {"each",
                  &o.each,
                  "what is one document: a file, whose text is written as it is; or a line, whose text is ended by "
                  "a line end or a NUL byte",
                  {.choices = {"file", "line", "nul"}}}}};
}

std::vector<int32_t> from_binary(Document const& d, size_t width) {
  check(d.bytes.size() % width == 0, Fault::content, "{}: {} bytes are not a whole number of ids of {} bytes each",
        d.name, d.bytes.size(), width);
  std::vector<int32_t> ids(d.bytes.size() / width);
  for (size_t i = 0; i < ids.size(); ++i) {
    uint32_t id = 0;
    for (size_t b = 0; b < width; ++b) id |= uint32_t{static_cast<unsigned char>(d.bytes[i * width + b])} << 8 * b;
    ids[i] = id <= INT32_MAX ? static_cast<int32_t>(id) : -1;
  }
  return ids;
}

std::vector<int32_t> from_text(Document const& d) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<int32_t> ids;
  for (size_t at = d.bytes.find_first_not_of(kBlanks); at != d.bytes.npos;
       at = d.bytes.find_first_not_of(kBlanks, at)) {
    auto const word = d.bytes.substr(at, d.bytes.find_first_of(kBlanks, at) - at);
    int32_t id = 0;
    auto const [end, error] = std::from_chars(word.begin(), word.end(), id);
    check(error == std::errc{} && end == word.end(), Fault::content,
          "{}: {} at byte {} is not an id; ids are whole numbers separated by blanks{}", d.name,
          text::visible(word.substr(0, 40)), at,
          d.bytes.find('\0') != d.bytes.npos ? " (for a binary file give --bin)" : "");
    ids.push_back(id);
    at += word.size();
  }
  return ids;
}

}  // namespace

int detokenize(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  auto const each = framing(o.each);
  check(!o.bin || each == Framing::file, Fault::usage, "detokenize: a file of binary ids is one document; drop --each");
  auto const tokenizer = text::load_tokenizer(o.tokenizer);
  for_each_document(o.files, each == Framing::file ? Framing::file : Framing::line, [&](Document const& d) {
    auto const ids = o.bin ? from_binary(d, id_width(*tokenizer)) : from_text(d);
    for (size_t i = 0; i < ids.size(); ++i)
      check(ids[i] >= 0 && ids[i] < tokenizer->vocab(), Fault::content,
            "{}: id {} (number {} of {}) is not in 0 … {}, the ids of the tokenizer {}", d.name, ids[i], i + 1,
            ids.size(), tokenizer->vocab() - 1, tokenizer->name());
    auto bytes = tokenizer->decode(ids);
    if (each != Framing::file) bytes += each == Framing::line ? '\n' : '\0';
    print(bytes);
  });
  return 0;
}

}  // namespace folio::cli

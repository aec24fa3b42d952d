// folio tokenize: text to ids.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/documents.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "text/tokenizer.h"
#include "text/visible.h"

namespace folio::cli {
namespace {

constexpr size_t kAtOnce = 1 << 20;  // bytes collected before they are printed

struct Options {
  std::string tokenizer = "gpt2", each = "file", out;
  bool specials = false, count = false, show = false, json = false;
  std::vector<std::string> files;
};

Spec spec_of(Options& o) {
  return {.name = "tokenize",
          .summary = "turn text into token ids",
          .details =
              "Prints the ids of each document on one line, separated by blanks. Bytes are kept: detokenize gives "
              "back what was read, valid UTF-8 or not.",
          .example =
              "folio tokenize --tokenizer gpt2 input.txt\n"
              "echo -n \"ROMEO:\" | folio tokenize --show\n"
              "folio tokenize input.txt --out input.bin",
          .positionals = {{"FILE", &o.files, "texts; - or none is stdin", 0, SIZE_MAX}},
          .fields = {{"tokenizer", &o.tokenizer, "gpt2, or a directory that holds a tokenizer", {.form = "gpt2|DIR"}},
                     {"specials", &o.specials,
                      "a special token in the text, such as <|endoftext|>, becomes its id, not ordinary ones"},
                     {"each",
                      &o.each,
                      "what is one document: a file, a line, or what a NUL byte ends",
                      {.choices = {"file", "line", "nul"}}},
                     {"count", &o.count, "print how many ids, not which"},
                     {"show", &o.show, "print each id on a line of its own, beside its text"},
                     {"out",
                      &o.out,
                      "write the ids to this file, as little-endian u16 (u32 above 65,536 ids), print none",
                      {.form = "FILE"}},
                     {"json", &o.json, "print one JSON object"}}};
}

std::string shown(text::Tokenizer const& tokenizer, std::vector<int32_t> const& ids) {
  std::string out;
  for (auto const id : ids) out += fmt::format("{:>7}  {}\n", id, text::escape(tokenizer.token(id)));
  return out;
}

std::string joined(std::vector<int32_t> const& ids) {
  fmt::memory_buffer out;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out.push_back(' ');
    out.append(fmt::format_int(ids[i]));
  }
  out.push_back('\n');
  return {out.data(), out.size()};
}

void write_ids(FileWriter& file, std::vector<int32_t> const& ids, size_t width) {
  std::string bytes;
  bytes.reserve(ids.size() * width);
  for (auto const id : ids)
    for (size_t b = 0; b < width; ++b) bytes += static_cast<char>(id >> 8 * b);
  file.write(bytes);
}

}  // namespace

int tokenize(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  check(o.count + o.show + !o.out.empty() <= 1, Fault::usage, "tokenize: choose one of --count, --show and --out");
  check(!(o.show && o.json), Fault::usage, "tokenize: choose one of --show and --json");
  if (!o.out.empty()) expect_no_input(o.out, o.files.empty() ? std::vector<std::string>{"-"} : o.files);
  auto const tokenizer = text::load_tokenizer(o.tokenizer);
  auto const specials = o.specials ? text::Specials::as_token : text::Specials::as_text;
  size_t const width = id_width(*tokenizer);
  std::optional<FileWriter> file;
  if (!o.out.empty()) file.emplace(o.out);
  Json documents = Json::array();
  size_t total = 0;
  std::string lines;
  for_each_document(o.files, framing(o.each), [&](Document const& d) {
    std::vector<int32_t> ids;
    try {
      ids = tokenizer->encode(d.bytes, specials);
    } catch (Error const& e) {
      fail(e.fault, "{}: {}", d.name, e.what());
    }
    total += ids.size();
    if (file) write_ids(*file, ids, width);
    if (o.json) {
      Json entry = {{"name", d.name}, {"bytes", d.bytes.size()}, {"tokens", ids.size()}};
      if (!o.count && !file) entry["ids"] = ids;
      documents.push_back(std::move(entry));
    } else if (!file) {
      lines += o.count ? fmt::format("{}\n", ids.size()) : o.show ? shown(*tokenizer, ids) : joined(ids);
      if (lines.size() > kAtOnce) print(std::exchange(lines, {}));
    }
  });
  print(lines);
  if (file) file->commit();
  if (file) say(fmt::format("{}: {} ids of {} bytes each", o.out, total, width));
  if (o.json)
    print(dump(Json{{"tokenizer", tokenizer->name()},
                    {"vocab", tokenizer->vocab()},
                    {"tokens", total},
                    {"documents", std::move(documents)}}) +
          "\n");
  return 0;
}

}  // namespace folio::cli

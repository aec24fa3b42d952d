// folio prepare: text to token shards, ready to train on.
#include "data/prepare.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/signals.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "report/table.h"

namespace folio::cli {
namespace {

struct Options {
  std::vector<std::string> texts;
  std::string out;
  data::PrepareOptions prepare;
  bool json = false;
};

Spec spec_of(Options& o) {
  Fields const out = {{"out", &o.out, "the directory to write; it must not exist", {.form = "DIR"}}};
  return {
      .name = "prepare",
      .summary = "turn text into token shards, divided into train and val",
      .details =
          "Writes a directory that folio train and folio eval take as --data: shards of token ids, the tokenizer, and "
          "a "
          "manifest with a hash of every file.\n"
          "A text is a file, a folder (its .txt files, by name, with those of folders below; what begins with a dot is "
          "passed over), or - for stdin. Each file is a document, or several where --separator says what stands "
          "between "
          "them. Between the documents of a split stands the vocabulary's <|endoftext|>, where it has one; what "
          "<|endoftext|> spells in a text is text, unless it is the separator. Bytes are kept, valid UTF-8 or not.\n"
          "Held out for evaluation is the end of the text: of n characters in all, train gets the first n·(1 − val), "
          "rounded down. --val-by documents draws whole documents instead, --val-files names them. The alphabet of "
          "--tokenizer char is that of all the texts, the held-out ones too.",
      .example =
          "folio prepare input.txt --tokenizer char --out data/shakespeare\n"
          "folio prepare plays --tokenizer gpt2 --val-files plays/hamlet.txt --out data/plays\n"
          "zcat stories.gz | folio prepare - --separator '<|endoftext|>' --val-by documents --out data/stories",
      .positionals = {{"TEXT", &o.texts, "texts: files, folders, or - for stdin", 1, SIZE_MAX}},
      .fields = joined({out, data::fields(o.prepare), {{"json", &o.json, "print one JSON object"}}})};
}

std::string how_divided(data::Manifest const& m) {
  if (m.split_by == "none") return "held out: nothing";
  if (m.split_by == "files") return "held out: the texts of --val-files";
  std::string const part = m.split_by == "tail" ? "the end of the text" : "whole documents";
  return fmt::format("held out: {} ({:g} %)", part, m.val * 100);
}

std::string table_of(data::Manifest const& m, std::string const& out) {
  report::Table table({{"", false}, {"tokens"}, {"documents"}, {"text bytes"}, {"bytes a token"}});
  for (data::SplitEntry const& s : m.splits) {
    auto const count = [](uint64_t n) { return report::grouped(static_cast<int64_t>(n)); };
    table.row({s.name, count(s.tokens), count(s.documents), count(s.text_bytes),
               fmt::format("{:.2f}", static_cast<double>(s.text_bytes) / static_cast<double>(s.tokens))});
  }
  return fmt::format("{}: tokenizer {}, {} ids\n{}{}\n", out, m.tokenizer,
                     report::grouped(static_cast<int64_t>(m.vocab)), table.text(), how_divided(m));
}

std::string json_of(data::Manifest const& m, std::string const& out) {
  Json splits = Json::object();
  for (data::SplitEntry const& s : m.splits)
    splits[s.name] = {
        {"tokens", s.tokens}, {"documents", s.documents}, {"text_bytes", s.text_bytes}, {"shards", s.shards.size()}};
  return dump({{"data", out},
               {"tokenizer", m.tokenizer},
               {"vocab", m.vocab},
               {"files", m.files},
               {"val_by", m.split_by},
               {"splits", splits}},
              2) +
         "\n";
}

}  // namespace

int prepare(Arguments const& arguments) {
  Options o;
  Origins given;
  if (!parse(spec_of(o), arguments, &given)) return 0;
  check(!o.out.empty(), Fault::usage, "prepare: say where to with --out DATA");
  for (char const* flag : {"val", "val-by"})
    check(o.prepare.val_files.empty() || !given.contains(flag), Fault::value,
          "--{} contradicts --val-files: either a fraction is held out, or the texts that are named", flag);
  catch_signals();
  Progress progress;
  auto const began = std::chrono::steady_clock::now();
  data::Manifest const m = data::prepare(o.texts, o.out, o.prepare, [&](data::PrepareProgress const& p) {
    check(!signalled(), Fault::failed, "stopped by a signal: nothing was written");
    if (!progress.due() || std::chrono::steady_clock::now() - began < std::chrono::seconds(2)) return;
    auto const done = format_bytes(static_cast<double>(p.bytes));
    progress.show({p.of == 0 ? fmt::format("{} {}", p.doing, done)
                             : fmt::format("{} {} of {}", p.doing, done, format_bytes(static_cast<double>(p.of)))});
  });
  progress.finish();
  print(o.json ? json_of(m, o.out) : table_of(m, o.out));
  return 0;
}

}  // namespace folio::cli

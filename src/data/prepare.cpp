#include "data/prepare.h"

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/alphabet.h"
#include "data/encode.h"
#include "data/holdout.h"
#include "data/sources.h"

namespace folio::data {

namespace {

using ProgressFunction = std::function<void(PrepareProgress const&)>;

constexpr uint64_t kEnoughForGpt2 = 16'000'000;  // bytes: 50,257 ids × 3.2 bytes × 100 times each

struct Texts {
  std::vector<Source> sources;
  std::string separator;
  uint64_t bytes = 0;  // of the files
  ProgressFunction const& progress;

  /// Reads all of them; `sink(source, …)` as read_documents hands them out.
  void read(char const* doing, std::function<void(uint32_t, std::string_view)> const& text,
            std::function<void(uint32_t)> const& end) const {
    uint64_t done = 0;
    for (uint32_t i = 0; i < sources.size(); ++i)
      read_documents(sources[i], separator,
                     {.text =
                          [&](std::string_view piece) {
                            done += piece.size();
                            if (progress) progress({doing, std::min(done, bytes), bytes});
                            text(i, piece);
                          },
                      .end = [&] { end(i); }});
  }
};

struct Survey {
  std::vector<Document> documents;
  uint64_t bytes = 0, empty = 0;  // empty documents, which are dropped
  std::string alphabet;           // each character once, where asked for
};

Survey survey(Texts const& texts, bool with_alphabet) {
  Survey s;
  Alphabet alphabet;
  Document d;
  texts.read(
      "reading",
      [&](uint32_t source, std::string_view piece) {
        d.source = source;
        d.bytes += piece.size();
        d.characters += count_characters(piece);
        if (with_alphabet) alphabet.add(piece);
      },
      [&](uint32_t) {
        alphabet.end();
        s.bytes += d.bytes;
        if (d.bytes > 0) s.documents.push_back(d);
        else ++s.empty;
        d = {};
      });
  s.alphabet = alphabet.text();
  check(s.bytes > 0, Fault::content, "{} is empty: there is no text to prepare",
        texts.sources.size() == 1 ? texts.sources[0].name : "every text given");
  return s;
}

std::unique_ptr<text::Tokenizer> open_tokenizer(std::string name, Survey const& s) {
  if (name.empty()) {
    auto const choice = choose_tokenizer(s.bytes);
    say(choice.sentence);
    name = choice.name;
  }
  return name == "char" ? text::make_char_tokenizer(s.alphabet) : text::load_tokenizer(name);
}

Holdout hold_out(PrepareOptions const& o, Texts const& texts, Survey const& s) {
  if (o.val_files.empty())
    return o.val_by == "tail" ? hold_out_tail(s.documents, o.val) : hold_out_documents(s.documents, o.val, o.seed);
  Holdout h{.places = {}, .cut = 0};
  for (Document const& d : s.documents) h.places.push_back(texts.sources[d.source].val ? Place::val : Place::train);
  for (Place const place : {Place::train, Place::val})
    check(std::ranges::count(h.places, place) > 0, Fault::content, "{}",
          place == Place::val ? "the texts to hold out are empty: name others with --val-files"
                              : "every text is held out: name texts to train on beside those of --val-files");
  return h;
}

/// Sends the documents, as they are read again, to the splits.
class Distributor {
 public:
  Distributor(Path const& folder, text::Tokenizer const& tokenizer, Survey const& s, Holdout const& h,
              PrepareOptions const& o)
      : survey_(s), holdout_(h), encoder_(tokenizer, static_cast<size_t>(o.threads)), end_(tokenizer.end_of_text()) {
    for (char const* name : {"train", "val"})
      splits_.push_back({name, ShardWriter(folder, name, {.vocab = tokenizer.vocab(), .limit = o.shard_tokens})});
    for (Place const place : h.places) {
      splits_[0].parts += place != Place::val;
      splits_[1].parts += place != Place::train;
    }
  }

  void text(std::string_view piece) {
    if (read_ == 0) begin(place() == Place::val ? 1 : 0);
    read_ += piece.size();
    if (place() == Place::both && at_ == 0) {
      size_t const size = bytes_of_characters(piece, holdout_.cut - characters_);
      characters_ += count_characters(piece.substr(0, size));
      add(piece.substr(0, size));
      piece.remove_prefix(size);
      if (piece.empty()) return;
      end();
      begin(1);
    }
    add(piece);
  }

  void end_document(std::string const& source) {
    if (read_ == 0) return;  // an empty one
    check(read_ == survey_.documents[number_].bytes, Fault::content, "{} changed while it was read: prepare it again",
          source);
    end();
    ++number_;
    read_ = characters_ = 0;
  }

  std::vector<SplitEntry> finish() {
    encoder_.finish();
    std::vector<SplitEntry> entries;
    for (ToSplit& s : splits_) {
      if (s.shards.tokens() == 0) continue;
      auto shards = s.shards.finish();
      entries.push_back({s.name, s.shards.tokens(), s.shards.documents(), s.text_bytes, std::move(shards)});
    }
    return entries;
  }

 private:
  struct ToSplit {
    std::string name;
    ShardWriter shards;
    uint64_t parts = 0;  // documents, or the part of one, still to come
    uint64_t text_bytes = 0;
  };

  Place place() const {
    check(number_ < holdout_.places.size(), Fault::content, "the text changed while it was read: prepare it again");
    return holdout_.places[number_];
  }

  /// The bytes of the first n characters: up to where the next one begins.
  static size_t bytes_of_characters(std::string_view s, uint64_t n) {
    if (count_characters(s) <= n) return s.size();
    for (size_t i = 0; i < s.size(); ++i)
      if (count_characters(s.substr(i, 1)) != 0 && n-- == 0) return i;
    return s.size();
  }

  void begin(size_t split) {
    at_ = split;
    encoder_.begin(splits_[split].shards);
  }
  void add(std::string_view piece) {
    splits_[at_].text_bytes += piece.size();
    encoder_.add(piece);
  }
  void end() { encoder_.end(--splits_[at_].parts > 0 ? end_ : std::nullopt); }

  Survey const& survey_;
  Holdout const& holdout_;
  std::vector<ToSplit> splits_;  // before the encoder, which writes to them as long as it lives
  DocumentEncoder encoder_;
  std::optional<int32_t> end_;
  size_t at_ = 0;                       // the split being written
  size_t number_ = 0;                   // of the document
  uint64_t read_ = 0, characters_ = 0;  // of the document: bytes; characters given to train, where both have it
};

std::vector<FileEntry> write_tokenizer(text::Tokenizer const& tokenizer, Path const& folder) {
  make_folders(folder);
  std::vector<FileEntry> entries;
  for (Attachment const& a : tokenizer.files()) {
    write_file(folder / a.name, a.content);
    entries.push_back({a.name, a.content.size(), hash_of(bytes_of(a.content))});
  }
  return entries;
}

}  // namespace

Fields fields(PrepareOptions& o) {
  double const below_2_to_63 = 9'223'372'036'854'775'808.0;
  return {
      {"tokenizer",
       &o.tokenizer,
       "gpt2, char or a directory with a tokenizer; chosen by the text's size where it is not given",
       {.form = "gpt2|char|DIR"}},
      {"val", &o.val, "fraction of the text held out for evaluation", {.min = 0, .max = 1, .below_max = true}},
      {"val-by",
       &o.val_by,
       "hold out the end of the text, or whole documents drawn by the seed",
       {.choices = {"tail", "documents"}}},
      {"val-files",
       &o.val_files,
       "hold out this text (file or folder), whole, in place of a fraction",
       {.form = "PATH"}},
      {"separator", &o.separator,
       "what divides a file into documents, such as '<|endoftext|>' or '\\n\\n'; without it a file is one"},
      {"seed", &o.seed, "draws the documents that are held out", {.min = 0, .max = below_2_to_63, .below_max = true}},
      {"threads", &o.threads, "threads that encode; 0: one a processor", {.min = 0, .max = 1024}},
  };
}

Manifest prepare(std::vector<std::string> const& names, Path const& out, PrepareOptions const& o,
                 ProgressFunction const& progress) {
  std::string const separator = unescaped(o.separator);
  FolderWriter folder(out);
  Path const spool = folder.path() / "spool";  // texts that can be read once only
  make_folders(spool);
  auto const copied = [&](uint64_t bytes) {
    if (progress) progress({"copying", bytes, 0});
  };
  Texts texts{list_sources(names, o.val_files, spool, copied), separator, 0, progress};
  for (Source const& s : texts.sources) {
    std::error_code error;
    auto const size = std::filesystem::file_size(s.path, error);
    texts.bytes += error ? 0 : size;
  }
  Survey const s = survey(texts, o.tokenizer.empty() || o.tokenizer == "char");
  if (s.empty > 0) say(fmt::format("{} empty document{} left out", s.empty, s.empty == 1 ? " is" : "s are"));
  auto const tokenizer = open_tokenizer(o.tokenizer, s);
  Holdout const h = hold_out(o, texts, s);

  Distributor distributor(folder.path(), *tokenizer, s, h, o);
  texts.read(
      "encoding", [&](uint32_t, std::string_view piece) { distributor.text(piece); },
      [&](uint32_t source) { distributor.end_document(texts.sources[source].name); });
  Manifest const m{.tokenizer = tokenizer->name(),
                   .tokenizer_fingerprint = tokenizer->fingerprint(),
                   .tokenizer_files = write_tokenizer(*tokenizer, folder.path() / kTokenizerFolder),
                   .vocab = static_cast<uint64_t>(tokenizer->vocab()),
                   .masked = false,
                   .split_by = !o.val_files.empty() ? "files"
                               : o.val == 0         ? "none"
                                                    : o.val_by,
                   .val = o.val_files.empty() ? o.val : 0,
                   .seed = o.seed,
                   .separator = separator,
                   .end_of_text = tokenizer->end_of_text(),
                   .files = texts.sources.size(),
                   .splits = distributor.finish()};
  write_manifest(folder.path(), m);
  folio::remove_all(spool);
  folder.commit();
  return m;
}

TokenizerChoice choose_tokenizer(uint64_t bytes) {
  std::string const size = format_bytes(static_cast<double>(bytes));
  if (bytes < kEnoughForGpt2)
    return {"char", fmt::format("tokenizer: char, for {} of text would show each of GPT-2's 50,257 tokens fewer than a "
                                "hundred times (--tokenizer gpt2 takes them all the same)",
                                size)};
  try {
    text::load_tokenizer("gpt2");
  } catch (Error const& e) {
    if (e.fault != Fault::missing) throw;
    return {"char",
            fmt::format("tokenizer: char, for GPT-2's vocabulary, which {} of text would do for, is not here: {}", size,
                        e.what())};
  }
  return {"gpt2", fmt::format("tokenizer: gpt2, for {} of text show each of its 50,257 tokens about a hundred times or "
                              "more (--tokenizer char reads characters)",
                              size)};
}

std::vector<int32_t> byte_lengths(text::Tokenizer const& tokenizer) {
  std::vector<int32_t> lengths(static_cast<size_t>(tokenizer.vocab()));
  for (size_t id = 0; id < lengths.size(); ++id)
    lengths[id] = static_cast<int32_t>(tokenizer.token(static_cast<int32_t>(id)).size());
  if (auto const end = tokenizer.end_of_text()) lengths[static_cast<size_t>(*end)] = 0;
  return lengths;
}

}  // namespace folio::data

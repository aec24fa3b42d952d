// folio tokenizer train: a byte-level BPE vocabulary of one's own.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/signals.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/count_words.h"
#include "report/table.h"
#include "text/bpe_trainer.h"

namespace folio::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::vector<std::string> action, texts, specials;
  std::string out, separator;
  int64_t vocab = 0, threads = 0, memory = 2048;
  uint64_t min_frequency = 2;
  bool json = false;
};

Spec spec_of(Options& o) {
  return {
      .name = "tokenizer",
      .summary = "train a byte-level BPE tokenizer on texts",
      .details =
          "Writes a directory that --tokenizer takes (folio prepare, folio tokenize) and that Hugging Face's "
          "tokenizers and transformers load: tokenizer.json, vocab.json, merges.txt.\n"
          "Texts are cut into words by GPT-2's pattern; then the most frequent pair of neighbours inside words "
          "becomes one token, again and again. A text is a file, a folder (its .txt files), or - for stdin, as in "
          "folio "
          "prepare; a word never reaches over the end of a document. Bytes are kept, valid UTF-8 or not.\n"
          "Merges and ids are those of Hugging Face's BpeTrainer with ByteLevel's alphabet, given a document at a "
          "time: ids are the special tokens (<|endoftext|>, then those of --special in their order), the 256 bytes, "
          "then a token a merge; --vocab counts them all. Of pairs equally frequent that of the lowest ids is merged "
          "first. One thing differs: a pair that would be spelled like a special token is not merged.\n"
          "A special token in a text is text, here, in folio prepare and in folio tokenize; there --specials makes "
          "it the token.\n"
          "Distinct words are kept in memory. Where --memory does not hold them, the rarest are dropped and a "
          "sentence says how much of the text that was. A signal ends the call with exit code 1 and nothing written.",
      .example =
          "folio tokenizer train input.txt --vocab 8192 --out tokenizers/mine\n"
          "folio tokenizer train plays --vocab 2048 --special '<|user|>' --special '<|model|>' --out tokenizers/plays\n"
          "folio prepare input.txt --tokenizer tokenizers/mine --out data/mine",
      .positionals = {{"train", &o.action, "what to do: train", 1, 1, {"train"}},
                      {"TEXT", &o.texts, "texts: files, folders, or - for stdin", 1, SIZE_MAX}},
      .fields = {{"out", &o.out, "the directory to write; it must not exist", {.form = "DIR"}},
                 {"vocab",
                  &o.vocab,
                  "how many ids, which must be said: special tokens, the 256 bytes, merges",
                  {.min = 257, .max = 2'147'483'647}},
                 {"special", &o.specials, "a special token besides <|endoftext|>"},
                 {"min-frequency", &o.min_frequency, "merge no pair that occurs fewer times", {.max = 1e18}},
                 {"separator", &o.separator,
                  "what divides a file into documents, such as '<|endoftext|>' or '\\n\\n'; without it a file is one"},
                 {"memory", &o.memory, "MiB for distinct words and for merging", {.min = 1, .max = 1 << 24}},
                 {"threads",
                  &o.threads,
                  "threads that count; 0: every core that the process may use",
                  {.min = 0, .max = 1024}},
                 {"json", &o.json, "print one JSON object"}}};
}

/// A line of progress, from two seconds on; and the place where a signal ends the work.
class Watch {
 public:
  template <class F>
  void tell(F line) {
    check(!signalled(), Fault::failed, "stopped by a signal: nothing was written");
    if (progress_.due()) progress_.show({line()});
  }
  void finish() { progress_.finish(); }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

 private:
  Progress progress_;
  Clock::time_point began_ = Clock::now();
};

std::string grouped(uint64_t n) { return report::grouped(static_cast<int64_t>(n)); }

struct Summary {  // what the verb reports
  std::string out;
  uint64_t vocab = 0, specials = 0, merges = 0, documents = 0, bytes = 0, words = 0, distinct = 0, dropped = 0,
           tokens = 0;
  double bytes_a_token = 0, seconds = 0;

  std::string text() const {
    return fmt::format(
        "{}: {} ids: {} special, 256 bytes, {} merges\n"
        "learnt from {} document{}, {} bytes: {} words, {} distinct\n"
        "{} tokens, {:.2f} bytes a token, {:.1f} s\n",
        out, grouped(vocab), specials, grouped(merges), grouped(documents), documents == 1 ? "" : "s", grouped(bytes),
        grouped(words), grouped(distinct), grouped(tokens), bytes_a_token, seconds);
  }
  std::string json() const {
    return dump({{"tokenizer", out},
                 {"vocab", vocab},
                 {"specials", specials},
                 {"merges", merges},
                 {"documents", documents},
                 {"text_bytes", bytes},
                 {"words", words},
                 {"distinct_words", distinct},
                 {"dropped_words", dropped},
                 {"tokens", tokens},
                 {"bytes_per_token", bytes_a_token},
                 {"seconds", seconds}},
                2) +
           "\n";
  }
};

void say_what_is_missing(Options const& o, data::CountedWords const& c, int64_t vocab) {
  if (c.empty > 0) say(fmt::format("{} empty document{} left out", c.empty, c.empty == 1 ? " is" : "s are"));
  if (c.drops > 0)
    say(
        fmt::format("the table of words was full {} time{} and the rarest were dropped: {:.2g} % of the text's words; "
                    "no count is short by more than {} (--memory {}; more holds more)",
                    c.drops, c.drops == 1 ? "" : "s",
                    100 * static_cast<double>(c.dropped) / static_cast<double>(c.read), c.short_by, o.memory));
  if (vocab < o.vocab)
    say(fmt::format("{} ids instead of {}: no pair is left that occurs {} time{} or more", grouped(vocab),
                    grouped(o.vocab), std::max<uint64_t>(o.min_frequency, 1), o.min_frequency > 1 ? "s" : ""));
}

}  // namespace

int tokenizer(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  check(!o.out.empty(), Fault::usage, "tokenizer train: say where to with --out DIR");
  check(o.vocab > 0, Fault::usage, "tokenizer train: say how many ids with --vocab N, such as --vocab 8192");
  text::BpeTraining training{.vocab = o.vocab, .min_frequency = o.min_frequency};
  training.specials.insert(training.specials.end(), o.specials.begin(), o.specials.end());
  text::check_training(training);
  std::string const separator = data::unescaped(o.separator);
  catch_signals();
  Watch watch;

  FolderWriter folder(o.out);
  Path const spool = folder.path() / "spool";  // texts that cannot be asked for their size
  make_folders(spool);
  auto const show = [](uint64_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  auto const sources = data::list_sources(
      o.texts, {}, spool, [&](uint64_t bytes) { watch.tell([&] { return "copying " + show(bytes); }); });
  uint64_t of = 0;
  for (auto const& source : sources) {
    std::error_code ignored;
    auto const size = std::filesystem::file_size(source.path, ignored);
    of += ignored ? 0 : size;
  }
  auto counted = data::count_words(
      sources, {.separator = separator, .threads = o.threads, .memory = static_cast<uint64_t>(o.memory) << 20},
      [&](uint64_t bytes) { watch.tell([&] { return fmt::format("counting {} of {}", show(bytes), show(of)); }); });
  folio::remove_all(spool);

  Summary s{.out = o.out,
            .documents = counted.documents,
            .bytes = counted.bytes,
            .words = counted.read,
            .distinct = counted.words.size(),
            .dropped = counted.dropped};
  auto const of_merges = static_cast<uint64_t>(o.vocab) - 256 - training.specials.size();
  uint64_t kept_bytes = 0;
  counted.words.for_each([&](std::string_view word, uint64_t count) { kept_bytes += word.size() * count; });
  auto trained = text::train_bpe(std::exchange(counted.words, {}), training, [&](int64_t made) {
    watch.tell([&] { return fmt::format("merging {} of {}", grouped(made), grouped(of_merges)); });
  });
  watch.finish();
  say_what_is_missing(o, counted, static_cast<int64_t>(trained.parts.tokens.size()));
  s.vocab = trained.parts.tokens.size(), s.specials = trained.parts.added.size();
  s.merges = trained.parts.merges.size(), s.tokens = trained.tokens;
  s.bytes_a_token = static_cast<double>(kept_bytes) / static_cast<double>(trained.tokens);
  auto const made = text::make_bpe_tokenizer(std::move(trained.parts), o.out);
  for (Attachment const& a : made->files()) write_file(folder.path() / a.name, a.content);
  folder.commit();
  s.seconds = watch.seconds();
  print(o.json ? s.json() : s.text());
  return 0;
}

}  // namespace folio::cli

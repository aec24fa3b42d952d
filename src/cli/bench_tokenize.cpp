// folio bench tokenize: GPT-2's tokenizer on tiny Shakespeare ten times over, or on the plays that set-up placed, on
// one thread and on all at once, each with the whole text; then a vocabulary of 8,192 learnt from twice that text, on
// one thread and on all together.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "cli/bench.h"
#include "core/error.h"
#include "core/file.h"
#include "core/machine.h"
#include "core/paths.h"
#include "data/count_words.h"
#include "text/bpe_trainer.h"

namespace folio::cli {
namespace {

struct Corpus {
  std::string name;
  std::vector<Path> files;
  int64_t times;  // how often over

  std::string text() const {
    std::string all;
    for (int64_t i = 0; i < times; ++i)
      for (auto const& file : files) all += read_file(file);
    return all;
  }
};

Corpus benchmark_corpus() {
  if (auto const* const tiny = std::getenv("FOLIO_TINY_SHAKESPEARE"); tiny && *tiny)
    return {"tiny Shakespeare", {tiny}, 10};
  auto const folder = data_directory() / "shakespeare";
  std::error_code ignored;
  check(std::filesystem::is_directory(folder, ignored), Fault::missing,
        "no text to measure with: {} does not exist; run scripts/get-data, or name tiny Shakespeare in "
        "FOLIO_TINY_SHAKESPEARE",
        folder.string());
  return {"38 plays", data::find_texts(folder), 2};
}

/// As `folio tokenizer train` does it, but for what it writes.
void learn(Corpus const& corpus, int64_t times, size_t threads) {
  std::vector<data::Source> sources;
  for (int64_t i = 0; i < times; ++i)
    for (auto const& file : corpus.files) sources.push_back({file, file.string()});
  auto const counted =
      data::count_words(sources, {.threads = static_cast<int64_t>(threads), .memory = uint64_t{2} << 30});
  text::train_bpe(counted.words, {.vocab = 8192});
}

/// Median seconds of `work` done by `threads` threads at once, after one repetition that is not counted.
double median_seconds(int64_t repeat, size_t threads, std::function<void()> const& work) {
  std::vector<double> seconds;
  for (int64_t n = 0; n <= repeat; ++n) {
    auto const begin = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> others;
      for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
      work();
    }
    if (n > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  auto const middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

std::vector<BenchRow> bench_tokenize(BenchOptions const& o) {
  check(o.repeat > 0, Fault::value, "--repeat {}: at least 1 repetition is needed", o.repeat);
  auto const corpus = benchmark_corpus();
  auto const text = corpus.text();
  auto const tokenizer = text::load_tokenizer("gpt2");
  auto const ids = tokenizer->encode(text);
  check(tokenizer->decode(ids) == text, "bench tokenize: decoding did not give the text back");
  size_t const all = o.backend.threads > 0 ? static_cast<size_t>(o.backend.threads)
                                           : static_cast<size_t>(look_at_machine().granted_cores());
  auto const counts = all > 1 ? std::vector<size_t>{1, all} : std::vector<size_t>{1};
  std::vector<BenchRow> rows;
  auto const row = [&](std::string const& what, int64_t times, size_t threads, size_t bytes, double seconds) {
    rows.push_back(
        {.name = fmt::format("{} {} × {}, {} thread{}", what, corpus.name, times, threads, threads == 1 ? "" : "s"),
         .value = static_cast<double>(bytes) / seconds / 1e6,
         .unit = "MB/s",
         .seconds = seconds});
  };
  for (size_t const threads : counts) {
    auto const bytes = threads * text.size();
    row("encode", corpus.times, threads, bytes, median_seconds(o.repeat, threads, [&] { tokenizer->encode(text); }));
    row("decode", corpus.times, threads, bytes, median_seconds(o.repeat, threads, [&] { tokenizer->decode(ids); }));
  }
  for (size_t const threads : counts)
    row("train V 8192,", 2 * corpus.times, threads, 2 * text.size(),
        median_seconds(o.repeat, 1, [&] { learn(corpus, 2 * corpus.times, threads); }));
  return rows;
}

}  // namespace folio::cli

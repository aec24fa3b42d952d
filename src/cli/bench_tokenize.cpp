// folio bench tokenize: GPT-2's tokenizer on tiny Shakespeare ten times over, or on the plays that set-up placed, on
// one thread and on all at once, each with the whole text.
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
#include "text/tokenizer.h"

namespace folio::cli {
namespace {

struct Text {
  std::string name, bytes;
};

Text benchmark_text() {
  auto const* const tiny = std::getenv("FOLIO_TINY_SHAKESPEARE");
  if (tiny && *tiny) {
    auto const once = read_file(tiny);
    std::string all;
    for (int i = 0; i < 10; ++i) all += once;
    return {"tiny Shakespeare × 10", all};
  }
  auto const folder = data_directory() / "shakespeare";
  std::error_code ignored;
  check(std::filesystem::is_directory(folder, ignored), Fault::missing,
        "no text to measure with: {} does not exist; run scripts/get-data, or name tiny Shakespeare in "
        "FOLIO_TINY_SHAKESPEARE",
        folder.string());
  std::vector<Path> files;
  for (auto const& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Text text{"38 plays × 2", ""};
  for (int i = 0; i < 2; ++i)
    for (auto const& file : files) text.bytes += read_file(file);
  return text;
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
  auto const text = benchmark_text();
  auto const tokenizer = text::load_tokenizer("gpt2");
  auto const ids = tokenizer->encode(text.bytes);
  check(tokenizer->decode(ids) == text.bytes, "bench tokenize: decoding did not give the text back");
  size_t const all = o.backend.threads > 0 ? static_cast<size_t>(o.backend.threads)
                                           : static_cast<size_t>(look_at_machine().granted_cores());
  std::vector<BenchRow> rows;
  auto const measure = [&](std::string const& what, size_t threads, std::function<void()> const& work) {
    auto const seconds = median_seconds(o.repeat, threads, work);
    rows.push_back({.name = fmt::format("{} {}, {} thread{}", what, text.name, threads, threads == 1 ? "" : "s"),
                    .value = static_cast<double>(threads * text.bytes.size()) / seconds / 1e6,
                    .unit = "MB/s",
                    .seconds = seconds});
  };
  for (size_t const threads : all > 1 ? std::vector<size_t>{1, all} : std::vector<size_t>{1}) {
    measure("encode", threads, [&] { tokenizer->encode(text.bytes); });
    measure("decode", threads, [&] { tokenizer->decode(ids); });
  }
  return rows;
}

}  // namespace folio::cli

#include "cli/inspect_data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/verb.h"
#include "core/error.h"
#include "core/json.h"
#include "core/progress.h"
#include "data/statistics.h"
#include "report/table.h"
#include "text/tokenizer.h"
#include "text/visible.h"

namespace folio::cli {
namespace {

using report::grouped;

constexpr size_t kMostFrequent = 10;
constexpr int64_t kSample = 60;  // tokens
constexpr int64_t kPlainVocab = 65536;

struct SplitFacts {
  data::Split const* split;
  std::vector<int64_t> counts;  // (V)
  data::Recurrence repeated;
  std::vector<int32_t> sample;  // from the middle

  int64_t used() const {
    return std::ranges::count_if(counts, [](int64_t n) { return n > 0; });
  }
  std::vector<int32_t> most_frequent() const {
    std::vector<int32_t> order(counts.size());
    std::iota(order.begin(), order.end(), 0);
    size_t const n = std::min(kMostFrequent, static_cast<size_t>(used()));
    std::ranges::partial_sort(order, order.begin() + std::ptrdiff_t(n), [&](int32_t a, int32_t b) {
      return counts[size_t(a)] != counts[size_t(b)] ? counts[size_t(a)] > counts[size_t(b)] : a < b;
    });
    order.resize(n);
    return order;
  }
};

struct Report {
  data::Dataset const& data;
  int64_t window;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::vector<SplitFacts> splits;
  std::optional<data::Recurrence> overlap;  // of val in train

  std::string tokenizer_name() const {  // "" where there is none
    return !tokenizer ? "" : data.tokenizer_name().empty() ? tokenizer->name() : data.tokenizer_name();
  }
  std::string text(std::span<int32_t const> ids) const {
    std::string all;
    for (int32_t const id : ids)
      if (tokenizer && id < tokenizer->vocab()) all += tokenizer->token(id);
    return all;
  }
};

Report look_at(data::Dataset const& data, int64_t window) {
  Report r{data, window, nullptr, {}, {}};
  if (auto const& folder = data.tokenizer_directory(); folder && text::has_tokenizer(*folder))
    r.tokenizer = text::load_tokenizer(folder->string());
  Progress progress;
  auto const step = [&](char const* what) {
    return [&progress, what](int64_t done, int64_t all) {
      if (progress.due() && done < all)
        progress.show({fmt::format("{} {}/{} tokens", what, format_count(double(done)), format_count(double(all)))});
    };
  };
  for (data::Split const& split : data.splits()) {
    SplitFacts f{&split, data::count_ids(split, step("counting")), {}, {}};
    f.repeated = data::find_windows(split, split, window, int64_t{1} << 20, step("comparing"));
    int64_t const n = std::min(kSample, split.tokens());
    f.sample.resize(static_cast<size_t>(n));
    split.read((split.tokens() - n) / 2, f.sample);
    r.splits.push_back(std::move(f));
  }
  if (data.has("train") && data.has("val"))
    r.overlap = data::find_windows(data.split("val"), data.split("train"), window, int64_t{1} << 20, step("overlap"));
  progress.finish();
  return r;
}

Json json_of(data::Recurrence const& r) { return {{"windows", r.windows}, {"found", r.found}, {"share", r.share()}}; }

Json json_of(Report const& r, Path const& path) {
  Json all = {{"path", path.string()}, {"vocab", r.data.vocab()}, {"window", r.window}, {"splits", Json::object()}};
  all["tokenizer"] = r.tokenizer ? Json(r.tokenizer_name()) : Json(nullptr);
  for (SplitFacts const& f : r.splits) {
    Json frequent = Json::array();
    for (int32_t const id : f.most_frequent())
      frequent.push_back({{"id", id},
                          {"text", r.tokenizer ? Json(r.text({&id, 1})) : Json(nullptr)},
                          {"count", f.counts[static_cast<size_t>(id)]}});
    all["splits"][f.split->name()] = {{"tokens", f.split->tokens()},
                                      {"documents", f.split->documents()},
                                      {"ids_used", f.used()},
                                      {"most_frequent", frequent},
                                      {"repeated", json_of(f.repeated)},
                                      {"sample_ids", f.sample},
                                      {"sample", r.tokenizer ? Json(r.text(f.sample)) : Json(nullptr)}};
  }
  all["val_in_train"] = r.overlap ? json_of(*r.overlap) : Json(nullptr);
  return all;
}

std::string recurrence(data::Recurrence const& r) {
  return fmt::format("{:.1f} % ({} of {})", 100 * r.share(), grouped(r.found), grouped(r.windows));
}

std::string split_text(Report const& r, SplitFacts const& f) {
  std::string out = fmt::format("\n{}\n", f.split->name());
  report::Table frequent({{"id"}, {"text", false}, {"count"}, {"share"}});
  for (int32_t const id : f.most_frequent())
    frequent.row(
        {std::to_string(id), r.tokenizer ? text::escape(r.text({&id, 1})) : "",
         grouped(f.counts[static_cast<size_t>(id)]),
         fmt::format("{:.2f} %", 100 * double(f.counts[static_cast<size_t>(id)]) / double(f.split->tokens()))});
  out += frequent.text();
  return out + wrapped("from the middle: " +
                           (r.tokenizer ? text::escape(r.text(f.sample)) : fmt::format("{}", fmt::join(f.sample, " "))),
                       0);
}

}  // namespace

void inspect_data(Path const& path, int64_t window, bool json) {
  data::Dataset const data(path, kPlainVocab);
  Report const r = look_at(data, window);
  if (json) return print(dump(json_of(r, path), 2) + '\n');
  std::string out = wrapped(fmt::format("{}: vocabulary {}, tokenizer {}", path.string(), grouped(data.vocab()),
                                        r.tokenizer ? r.tokenizer_name() : "not known"),
                            0);
  report::Table table({{"split", false}, {"tokens"}, {"documents"}, {"ids used"}, {"repeated windows"}});
  for (SplitFacts const& f : r.splits)
    table.row({f.split->name(), grouped(f.split->tokens()), grouped(f.split->documents()), grouped(f.used()),
               recurrence(f.repeated)});
  out += table.text();
  out += wrapped(fmt::format("Windows of {} tokens, side by side; repeated: the same ids stand at another place of the "
                             "split too.",
                             window),
                 0);
  if (r.overlap) out += wrapped(fmt::format("Windows of val that stand in train: {}", recurrence(*r.overlap)), 0);
  for (SplitFacts const& f : r.splits) out += split_text(r, f);
  print(out);
}

}  // namespace folio::cli

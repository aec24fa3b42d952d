#include "train/live_diagnosis.h"

#include <algorithm>
#include <utility>

#include "data/statistics.h"

namespace folio::train {
namespace {

constexpr int64_t kMostCounted = int64_t{1} << 27;   // ids; half a second
constexpr int64_t kMostCompared = int64_t{1} << 24;  // the same
constexpr int64_t kWindow = 64, kMostWindows = 1 << 14;

}  // namespace

void LiveDiagnosis::set_history(History history) {
  history_ = std::move(history);
  std::vector<Statistics> const all = std::exchange(history_.statistics, {});
  history_.samples.clear();
  for (Statistics const& s : all) add(s);
}

void LiveDiagnosis::add(Statistics const& s) {
  history_.statistics.push_back({.step = s.step, .period = s.period, .quiet = s.quiet});
  std::vector<double> const norms = block_norms(s);
  for (size_t i = 0; i < norms.size(); ++i)
    history_.statistics.back().tensors.push_back({"h." + std::to_string(i), {NAN, NAN, NAN, norms[i], NAN}});
}

bool LiveDiagnosis::due(int64_t step) const { return step % std::max<int64_t>(1, facts_.options.steps / 100) == 0; }

std::optional<Finding> LiveDiagnosis::changed() {
  Finding now = diagnose(history_, facts_)[0];
  bool const first = history_.findings.empty();
  State const state = first ? State::healthy : history_.findings.back().state;
  if (now.state == state && (first || now.grade == history_.findings.back().grade)) return {};
  if (now.state == State::healthy) now.since = now.step;
  history_.findings.push_back(now);
  return now;
}

DataFacts facts_of(data::Dataset const& data) {
  data::Split const& train = data.split("train");
  DataFacts facts{.train_tokens = train.tokens()};
  if (facts.train_tokens <= kMostCounted) {
    facts.frequency_loss = 0;
    for (int64_t const count : data::count_ids(train)) {
      double const share = double(count) / double(facts.train_tokens);
      if (count > 0) facts.frequency_loss -= share * std::log(share);
    }
  }
  if (facts.train_tokens > kMostCompared || facts.train_tokens < 2 * kWindow) return facts;
  facts.recurring = data::find_windows(train, train, kWindow, kMostWindows).share();
  if (data.has("val")) facts.val_in_train = data::find_windows(data.split("val"), train, kWindow, kMostWindows).share();
  return facts;
}

}  // namespace folio::train

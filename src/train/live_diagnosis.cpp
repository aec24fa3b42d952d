#include "train/live_diagnosis.h"

#include <algorithm>

#include "data/statistics.h"

namespace folio::train {
namespace {

constexpr int64_t kMostCounted = int64_t{1} << 27;   // ids; half a second
constexpr int64_t kMostCompared = int64_t{1} << 24;  // the same
constexpr int64_t kWindow = 64, kMostWindows = 1 << 14;
constexpr int64_t kMostPlanned = int64_t{1} << 20;  // steps: 80 MiB and more; few runs are longer

}  // namespace

MemoryRole LiveDiagnosis::plan(RunOptions const& o, model::Config const& config) {
  size_t const steps = size_t(std::min(o.steps, kMostPlanned));
  size_t const of_step = sizeof(StepReport) + 2 * sizeof(double);  // and at the end a point of the curve
  size_t const of_layer = sizeof(Statistics::tensors[0]) + sizeof(double);
  size_t const of_line = 2 * sizeof(Statistics) + size_t(config.layers) * of_layer;  // in a list that doubles
  return {kRole, steps * of_step + (o.stats_every > 0 ? steps / size_t(o.stats_every) * of_line : 0)};
}

size_t LiveDiagnosis::steps() const { return size_t(std::min(facts_.options.steps, kMostPlanned)); }

void LiveDiagnosis::begin(DataFacts const& data) {
  history_ = {};
  history_.data = data;
  history_.steps.reserve(steps());
}

void LiveDiagnosis::read_again(Path const& metrics) {
  history_ = {};  // two at once are more than the plan has
  history_ = read_history(metrics, {.steps = steps(), .samples = false, .of_statistics = what_rules_read});
}

Statistics LiveDiagnosis::what_rules_read(Statistics const& s) {
  Statistics some{.step = s.step, .period = s.period, .quiet = s.quiet};
  std::vector<double> const norms = block_norms(s);
  some.tensors.reserve(norms.size());
  for (size_t i = 0; i < norms.size(); ++i)
    some.tensors.push_back({"h." + std::to_string(i), {NAN, NAN, NAN, norms[i], NAN}});
  return some;
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

#include "train/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace folio::train {
namespace {

double judged(Summary const& s, EvalReport const& e) { return s.judged_by_val ? e.val : e.train; }

// Between two evaluations the losses of the steps say where the goal was passed: their mean over ten, which is less
// noisy than one of them. Where no step is known to, the later evaluation did.
int64_t passed(std::vector<StepReport> const& steps, int64_t after, int64_t by, double goal) {
  constexpr size_t kMean = 10;
  std::vector<double> losses;
  for (auto at = std::ranges::upper_bound(steps, after, {}, &StepReport::step); at != steps.end() && at->step <= by;
       ++at) {
    if (!std::isfinite(at->loss)) continue;
    losses.push_back(at->loss);
    size_t const n = std::min(losses.size(), kMean);
    double sum = 0;
    for (size_t i = losses.size() - n; i < losses.size(); ++i) sum += losses[i];
    if (sum <= goal * double(n)) return at->step;
  }
  return by;
}

void judge(Summary& s, History const& h) {
  EvalReport const* before = nullptr;
  for (EvalReport const& e : h.evals) {
    double const loss = judged(s, e);
    if (!std::isfinite(loss)) continue;
    if (!before) s.first = s.best = loss, s.best_step = e.step, s.best_bits_per_byte = e.val_bits_per_byte;
    if (loss < s.best) s.best = loss, s.best_step = e.step, s.best_bits_per_byte = e.val_bits_per_byte;
    before = &e;
  }
  s.removed = (s.first - s.best) / s.first;
  double const goal = (s.first + s.best) / 2;
  before = nullptr;
  for (EvalReport const& e : h.evals) {
    if (s.best < s.first && judged(s, e) <= goal) {
      s.half_step = passed(h.steps, before ? before->step : -1, e.step, goal);
      break;
    }
    before = &e;
  }
}

}  // namespace

Summary summary_of(History const& h) {
  Summary s;
  s.judged_by_val = std::ranges::any_of(h.evals, [](EvalReport const& e) { return std::isfinite(e.val); });
  judge(s, h);
  if (!h.evals.empty()) {
    EvalReport const& last = h.evals.back();
    s.final = judged(s, last), s.final_train = last.train, s.gap = last.val - last.train;
    s.last_step = last.step, s.seconds = last.seconds;
  }
  std::vector<double> speeds;
  for (StepReport const& r : h.steps) {
    if (std::isfinite(r.tokens_per_second)) speeds.push_back(r.tokens_per_second);
    s.peak_memory = std::fmax(s.peak_memory, r.memory_bytes);  // passes NaN over
    if (overflowed(r)) {
      ++s.overflowed;
      continue;
    }
    bool const finite = std::isfinite(r.loss) && std::isfinite(r.norm);
    if (!r.accepted && !finite) ++s.refused;
    if (s.broken_step < 0 && !finite) s.broken_step = r.step;
  }
  if (!speeds.empty()) {
    std::ranges::nth_element(speeds, speeds.begin() + std::ptrdiff_t(speeds.size() / 2));
    s.median_speed = speeds[speeds.size() / 2];
  }
  if (!h.steps.empty()) {
    s.last_step = std::max(s.last_step, h.steps.back().step);
    s.seconds = std::fmax(s.seconds, h.steps.back().seconds);
  }
  return s;
}

std::string loss_number(double loss, int digits) {
  return std::abs(loss) < 1e4 ? fmt::format("{:.{}f}", loss, digits) : fmt::format("{:.1e}", loss);
}

double clipped_share(std::vector<StepReport> const& steps, double clip, int64_t first, int64_t last) {
  double n = 0, clipped = 0;
  for (auto at = std::ranges::upper_bound(steps, first, {}, &StepReport::step); at != steps.end() && at->step <= last;
       ++at)
    n += 1, clipped += clip > 0 && at->norm > clip;
  return n > 0 ? clipped / n : 0;
}

}  // namespace folio::train

#include "train/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "train/diagnosis_rules.h"
#include "train/summary.h"

namespace folio::train {
namespace rules {
namespace {

constexpr int64_t kBlocks = 50;         // a whole run is so many blocks,
constexpr int64_t kShortestBlock = 5;   // none shorter than so many steps,
constexpr int64_t kLongestBlock = 200;  // nor longer: a long run is not told a thousand steps late

std::vector<Block> blocks_of(std::vector<StepReport> const& steps, int64_t width) {
  std::vector<Block> blocks;
  double n = 0, sum = 0, squares = 0, rates = 0, norms = 0;
  int64_t first = 0;
  for (StepReport const& s : steps) {
    if (n == 0) first = s.step;
    if (s.accepted && std::isfinite(s.loss))
      n += 1, sum += s.loss, squares += s.loss * s.loss, rates += s.rate, norms += s.norm;
    if (s.step % width != 0) continue;
    if (n >= double(width) / 2) {
      double const mean = sum / n, variance = std::max(0.0, squares / n - mean * mean);
      blocks.push_back({first, s.step, mean, std::sqrt(variance / std::max(1.0, n - 1)), rates / n, norms / n});
    }
    n = sum = squares = rates = norms = 0;
  }
  return blocks;
}

}  // namespace

Seen look_at(History const& h, Facts const& f) {
  Seen seen{.history = h, .facts = f};
  seen.steps = f.options.steps;
  seen.uniform = std::log(double(std::max<int64_t>(2, f.config.vocab)));
  seen.step = std::max(h.steps.empty() ? 0 : h.steps.back().step, h.evals.empty() ? 0 : h.evals.back().step);
  seen.first_loss = !h.evals.empty() && h.evals[0].step == 0 ? h.evals[0].train
                    : !h.steps.empty()                       ? h.steps[0].loss
                                                             : NAN;
  for (StepReport const& s : h.steps) seen.peak_rate = std::max(seen.peak_rate, s.rate);
  double const tokens = double(f.options.batch * f.options.accumulate * f.config.context) * double(seen.step);
  seen.epochs = h.data && h.data->train_tokens > 0 ? tokens / double(h.data->train_tokens) : NAN;
  seen.blocks = blocks_of(h.steps, std::clamp((seen.steps + kBlocks - 1) / kBlocks, kShortestBlock, kLongestBlock));
  return seen;
}

bool was(Seen const& s, State state) { return !s.history.findings.empty() && s.history.findings.back().state == state; }
bool was(Seen const& s, State state, std::string const& grade) {
  return was(s, state) && s.history.findings.back().grade == grade;
}

Block joined(std::vector<Block> const& blocks, size_t begin, size_t end) {
  Block all{.first = blocks[begin].first, .last = blocks[end - 1].last};
  double const n = double(end - begin);
  for (size_t i = begin; i < end; ++i) {
    all.loss += blocks[i].loss / n, all.rate += blocks[i].rate / n, all.norm += blocks[i].norm / n;
    all.error += blocks[i].error * blocks[i].error;
  }
  all.error = std::sqrt(all.error) / n;
  return all;
}

Trend trend_of(std::vector<std::pair<double, double>> const& points) {
  double const n = double(points.size());
  double x = 0, y = 0, xx = 0, xy = 0, residual = 0;
  for (auto const& [px, py] : points) x += px / n, y += py / n;
  for (auto const& [px, py] : points) xx += (px - x) * (px - x), xy += (px - x) * (py - y);
  Trend trend{.slope = xy / xx};
  for (auto const& [px, py] : points) {
    double const off = py - y - trend.slope * (px - x);
    residual += off * off;
  }
  trend.error = std::sqrt(residual / (n - 2) / xx);
  return trend;
}

double usual_rate(Facts const& f) {
  return f.options.optimizer == "sgd" ? NAN : 6e-4 * 768 / double(f.config.channels);
}

double at_most_usual(Facts const& f, double rate) {
  double const usual = usual_rate(f);
  return std::isfinite(usual) ? std::min(usual, rate) : rate;
}

std::string beside_usual(Facts const& f) {
  double const usual = usual_rate(f);
  return std::isfinite(usual)
             ? fmt::format("models of {} channels usually learn with {}", f.config.channels, rate_text(usual))
             : "of SGD none is usual, for its steps grow with the gradient";
}

namespace {

constexpr double kFloor = 0.1;        // of the rate, as of a run that names none
constexpr double kLeastRate = 1e-30;  // of those that are advised

std::string with_schedule(Facts const& f, double rate, char const* schedule) {
  ScheduleOptions s = f.options.schedule;
  rate = std::clamp(rate, kLeastRate, find(fields(s), "lr")->range.max);
  std::string flags = "--lr " + rate_text(rate);
  if (s.schedule != schedule) flags += fmt::format(" --schedule {}", schedule);
  bool const has_floor = schedule != std::string("constant");
  if (has_floor && s.min_lr > (1 + 1e-9) * kFloor * rate) flags += " --min-lr " + rate_text(kFloor * rate);
  return flags;
}

}  // namespace

std::string rate_flags(Facts const& f, double rate) {
  return with_schedule(f, rate, f.options.schedule.schedule.c_str());
}

std::string falling_rate_flags(Facts const& f, double rate) {
  std::string const& schedule = f.options.schedule.schedule;
  return with_schedule(f, rate, schedule == "constant" ? "cosine" : schedule.c_str());
}

std::string warmup_flag(Facts const& f, int64_t warmup) {
  ScheduleOptions const& s = f.options.schedule;
  warmup = std::min(warmup, f.options.steps - (s.schedule == "wsd" ? s.wsd_tail_steps : 0));
  return warmup > s.warmup ? fmt::format(" --warmup {}", warmup) : "";
}

std::string rate_text(double rate) {
  if (rate <= 0) return "0";
  double const power = std::pow(10, std::floor(std::log10(rate) + 1e-9));
  double const digits = std::round(10 * rate / power) / 10;
  if (rate >= 0.01) return fmt::format("{:g}", digits * power);
  return fmt::format("{:g}e{:.0f}", digits, std::log10(power));
}

std::string loss_text(double loss) { return loss_number(loss); }
std::string share_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace rules

namespace {

// In this order findings are named: a cause before what follows from it.
constexpr std::array<rules::Rule, 8> kRules = {rules::not_finite,
                                               rules::overfitting,
                                               rules::repeating_data,
                                               rules::rate_too_high,
                                               rules::exploding_or_vanishing,
                                               rules::not_learning_or_rate_too_low,
                                               rules::quiet_layer,
                                               rules::plateau};

bool of_the_curve(State state) {
  return state == State::rate_too_high || state == State::not_learning || state == State::rate_too_low ||
         state == State::plateau;
}

// One curve of the loss is explained once; and a gradient that does not reach the first blocks is why nothing is
// learnt.
bool explained(std::vector<Finding> const& all, State state) {
  return std::ranges::any_of(all, [&](Finding const& f) {
    return (of_the_curve(f.state) && of_the_curve(state)) ||
           (f.state == State::vanishing_gradient && state == State::not_learning);
  });
}

Finding healthy(rules::Seen const& seen) {
  Finding f{.state = State::healthy};
  History const& h = seen.history;
  if (h.evals.size() > 1) {
    EvalReport const &last = h.evals.back(), &first = h.evals.front();
    bool const has_val = std::isfinite(last.val);
    f.evidence.push_back(fmt::format("{} fell from {} to {}", has_val ? "val" : "train",
                                     rules::loss_text(has_val ? first.val : first.train),
                                     rules::loss_text(has_val ? last.val : last.train)));
    if (has_val)
      f.evidence.push_back(fmt::format("the gap between val and train is {}", rules::loss_text(last.val - last.train)));
  }
  if (!seen.blocks.empty())
    f.evidence.push_back(fmt::format("gradient norm {:.2f} over the last {} steps", seen.blocks.back().norm,
                                     seen.blocks.back().last - seen.blocks.back().first + 1));
  f.advice = "Nothing needs changing.";
  return f;
}

}  // namespace

Severity severity_of(Finding const& f) {
  switch (f.state) {
    case State::healthy:
      return Severity::healthy;
    case State::overfitting:
      return f.grade == "slight" ? Severity::warning : Severity::bad;
    case State::rate_too_high:
      return f.grade == "rising" ? Severity::warning : Severity::bad;
    case State::exploding_gradient:
    case State::not_learning:
    case State::not_finite:
      return Severity::bad;
    default:
      return Severity::warning;
  }
}

std::string title_of(Finding const& f) {
  return f.grade.empty() ? words_for(f.state) : fmt::format("{}, {}", words_for(f.state), f.grade);
}

std::string line_of(Finding const& f) {
  std::string line = fmt::format("{} since step {}", title_of(f), f.since);
  if (!f.evidence.empty()) line += ": " + f.evidence[0];
  return line;
}

std::vector<Finding> diagnose(History const& history, Facts const& facts) {
  rules::Seen const seen = rules::look_at(history, facts);
  std::vector<Finding> all;
  for (rules::Rule rule : kRules)
    if (auto finding = rule(seen); finding && !explained(all, finding->state)) all.push_back(std::move(*finding));
  if (all.empty()) all.push_back(healthy(seen));
  for (Finding& f : all) f.step = seen.step;
  std::ranges::stable_sort(all, [](Finding const& a, Finding const& b) { return severity_of(a) > severity_of(b); });
  return all;
}

}  // namespace folio::train

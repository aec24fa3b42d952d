// Rules that look into the model: values that are no numbers, gradients by layer, units that say nothing.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "train/diagnosis_rules.h"

namespace folio::train {

std::vector<double> block_norms(Statistics const& statistics) {
  std::vector<double> squares;
  for (auto const& [name, numbers] : statistics.tensors) {
    if (!name.starts_with("h.")) continue;
    size_t block = 0;
    std::from_chars(name.data() + 2, name.data() + name.size(), block);
    if (block >= statistics.tensors.size()) continue;
    if (block >= squares.size()) squares.resize(block + 1, 0);
    squares[block] += numbers.gradient * numbers.gradient;
  }
  for (double& square : squares) square = std::sqrt(square);
  return squares;
}

}  // namespace folio::train

namespace folio::train::rules {

namespace {

// A step that was refused for its numbers.
bool is_broken(StepReport const& r) {
  return !r.accepted && !overflowed(r) && (!std::isfinite(r.loss) || !std::isfinite(r.norm));
}

}  // namespace

std::optional<Finding> not_finite(Seen const& s) {
  // Each time that it comes back, it has to stay away for longer.
  int64_t const times = std::ranges::count(s.history.findings, State::not_finite, &Finding::state);
  int64_t const quiet_after = std::max<int64_t>(20, s.steps / 50) * std::max<int64_t>(1, times);
  int64_t first = 0, last = 0, broken = 0;
  for (StepReport const& r : s.history.steps) {
    if (!is_broken(r)) continue;
    if (broken == 0 || r.step - last > quiet_after) first = r.step, broken = 0;
    last = r.step, ++broken;
  }
  if (broken == 0 || s.step - last > quiet_after) return {};
  Finding f{.state = State::not_finite, .since = first};
  std::string file;
  for (Broken const& b : s.history.broken) {
    if (b.step < first || b.step > last) continue;
    f.evidence.insert(f.evidence.end(), b.evidence.begin(), b.evidence.end());
    if (!b.file.empty()) file = b.file;
  }
  f.evidence.push_back(fmt::format("the loss or the gradient norm was not finite in {} of the last {} steps", broken,
                                   s.step - first + 1));
  double rate = 0, norm = 0;
  for (StepReport const& r : s.history.steps)
    if (r.step < first && r.accepted) rate = r.rate, norm = r.norm;
  if (rate > 0)
    f.evidence.push_back(fmt::format("before it the rate was {} and the gradient norm {:.2f}", rate_text(rate), norm));
  f.advice = file.empty() ? "Start again, or from an earlier checkpoint, with a lower rate."
                          : fmt::format(
                                "folio train --replay RUN/{} takes the step again. Start again, or "
                                "from an earlier checkpoint, with a lower rate.",
                                file);
  f.flags = fmt::format("{} --clip {}", rate_flags(s.facts, at_most_usual(s.facts, s.facts.options.schedule.lr / 3)),
                        s.facts.options.clip > 0 ? std::min(1.0, s.facts.options.clip / 2) : 1.0);
  return f;
}

// ---- by depth ----

namespace {

constexpr double kSteep = 100;        // times, from the first block to the last,
constexpr double kSteepStill = 30;    // and for as long as it is so steep
constexpr double kQuiet = 0.5;        // share of a layer's units,
constexpr double kQuietStill = 0.35;  // and for as long as so many are

// By what factor the gradient grows from the last block to the first: of a straight line through the logarithms. NaN
// where it is not known.
double growth(std::vector<double> const& norms) {
  if (norms.size() < 2) return NAN;
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < norms.size(); ++i) points.emplace_back(double(i), std::log(std::max(norms[i], 1e-30)));
  return std::exp(-trend_of(points).slope * double(norms.size() - 1));
}

// The step of the first of the last lines in a row of which it is so; 0 where it is not so of the last.
template <class IsSo>
int64_t since_step(std::vector<Statistics> const& all, IsSo is_so) {
  int64_t since = 0;
  for (size_t i = all.size(); i-- > 0 && is_so(all[i]);) since = std::max<int64_t>(1, all[i].step - all[i].period + 1);
  return since;
}

std::string gentler(Seen const& s) {
  double const clip = s.facts.options.clip;
  return fmt::format("{} --clip {:.2g}", rate_flags(s.facts, at_most_usual(s.facts, s.facts.options.schedule.lr / 3)),
                     clip > 0 ? std::min(0.5, clip / 2) : 0.5);
}

}  // namespace

std::optional<Finding> exploding_or_vanishing(Seen const& s) {
  std::vector<Statistics> const& all = s.history.statistics;
  if (all.empty()) return {};
  std::vector<double> const norms = block_norms(all.back());
  bool const explodes = growth(norms) > 1;
  double const steep = was(s, explodes ? State::exploding_gradient : State::vanishing_gradient) ? kSteepStill : kSteep;
  int64_t const since = since_step(all, [&](Statistics const& one) {
    double const factor = growth(block_norms(one));
    return explodes ? factor >= steep : factor <= 1 / steep;
  });
  if (since == 0) return {};
  Finding f{.state = explodes ? State::exploding_gradient : State::vanishing_gradient, .since = since};
  f.evidence.push_back(fmt::format("gradient norm {:.2g} in block h.0, {:.2g} in block h.{}", norms.front(),
                                   norms.back(), norms.size() - 1));
  f.evidence.push_back(
      fmt::format("from block to block, towards the input, it {} {:.1f} times; usual is less than twice",
                  explodes ? "grows" : "shrinks",
                  std::pow(explodes ? growth(norms) : 1 / growth(norms), 1 / double(norms.size() - 1))));
  f.advice = explodes
                 ? "Weights that begin as GPT-2's do have the same gradient in all blocks: begin without --from, or:"
                 : "The first blocks hardly learn: begin with fresh weights, without --from, or:";
  f.flags = gentler(s);
  return f;
}

std::optional<Finding> quiet_layer(Seen const& s) {
  std::vector<Statistics> const& all = s.history.statistics;
  if (all.empty()) return {};
  auto const worst = [](Statistics const& one) {
    return size_t(std::ranges::max_element(one.quiet) - one.quiet.begin());
  };
  double const least = was(s, State::quiet_layer) ? kQuietStill : kQuiet;
  int64_t const since =
      since_step(all, [&](Statistics const& one) { return !one.quiet.empty() && one.quiet[worst(one)] >= least; });
  if (since == 0) return {};
  size_t const layer = worst(all.back());
  Finding f{.state = State::quiet_layer, .since = since};
  f.evidence.push_back(
      fmt::format("{} of the GELU outputs of block h.{} stayed below 1e-3 for {} steps; usual is under 5 %",
                  share_text(all.back().quiet[layer]), layer, all.back().period));
  f.advice = "Units that say nothing get no gradient: a lower rate and a longer warm-up keep them from falling silent.";
  int64_t const longer = 2 * std::max<int64_t>(s.steps / 20, s.facts.options.schedule.warmup);
  f.flags = rate_flags(s.facts, at_most_usual(s.facts, s.facts.options.schedule.lr / 2)) +
            warmup_flag(s.facts, std::max<int64_t>(1, std::min(s.steps / 5, longer)));
  return f;
}

}  // namespace folio::train::rules

// Rules that look at the curve of the loss against the rate: too high, too low, nothing learnt, no way on.
#include <fmt/format.h>

#include <algorithm>

#include "train/diagnosis_rules.h"

namespace folio::train::rules {
namespace {

constexpr size_t kWindow = 3;  // blocks that are looked at as one: 6 % of a run
constexpr double kFalls = 3;   // standard errors that a fall stands out by

double middle(Block const& b) { return 0.5 * double(b.first + b.last); }

// What ids alone are worth: the loss of a model that knows how often each occurs, and nothing of their order.
double frequency_loss(Seen const& s) {
  double const known = s.history.data ? s.history.data->frequency_loss : NAN;
  return std::isfinite(known) ? known : 0.8 * s.uniform;
}

// What the loss has come to: the last evaluation says, or the last blocks where they are surely below it.
double come_to(Seen const& s) {
  auto const counts = [](EvalReport const& e) { return e.step > 0 && std::isfinite(e.train); };
  auto const last = std::find_if(s.history.evals.rbegin(), s.history.evals.rend(), counts);
  if (last == s.history.evals.rend()) return s.blocks.back().loss;
  Block const now = joined(s.blocks, s.blocks.size() - std::min(kWindow, s.blocks.size()), s.blocks.size());
  return std::min(last->train, now.loss + kFalls * now.error);
}

constexpr int64_t kSettled = 50;  // steps at the full rate (half of the warm-up counts) after which a run is judged,
constexpr double kPart = 0.1;     // but not before this part of it,
constexpr int64_t kAtTheLatest = 500;  // or so many steps

int64_t judged_from(Seen const& s) {
  int64_t const warmup = s.facts.options.schedule.warmup;
  return std::max({warmup + 1, warmup / 2 + kSettled, std::min(kAtTheLatest, int64_t(kPart * double(s.steps)))});
}

std::string lower_rate(Seen const& s, double at_most) {
  std::string flags = rate_flags(s.facts, at_most_usual(s.facts, at_most));
  if (s.facts.options.clip == 0 || s.facts.options.clip > 1) flags += " --clip 1";
  int64_t const enough = std::min<int64_t>(s.steps / 10, 200);
  if (s.facts.options.schedule.warmup < enough / 2) flags += warmup_flag(s.facts, enough);
  return flags;
}

// ---- a higher rate: not of a run that has stood above its beginning, or diverged ----

constexpr double kErrors = 4;         // standard errors that a rise stands out by
constexpr double kStoodAbove = 1.02;  // times the first loss; without learning, blocks stay within half a percent

double beginning(Seen const& s) { return std::max(s.first_loss, s.uniform); }

// The highest block of such a run.
std::optional<Block> height_of_lost(Seen const& s) {
  auto const highest = std::ranges::max_element(s.blocks, {}, &Block::loss);
  if (highest == s.blocks.end()) return {};
  bool const above =
      highest->loss > kStoodAbove * beginning(s) && highest->loss - beginning(s) > kErrors * highest->error;
  bool const diverged = std::ranges::any_of(
      s.history.findings, [](Finding const& f) { return f.state == State::rate_too_high && f.grade == "diverged"; });
  return above || diverged ? std::optional(*highest) : std::nullopt;
}

// ---- too high ----

constexpr double kRise = 0.03;              // of the lowest loss
constexpr double kRiseAfterRestart = 0.15;  // where the rate has risen since, as its schedule says
constexpr double kRiseLeft = 1.0 / 3;       // of these: what has to be left of a rise for it to stand
constexpr double kAboveStart = 1.05;        // times the first loss: diverged
constexpr double kDiverged = 0.5;           // of what was learnt, lost again,
constexpr double kStillLost = 0.25;         // for as long as that is not learnt again
constexpr double kStuck = 0.90;     // of the loss of frequencies: more than a little of the order is known; what has
                                    // diverged has until then not come back
constexpr double kNoLonger = 0.85;  // and once it has been called stuck, surely more
constexpr double kHighRate = 2;     // times the usual one

// Over the lowest that there was by then, where there are evaluations before it and after: between windows of a few
// small batches lies as much as a rise.
bool evaluations_rise(Seen const& s, int64_t lowest, double by) {
  double before = INFINITY, after = -INFINITY;
  for (EvalReport const& e : s.history.evals) {
    if (e.step == 0 || !std::isfinite(e.train)) continue;
    if (e.step <= lowest) before = std::min(before, e.train);
    else after = e.train;
  }
  return std::isinf(before) || std::isinf(after) || after - before > by;
}

Finding too_high(Seen const& s, char const* grade, int64_t since, std::string evidence) {
  Finding f{.state = State::rate_too_high, .grade = grade, .since = since, .evidence = {std::move(evidence)}};
  f.evidence.push_back(
      fmt::format("the rate is {}; {}", rate_text(s.history.steps.back().rate), beside_usual(s.facts)));
  f.evidence.push_back(fmt::format("gradient norm {:.2f} over the last {} steps", s.blocks.back().norm,
                                   s.blocks.back().last - s.blocks.back().first + 1));
  return f;
}

}  // namespace

std::optional<Finding> rate_too_high(Seen const& s) {
  if (s.blocks.size() < kWindow) return {};
  Block const now = joined(s.blocks, s.blocks.size() - kWindow, s.blocks.size());
  Block lowest = now;
  for (size_t i = 0; i + kWindow <= s.blocks.size(); ++i)
    if (Block const b = joined(s.blocks, i, i + kWindow); b.loss < lowest.loss) lowest = b;
  double const rise = now.loss - lowest.loss, error = std::hypot(now.error, lowest.error);
  bool const restarted = s.facts.options.schedule.schedule == "restarts" && lowest.rate < now.rate / 2;
  bool const high = s.peak_rate > kHighRate * usual_rate(s.facts);
  double const enough = (restarted ? kRiseAfterRestart : high ? kRise : 2 * kRise) * lowest.loss;
  bool const rises = rise > enough && rise > kErrors * error;
  double const start = beginning(s), frequencies = frequency_loss(s);
  bool const was_rising = was(s, State::rate_too_high, "rising"), was_lost = was(s, State::rate_too_high, "diverged");
  std::string const risen =
      fmt::format("train loss +{} over its lowest {} ({})", loss_text(rise), loss_text(lowest.loss), lowest.last);
  double const above = (was_lost ? 1 : kAboveStart) * start;
  if (now.loss > above && (was_lost || s.blocks.back().loss > above)) {
    Finding f = too_high(
        s, "diverged", lowest.last,
        fmt::format("train loss {}, more than the {} it began with", loss_text(now.loss), loss_text(s.first_loss)));
    f.advice = "The weights are lost: start again with a lower rate.";
    f.flags = lower_rate(s, std::min(lowest.rate / 3, s.peak_rate / 10));
    return f;
  }
  if ((rises || was_lost) && rise > (was_lost ? kStillLost : kDiverged) * std::max(0.0, start - lowest.loss)) {
    Finding f = too_high(s, "diverged", lowest.last, risen);
    f.advice = "Most of what was learnt is lost: start again, or from an earlier checkpoint, with a lower rate.";
    f.flags = lower_rate(s, std::min(lowest.rate / 3, s.peak_rate / 10));
    return f;
  }
  if (was_lost && now.loss >= kStuck * frequencies) {
    Finding const& said = s.history.findings.back();
    Finding f = too_high(s, "diverged", said.since,
                         fmt::format("train loss {}, near the {} of the tokens' frequencies alone, since it diverged",
                                     loss_text(now.loss), loss_text(frequencies)));
    f.advice = said.advice, f.flags = said.flags;
    return f;
  }
  double const stuck_above = (was(s, State::rate_too_high, "stuck") ? kNoLonger : kStuck) * frequencies;
  if (high && now.loss >= stuck_above && s.step >= judged_from(s)) {
    Finding f = too_high(s, "stuck", std::min(lowest.first, judged_from(s)),
                         fmt::format("train loss stays at {}, near the {} of the tokens' frequencies alone",
                                     loss_text(now.loss), loss_text(frequencies)));
    f.advice = "Steps this wide cannot settle on the order of tokens: lower the rate.";
    f.flags = lower_rate(s, s.peak_rate / 10);
    return f;
  }
  if (!rises && !(was_rising && rise > kRiseLeft * enough)) return {};
  if (!evaluations_rise(s, lowest.last, was_rising ? 0 : kRiseLeft * enough)) return {};
  Finding f = too_high(s, "rising", lowest.last, risen);
  f.advice = "The loss should fall: lower the rate.";
  f.flags = lower_rate(s, std::min(lowest.rate, s.peak_rate) / 3);
  return f;
}

// ---- nothing learnt, or too slowly ----

namespace {

constexpr double kCertain = 1.25;      // times that: when a loss that does not fall is more than a slow beginning
constexpr double kCertainOfSgd = 4;    // the same: it stays at the loss of frequencies for long, at good rates too
constexpr double kLowRate = 0.1;       // of the usual one: above, a loss that hardly falls has another cause
constexpr double kHardlyFalls = 0.01;  // of the loss, from half of the steps so far on
constexpr double kUsualShare = 0.15,
                 kUsualLater = 0.25;  // of ln V: what healthy runs have removed at least by then, and
constexpr int64_t kLater = 300;       // after so many steps
constexpr double kToLeave = 0.03;     // more than the latter, once the rate has been called too low
constexpr double kLeastFall = 5e-4;   // of the loss: a fall by that much, and surely, is one
constexpr double kOrder = 0.97;       // of the loss of frequencies: below, something of the order of tokens is known,
constexpr size_t kEvaluations = 3;    // that say whether the loss falls where steps are too noisy to tell,
constexpr double kEvaluationsFall = 0.002;  // of the loss, from one to the next;
constexpr double kSomeOrder = 0.98;         // of the loss of frequencies: enough for an evaluation
constexpr double kNear = 1.03;              // times that: below, the frequencies are known
constexpr double kSurelyOrder = 0.95;       // as it must be by this much once nothing was learnt
constexpr double kLate = 0.5;  // of a run: from there on, a run of SGD has to come to know order by its end
constexpr double kRaise = 10;  // times the run's own rate, where none is usual

double certain_from(Seen const& s) {
  double const judged = double(judged_from(s)), certain = kCertain * judged;
  bool const slow = std::isnan(usual_rate(s.facts));
  return slow ? std::max(certain, std::min(kCertainOfSgd * judged, 0.5 * double(s.steps))) : certain;
}

double usual_share(Seen const& s) {
  double const at_full_rate = double(s.step) - double(s.facts.options.schedule.warmup) / 2;
  double const way = std::log(at_full_rate / kSettled) / std::log(double(kLater) / kSettled);
  return kUsualShare + (kUsualLater - kUsualShare) * std::clamp(way, 0.0, 1.0);
}

bool falls_surely(Trend const& t, double loss, double span) {
  return t.slope < -kFalls * t.error && -t.slope * span > kLeastFall * loss;
}

// On the same windows each time, so with little noise.
bool evaluations_fall(Seen const& s, double loss) {
  std::vector<std::pair<double, double>> points;
  for (EvalReport const& e : s.history.evals)
    if (std::isfinite(e.train)) points.emplace_back(double(e.step), e.train);
  return points.size() >= 4 && falls_surely(trend_of(points), loss, double(s.step));
}

// Where the noise of the steps could hide a fall, the later evaluations say.
bool hardly_falls(Seen const& s, Trend const& t, double loss, double from, double frequencies) {
  double const span = double(s.step) - from;
  if (-t.slope * span > kHardlyFalls * loss) return false;
  if ((-t.slope + 2 * t.error) * span <= kHardlyFalls * loss) return true;
  std::vector<std::pair<double, double>> points;
  for (EvalReport const& e : s.history.evals)
    if (double(e.step) >= from && std::isfinite(e.train)) points.emplace_back(double(e.step), e.train);
  if (points.size() < kEvaluations) return false;
  double const length = points.back().first - points.front().first, fall = -trend_of(points).slope * length;
  double const enough = std::min(kHardlyFalls, kEvaluationsFall * double(points.size() - 1));
  return fall <= enough * loss && points.back().second > kSomeOrder * frequencies;
}

// The weights have moved, and what holds the loss there may be the data.
bool knows_frequencies(double loss, double frequencies) { return loss < kNear * frequencies; }

Finding nothing_learnt(Seen const& s, double now, double frequencies) {
  Finding f{.state = State::not_learning, .since = 0};
  f.evidence.push_back(fmt::format("train loss {} after {} steps; knowing nothing is ln {} = {}", loss_text(now),
                                   s.step, s.facts.config.vocab, loss_text(s.uniform)));
  double const usual = usual_rate(s.facts);
  std::string const rate =
      fmt::format("the highest rate so far is {}; {}", rate_text(s.peak_rate), beside_usual(s.facts));
  std::string const alone = fmt::format("the frequencies of the tokens alone would give {}", loss_text(frequencies));
  if (s.first_loss > 1.1 * s.uniform) {
    f.grade = "because of the initial weights";
    f.evidence.push_back(
        fmt::format("the first loss was {}: weights that begin as GPT-2's do give ln V", loss_text(s.first_loss)));
    f.advice = "Begin with fresh weights (without --from), or look for the tensor that is off with folio inspect.";
  } else if (std::string const strong = strong_decay(s.facts.options); !strong.empty()) {
    f.grade = "because of the decay";
    f.evidence.push_back(strong);
    f.advice = "Lower the decay: the weights go back to 0 before they have learnt anything.";
    f.flags = fmt::format("--weight-decay {}", rate_text(kCoupledDecay));
  } else if (auto const highest = height_of_lost(s); highest && (std::isnan(usual) || s.peak_rate < kLowRate * usual)) {
    f.grade = "because of the rate";
    f.evidence.push_back(fmt::format("it stood at {} in steps {} to {}, and began with {}", loss_text(highest->loss),
                                     highest->first, highest->last, loss_text(s.first_loss)));
    f.evidence.push_back(rate);
    f.advice = "Steps this wide lost more than was learnt: lower the rate.";
    f.flags = lower_rate(s, s.peak_rate / 10);
  } else if (bool const at_frequencies = s.peak_rate < kLowRate * usual && knows_frequencies(now, frequencies);
             at_frequencies || std::isnan(usual)) {
    f.grade = "because of the rate or of the data";
    if (at_frequencies) f.evidence.push_back(alone);
    f.evidence.push_back(rate);
    f.advice =
        "Raise the rate, folio lr-find shows how far; where that does not help, look at the data with folio inspect "
        "DATA.";
    f.flags = rate_flags(s.facts, at_most_usual(s.facts, kRaise * s.peak_rate));
  } else if (s.peak_rate < kLowRate * usual) {
    f.grade = "because of the rate";
    f.evidence.push_back(rate);
    f.advice = "The weights hardly move: raise the rate.";
    f.flags = rate_flags(s.facts, usual);
  } else {
    f.grade = "because of the data";
    f.evidence.push_back(alone);
    f.evidence.push_back(fmt::format("the rate, {}, is usual, and the gradient norm is {:.2f}", rate_text(s.peak_rate),
                                     s.blocks.back().norm));
    f.advice = "What comes next does not depend on what came before: look at the data with folio inspect DATA.";
  }
  return f;
}

Finding too_low(Seen const& s, double removed, double slope) {
  Finding f{.state = State::rate_too_low, .since = 0};
  f.evidence.push_back(fmt::format("{} of ln V = {} removed after {} steps; usual are {} by then",
                                   share_text(std::max(0.0, removed)), loss_text(s.uniform), s.step,
                                   share_text(usual_share(s))));
  if (slope < 0) f.evidence.push_back(fmt::format("train loss still falls, by {:.2g} in 100 steps", -100 * slope));
  f.evidence.push_back(fmt::format("the rate is {}; {}", rate_text(s.peak_rate), beside_usual(s.facts)));
  f.advice = "Raise the rate.";
  f.flags = rate_flags(s.facts, usual_rate(s.facts));
  return f;
}

}  // namespace

std::optional<Finding> not_learning_or_rate_too_low(Seen const& s) {
  if (s.step < judged_from(s) || s.blocks.size() < 5) return {};
  double const now = come_to(s), frequencies = frequency_loss(s);
  double const removed = (s.uniform - now) / s.uniform;
  bool const was_low = was(s, State::rate_too_low), was_nothing = was(s, State::not_learning);
  double const usual_by_now = was_low ? kUsualLater + kToLeave : usual_share(s);
  bool const knows_order = now < (was_nothing ? kSurelyOrder : kOrder) * frequencies;
  double const usual = usual_rate(s.facts);
  if (knows_order && (std::isnan(usual) || removed >= usual_by_now)) return {};
  size_t const from = s.blocks.size() / 2;
  std::vector<std::pair<double, double>> points;
  for (StepReport const& r : s.history.steps)
    if (r.step >= s.blocks[from].first && r.accepted && std::isfinite(r.loss))
      points.emplace_back(double(r.step), r.loss);
  Trend const trend = trend_of(points);
  double const span = points.back().first - points.front().first;
  bool const low_rate = s.peak_rate < kLowRate * usual;
  bool const in_time = double(s.step) < kLate * double(s.steps) || low_rate ||
                       now + trend.slope * double(s.steps - s.step) < kOrder * frequencies;
  bool const flat = hardly_falls(s, trend, now, points.front().first, frequencies);
  bool const falls =
      low_rate || std::isnan(usual) ? in_time && (falls_surely(trend, now, span) || evaluations_fall(s, now)) : !flat;
  bool const near = knows_frequencies(now, frequencies);
  if (!knows_order && (!was_low || near) &&
      (was_nothing || (!falls && (flat || !low_rate) && double(s.step) >= certain_from(s))))
    return nothing_learnt(s, now, frequencies);
  bool const too_little = removed < usual_by_now && s.first_loss <= 1.1 * s.uniform;
  if (!low_rate || !too_little || (!was_low && (!falls || (near && !knows_order))) || height_of_lost(s)) return {};
  return too_low(s, removed, trend.slope);
}

// ---- no way on ----

namespace {

constexpr int64_t kShortestStretch = 60;
constexpr double kStretch = 0.15;    // of a run that a plateau is seen over
constexpr int64_t kFlatPoints = 4;   // that its line goes through at least
constexpr double kFlat = 0.004;      // of the loss: flat is a fall of no more than that, or a rise of twice as much
constexpr double kSureFlat = 0.012;  // nor is the fall more than that when it is two standard errors steeper
constexpr double kLeave = 3;         // times as much, and surely, to be called flat no longer
constexpr int64_t kLarger = 4;       // times as wide: sixteen times the matrices
constexpr double kHighStill = 0.5;   // of the peak rate: a rate that falls away ends every run flat

}  // namespace

std::optional<Finding> plateau(Seen const& s) {
  ScheduleOptions const& schedule = s.facts.options.schedule;
  int64_t const cycle = schedule.schedule == "restarts" ? schedule.restart_every : 0;
  int64_t const stretch = std::max({kShortestStretch, int64_t(kStretch * double(s.steps)), cycle});
  // One source for the whole run, and evaluations up to the last one: between two of them nothing new is known.
  bool const by_evaluations = stretch >= (kFlatPoints - 1) * s.facts.options.eval_every && !s.history.evals.empty();
  int64_t const from = (by_evaluations ? s.history.evals.back().step : s.step) - stretch;
  if (from < stretch / 2 || from < s.facts.options.schedule.warmup) return {};
  std::vector<std::pair<double, double>> points;
  if (by_evaluations) {
    for (EvalReport const& e : s.history.evals)
      if (e.step >= from && std::isfinite(e.train)) points.emplace_back(double(e.step), e.train);
  } else {
    for (Block const& b : s.blocks)
      if (b.first >= from) points.emplace_back(middle(b), b.loss);
  }
  if (points.size() < size_t(kFlatPoints)) return {};
  double rate = 0, rates = 0, loss = 0;
  for (Block const& b : s.blocks)
    if (b.first >= from) rate += b.rate, rates += 1;
  for (auto const& [step, value] : points) loss += value / double(points.size());
  if (loss >= kOrder * frequency_loss(s) && s.step < certain_from(s)) return {};
  Trend const trend = trend_of(points);
  double const change = trend.slope * double(stretch) / loss, error = trend.error * double(stretch) / loss;
  if (rates == 0 || rate / rates < kHighStill * s.peak_rate || loss < 0.1 * s.uniform) return {};
  bool const stays = was(s, State::plateau);
  if (stays ? change + 2 * error < -kLeave * kFlat || change - 2 * error > 2 * kLeave * kFlat
            : change < -kFlat || change > 2 * kFlat || change - 2 * error < -kSureFlat)
    return {};
  Finding f{.state = State::plateau, .since = stays ? s.history.findings.back().since : from};
  f.evidence.push_back(fmt::format("train loss {} at {}, changed by {} in the last {} steps", loss_text(loss), s.step,
                                   share_text(std::abs(change)), stretch));
  f.evidence.push_back(fmt::format("the rate is {}, its highest was {}", rate_text(s.history.steps.back().rate),
                                   rate_text(s.peak_rate)));
  model::Config const& c = s.facts.config;
  double const usual = usual_rate(s.facts);
  bool const constant = schedule.schedule == "constant";
  if (height_of_lost(s) || (std::isnan(usual) ? constant : s.peak_rate > usual / 2)) {
    f.advice = constant ? "A constant rate keeps the weights from settling: let it fall."
                        : "A rate that stays this high keeps the weights from settling: lower it.";
    f.flags = falling_rate_flags(s.facts, at_most_usual(s.facts, s.peak_rate / 3));
  } else if (s.facts.from_model) {
    f.advice = "At this rate the model takes no more from the text: try a higher one, that falls.";
    f.flags = falling_rate_flags(s.facts, at_most_usual(s.facts, 5 * s.peak_rate));
  } else {
    f.advice = "The model has learnt what it can hold: a larger one goes on, at a rate that falls.";
    double const rate = std::isnan(usual) ? s.peak_rate : std::min(s.peak_rate, usual / kLarger);
    f.flags =
        fmt::format("--layers {} --embd {} {}", c.layers + 2, kLarger * c.channels, falling_rate_flags(s.facts, rate));
  }
  return f;
}

}  // namespace folio::train::rules

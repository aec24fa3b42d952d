#include "train/rate_search.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/progress.h"
#include "data/batcher.h"

namespace folio::train {
namespace {

constexpr double kWidth = 0.1;       // deviation of the smoothing kernel, decades
constexpr double kFarAbove = 1.5;    // times the first loss: the curve ends
constexpr double kLeastFall = 0.02;  // share of the first loss that the curve must fall by
constexpr double kRisen = 0.05;      // share of that fall above the lowest at which it has turned
constexpr double kBelow = 4.5;       // the rate named lies so many times below that place, nor above the lowest loss

bool by_loss(RatePoint a, RatePoint b) { return a.loss < b.loss; }
double decade(double rate) { return std::log10(rate); }

// Mean of what the seeds have near each rate of the search, by a Gaussian in the logarithm of the rate. Ends where the
// first curve ends.
std::vector<RatePoint> smoothed(RateSearch const& o, std::vector<std::vector<RatePoint>> const& curves) {
  size_t shortest = SIZE_MAX;
  for (auto const& curve : curves) shortest = std::min(shortest, curve.size());
  std::vector<RatePoint> out;
  for (size_t i = 0; i < shortest; ++i) {
    double const at = rate_of(o, int64_t(i));
    double sum = 0, weights = 0;
    for (auto const& curve : curves)
      for (size_t k = 0; k < shortest; ++k) {
        double const distance = (decade(curve[k].rate) - decade(at)) / kWidth;
        if (std::abs(distance) > 4) continue;
        double const w = std::exp(-0.5 * distance * distance);
        sum += w * curve[k].loss, weights += w;
      }
    out.push_back({at, sum / weights});
  }
  return out;
}

}  // namespace

Fields fields(RateSearch& o) {
  char const* const group = "Search";
  return {{"from-rate", &o.low, "rate of the first step", {.min = 0, .above_min = true}, group},
          {"to-rate", &o.high, "rate of the last step", {.min = 0, .above_min = true}, group},
          {"search-steps", &o.steps, "steps of each search", {.min = 20, .max = 100000}, group},
          {"search-seeds", &o.seeds, "searches, each with other weights and batches", {.min = 1, .max = 100}, group}};
}

void validate(RateSearch const& o) {
  check(o.low * 10 <= o.high, Fault::value,
        "--from-rate {} and --to-rate {}: the search rises through at least a factor of ten", o.low, o.high);
}

double rate_of(RateSearch const& o, int64_t step) {
  return o.low * std::pow(o.high / o.low, double(step) / double(o.steps - 1));
}

std::vector<RatePoint> rate_curve(RateTrial const& trial, RateSearch const& search, uint64_t seed,
                                  std::function<bool(int64_t)> const& stop) {
  RunOptions run = trial.run;
  TrainerOptions options = trial.options;
  run.seed = options.seed = seed;
  Trainer trainer(trial.backend, options);
  if (trial.fill) trial.fill(trainer);
  data::Batcher batcher(trial.split, batcher_options(run, options.length));
  data::HostBatch batch;
  std::vector<RatePoint> curve;
  double scale = trainer.state().loss_scale;
  for (int64_t i = 0; i < search.steps && !stop(i); ++i) {
    batcher.next(batch);
    trainer.step(batch, rate_of(search, i));
    StepState const s = trainer.state();
    bool const overflowed = s.loss_scale < scale;  // the scaler's way: the step is skipped, its loss holds
    scale = s.loss_scale;
    if ((!s.accept && !overflowed) || !std::isfinite(s.loss) || (!curve.empty() && s.loss > kFarAbove * curve[0].loss))
      break;
    curve.push_back({rate_of(search, i), s.loss});
  }
  return curve;
}

FoundRate find_rate(RateSearch const& o, std::vector<std::vector<RatePoint>> const& curves) {
  FoundRate f;
  f.curve = smoothed(o, curves);
  check(f.curve.size() >= 10, Fault::failed,
        "the loss left all bounds after {} steps, at a rate of {}: give a lower --from-rate", f.curve.size(),
        format_rate(rate_of(o, int64_t(f.curve.size()))));
  auto const begin = f.curve.begin(), end = f.curve.end(), lowest = std::min_element(begin, end, by_loss);
  double const fall = begin->loss - lowest->loss, high = lowest->loss + kRisen * fall;
  check(fall > kLeastFall * begin->loss, Fault::failed,
        "the loss fell nowhere between the rates {} and {}: no rate can be named; look at the data, or search between "
        "other rates",
        format_rate(o.low), format_rate(f.curve.back().rate));
  auto const risen = std::find_if(lowest, end, [&](RatePoint p) { return p.loss > high; });
  f.lowest = lowest->rate, f.risen = (risen == end ? end - 1 : risen)->rate;
  f.turned = risen != end || f.curve.size() < size_t(o.steps);
  bool const wide = f.lowest < f.risen / kBelow;
  f.rate = std::strtod(fmt::format("{:.1e}", wide ? f.lowest : f.risen / kBelow).c_str(), nullptr);
  f.why = wide ? fmt::format(
                     "the loss is lowest at a rate of {} and rises slowly, until {}; above its lowest no rate is "
                     "named",
                     format_rate(f.lowest), format_rate(f.risen))
          : f.turned ? fmt::format(
                           "the loss is lowest at a rate of {} and has clearly risen at {}; {} lies {} times below "
                           "that",
                           format_rate(f.lowest), format_rate(f.risen), format_rate(f.rate), kBelow)
                     : fmt::format(
                           "the loss had not clearly risen at {}, the highest rate; {} lies {} times below it: "
                           "search on with --to-rate",
                           format_rate(f.risen), format_rate(f.rate), kBelow);
  return f;
}

}  // namespace folio::train

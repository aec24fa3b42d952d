// Learning rate, gradient norm, clipped steps; throughput and memory.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/table.h"
#include "train/run_report_parts.h"

namespace folio::train {
namespace {

using report::Axis;
using report::Figure;

constexpr double kUsualLow = 0.1, kUsualHigh = 2;  // of a gradient norm: a rule of thumb

double mean_of(std::vector<StepReport> const& steps, double StepReport::*value, int64_t after, int64_t by) {
  double sum = 0, n = 0;
  for (auto at = std::ranges::upper_bound(steps, after, {}, &StepReport::step); at != steps.end() && at->step <= by;
       ++at)
    if (std::isfinite((*at).*value)) sum += (*at).*value, n += 1;
  return n > 0 ? sum / n : NAN;
}
double around(Drawn const& d, double StepReport::*value, int64_t step) {  // so that one step does not stand for many
  int64_t const reach = std::max<int64_t>(1, d.numbers.last_step / 100);
  return mean_of(d.history.steps, value, step - reach - 1, step + reach);
}

double clip_of(Drawn const& d) { return d.run.configured ? d.run.options.clip : 0; }

std::vector<std::vector<Point>> series_of(Drawing const& all, double StepReport::*value) {
  std::vector<std::vector<Point>> out;
  for (Drawn const& d : all.runs) out.push_back(points_of(d.history.steps, value));
  return out;
}

std::string rate_chart(Drawing const& all) {
  auto const series = series_of(all, &StepReport::rate);
  double lowest = INFINITY, highest = 0;  // of the runs' peaks
  for (auto const& s : series)
    if (!s.empty()) {
      double const peak = std::ranges::max(s, {}, &Point::y).y;
      lowest = std::min(lowest, peak), highest = std::max(highest, peak);
    }
  constexpr double kFarApart = 30;  // beyond, a linear axis would draw the lower ones as one line at 0
  auto const y = axis_of(series, highest > kFarApart * lowest);
  if (!y) return "";
  int64_t warmup = -1;
  bool same = true;
  for (Drawn const& d : all.runs) {
    if (!d.run.configured || (warmup >= 0 && warmup != d.run.options.schedule.warmup)) same = false;
    if (d.run.configured) warmup = d.run.options.schedule.warmup;
  }
  Figure figure = step_figure(all,
                              {.id = "rate",
                               .head = "Learning rate",
                               .unit = same && warmup > 0 ? fmt::format("warm-up {} steps", step_text(warmup)) : "",
                               .description = "The learning rate of each step.",
                               .height = 150,
                               .y = "rate"},
                              *y, 3);
  for (size_t i = 0; i < all.runs.size(); ++i) {
    Drawn const& d = all.runs[i];
    add_series(all, d, figure, series[i], "rate", "", false);
    if (!series[i].empty())
      figure.plot.end_label(d.key, series[i].back().y,
                            d.letter + (d.run.configured ? " " + d.run.options.schedule.schedule : ""));
  }
  figure.table = numbers_table(all, {"rate"}, [](Drawn const& d, int64_t, int64_t step) {
    auto const at = std::ranges::lower_bound(d.history.steps, step, {}, &StepReport::step);
    return std::vector{report::rate_text(at == d.history.steps.end() ? NAN : at->rate)};
  });
  return figure.markup();
}

std::string norm_chart(Drawing const& all) {
  auto const series = series_of(all, &StepReport::norm);
  std::vector<std::vector<Point>> shown;
  for (auto const& s : series) {
    auto const columns = columns_of(s, all.columns);
    shown.push_back(columns.mean);
    for (report::Plot::Span const span : columns.range)
      shown.back().push_back({span.x, span.low}), shown.back().push_back({span.x, span.high});
  }
  auto y = axis_of(shown, true);
  if (!y) return "";
  y->low = std::min(y->low, 0.08), y->high = std::min(std::max(y->high, 2.4), 1e3);
  Figure figure = step_figure(all,
                              {.id = "norm",
                               .head = "Gradient norm",
                               .unit = "before clipping, log scale; line: mean, shade: smallest to largest",
                               .description = "The norm of all gradients together, of each step.",
                               .height = 220,
                               .y = "short"},
                              *y, 6);
  figure.plot.usual(kUsualLow, kUsualHigh);
  std::vector<double> clips;
  for (size_t i = 0; i < all.runs.size(); ++i) {
    Drawn const& d = all.runs[i];
    add_series(all, d, figure, series[i], "norm", "", d.hued);
    auto const ends = columns_of(series[i], all.columns).mean;
    for (size_t k = ends.size(); k-- > 0;)
      if (std::isfinite(ends[k].y)) {
        figure.plot.end_label(d.key, ends[k].y, d.letter + " " + report::short_text(ends[k].y));
        break;
      }
    if (double const clip = clip_of(d); clip > 0 && std::ranges::find(clips, clip) == clips.end())
      clips.push_back(clip);
  }
  // Beside their lines they would lie over the curves, whose norm is often near the clip.
  std::string at_clips;
  for (double const clip : clips)
    if (double const at = y->at(clip); at > 0 && at < 1) {
      figure.plot.reference(clip);
      at_clips += (at_clips.empty() ? "dashed: clipped above " : " and ") + report::short_text(clip);
    }
  double const floor = 1 - std::max(0.0, y->at(kUsualLow));
  figure.plot.say({0.02, floor, 0, -7}, "shaded: usual, 0.1–2.0 (a rule of thumb)");
  if (!at_clips.empty()) figure.plot.say({0.02, floor, 0, -21}, at_clips);
  figure.table = numbers_table(all, {"norm", "clipped"}, [](Drawn const& d, int64_t before, int64_t step) {
    return std::vector{report::short_text(around(d, &StepReport::norm, step)),
                       report::share_text(clipped_share(d.history.steps, clip_of(d), before, step))};
  });
  return figure.markup();
}

std::string clip_strip(Drawing const& all) {
  constexpr int kBars = 100, kRow = 18;
  std::string out, said;
  int row = 0;
  double const width = std::max(1.0, all.last_step / kBars);
  for (Drawn const* d : all.hued()) {
    double const clip = clip_of(*d);
    if (clip <= 0 || d->history.steps.empty()) continue;
    std::string bars;
    for (int i = 0; i < kBars; ++i) {
      double const share = clipped_share(d->history.steps, clip, int64_t(i * width), int64_t((i + 1) * width));
      if (int const h = int(std::lround(100 * share)); h > 0) bars += fmt::format("M{} 100v-{}h20v{}z", 20 * i, h, h);
    }
    std::string const share = report::share_text(clipped_share(d->history.steps, clip, 0, d->numbers.last_step));
    out += fmt::format(
        "<text class=\"e\" dx=\"-8\" y=\"{}\">{}</text><svg class=\"{}\" viewBox=\"0 0 2000 100\" "
        "preserveAspectRatio=\"none\" y=\"{}\" width=\"100%\" height=\"15\"><rect class=\"usual\" width=\"2000\" "
        "height=\"100\"/><path class=\"share\" d=\"{}\"/></svg><text class=\"key {}\" x=\"100%\" dx=\"8\" "
        "y=\"{}\">{}</text>",
        row * kRow + 12, d->letter, d->key, row * kRow, bars, d->key, row * kRow + 12, share);
    said += fmt::format("{}: {} of all steps. ", d->letter, share);
    ++row;
  }
  if (row == 0) return "";
  return report::markup_of(
      report::Still{.id = "clipped",
                    .head = "Clipped steps",
                    .unit = fmt::format("share of each {}; a full bar: all of them",
                                        width < 1.5 ? "step" : step_text(std::llround(width)) + " steps"),
                    .description = said,
                    .content = out,
                    .height = row * kRow - 2});
}

// Of runs in f16.
std::string loss_scale_chart(Drawing const& all) {
  auto series = series_of(all, &StepReport::loss_scale);
  for (auto& points : series) std::erase_if(points, [](Point p) { return !(p.y > 0); });
  auto const y = axis_of(series, true);
  if (!y) return "";
  Figure figure = step_figure(all,
                              {.id = "loss-scale",
                               .head = "Loss scale",
                               .unit = "of f16, log scale; halved where gradients overflow",
                               .description = "What the gradients of each step were multiplied by.",
                               .height = 120,
                               .y = "count"},
                              *y, 3);
  for (size_t i = 0; i < all.runs.size(); ++i) {
    Drawn const& d = all.runs[i];
    if (series[i].empty()) continue;
    add_series(all, d, figure, series[i], "loss scale", "", false);
    figure.plot.end_label(d.key, series[i].back().y, d.letter + " " + report::count_text(series[i].back().y));
  }
  figure.table = numbers_table(all, {"loss scale"}, [](Drawn const& d, int64_t, int64_t step) {
    auto const at = std::ranges::lower_bound(d.history.steps, step, {}, &StepReport::step);
    bool const known = at != d.history.steps.end() && at->loss_scale > 0;
    return std::vector{known ? report::count_text(at->loss_scale) : std::string("–")};
  });
  return figure.markup();
}

struct Course {  // of a norm: after the beginning, and at the end
  double early, late, clipped_late;
};
Course course_of(Drawn const& d) {
  int64_t const n = d.numbers.last_step;
  return {mean_of(d.history.steps, &StepReport::norm, n / 10, n / 5),
          mean_of(d.history.steps, &StepReport::norm, n - n / 10 - 1, n),
          clipped_share(d.history.steps, clip_of(d), n - n / 10 - 1, n)};
}

std::string steering_title(Drawing const& all) {
  Drawn const* grown = nullptr;
  Course most{1, 1, 0};
  bool usual = true, known = false;
  for (Drawn const& d : all.runs) {
    Course const c = course_of(d);
    if (!std::isfinite(c.late)) continue;
    known = true;
    usual = usual && c.late >= kUsualLow && c.late <= kUsualHigh;
    if (d.numbers.last_step >= 50 && c.late / c.early > 1.5 && (!grown || c.late / c.early > most.late / most.early))
      grown = &d, most = c;
  }
  if (!known) return "Learning rate and gradient norm";
  if (grown)
    return fmt::format("The gradient of {} grows, from {} to {}", subject(all, *grown), report::short_text(most.early),
                       report::short_text(most.late));
  if (!all.several()) return "The gradient norm settles at " + report::short_text(course_of(all.runs[0]).late);
  return usual ? "The gradients stay in the usual band" : "Not every gradient norm ends in the usual band";
}

std::vector<std::string> steering_says(Drawing const& all) {
  std::vector<std::string> says;
  for (Drawn const* d : all.hued()) {
    Course const c = course_of(*d);
    if (clip_of(*d) <= 0 || !std::isfinite(c.late) || says.size() == 3) continue;
    double const whole = clipped_share(d->history.steps, clip_of(*d), 0, d->numbers.last_step);
    says.push_back(fmt::format("{} was clipped in {} of its steps, and in {} of the last tenth.",
                               subject(all, *d, true), report::share_text(whole), report::share_text(c.clipped_late)));
  }
  for (Drawn const& d : all.runs) {
    if (d.numbers.overflowed > 0)
      says.push_back(fmt::format("{}: {} {} skipped for overflow, and the loss scale halved.", subject(all, d, true),
                                 step_text(d.numbers.overflowed), d.numbers.overflowed == 1 ? "step" : "steps"));
    if (d.numbers.refused > 0)
      says.push_back(fmt::format("{} refused {} {} whose loss or norm was not finite.", subject(all, d, true),
                                 step_text(d.numbers.refused), d.numbers.refused == 1 ? "step" : "steps"));
    if (auto const& spikes = d.history.spikes; !spikes.empty()) {
      Spike const& most = *std::ranges::max_element(spikes, {}, &Spike::score);
      says.push_back(
          fmt::format("{} had {} {}; the largest, at step {}, stood {} deviations above the steps before it "
                      "and was {}.",
                      subject(all, d, true), step_text(int64_t(spikes.size())), spikes.size() == 1 ? "spike" : "spikes",
                      step_text(most.step), step_text(std::llround(most.score)), most.accepted ? "taken" : "refused"));
    }
    if (auto const& back = d.history.rollbacks; !back.empty()) {
      int64_t batches = 0;
      for (Rollback const& r : back) batches += r.skipped;
      says.push_back(fmt::format("{} went back to a checkpoint {}, and passed over {} {}.", subject(all, d, true),
                                 back.size() == 1 ? "once" : step_text(int64_t(back.size())) + " times",
                                 step_text(batches), batches == 1 ? "batch" : "batches"));
    }
  }
  return says;
}

std::string speed_chart(Drawing const& all) {
  auto const series = series_of(all, &StepReport::tokens_per_second);
  auto const y = axis_of(series, false);
  if (!y) return "";
  Figure figure = step_figure(all,
                              {.id = "speed-chart",
                               .head = "Throughput",
                               .unit = "tokens a second; label: median",
                               .description = "Tokens a second of each step.",
                               .height = 150,
                               .y = "count"},
                              *y, 3);
  for (size_t i = 0; i < all.runs.size(); ++i) {
    Drawn const& d = all.runs[i];
    add_series(all, d, figure, series[i], "tok/s", "", d.hued);
    if (std::isfinite(d.numbers.median_speed))
      figure.plot.end_label(d.key, d.numbers.median_speed, d.letter + " " + report::count_text(d.numbers.median_speed));
  }
  figure.table = numbers_table(all, {"tok/s"}, [](Drawn const& d, int64_t, int64_t step) {
    double const v = around(d, &StepReport::tokens_per_second, step);
    return std::vector{std::isfinite(v) ? step_text(std::llround(v)) : std::string("–")};
  });
  return figure.markup();
}

std::string memory_bars(Drawing const& all) {
  constexpr int kRow = 26;
  double most = 0;
  for (Drawn const& d : all.runs) most = std::fmax(most, d.numbers.peak_memory);
  if (most <= 0) return "";
  std::string out, said;
  int row = 0;
  for (Drawn const& d : all.runs) {
    double const bytes = d.numbers.peak_memory;
    if (!(bytes > 0)) continue;
    std::string const text = report::bytes_text(bytes);
    out += fmt::format(
        "<text class=\"e\" dx=\"-8\" y=\"{}\">{}</text><rect class=\"q3\" style=\"fill:var(--q3)\" width=\"{:.2f}%\" "
        "y=\"{}\" "
        "height=\"20\"/><text class=\"key {}\" x=\"{:.2f}%\" dx=\"8\" y=\"{}\">{}</text>",
        row * kRow + 14, d.letter, 100 * (bytes / most), row * kRow, d.key, 100 * (bytes / most), row * kRow + 14,
        text);
    said += fmt::format("{}: {}. ", d.letter, text);
    ++row;
  }
  return report::markup_of(report::Still{.id = "memory",
                                         .head = "Memory at the peak",
                                         .unit = "of the process",
                                         .description = said,
                                         .content = out,
                                         .height = row * kRow - 4});
}

// The speed below which a tenth of the steps were.
double slow_tenth(Drawn const& d) {
  std::vector<double> v;
  for (StepReport const& r : d.history.steps)
    if (std::isfinite(r.tokens_per_second)) v.push_back(r.tokens_per_second);
  if (v.empty()) return NAN;
  auto const at = v.begin() + std::ptrdiff_t(v.size() / 10);
  std::ranges::nth_element(v, at);
  return *at;
}

std::string speed_title(Drawing const& all) {
  Drawn const* shaken = nullptr;
  for (Drawn const& d : all.runs)
    if (d.history.steps.size() >= 100 && slow_tenth(d) < 0.7 * d.numbers.median_speed) shaken = &d;
  if (shaken)
    return fmt::format("A tenth of {}’s steps ran below {} tokens a second", subject(all, *shaken),
                       report::count_text(slow_tenth(*shaken)));
  if (!all.several())
    return fmt::format("{} tokens a second, steadily", report::count_text(all.runs[0].numbers.median_speed));
  return "Speed is steady";
}

}  // namespace

std::optional<report::Section> steering_section(Drawing const& all) {
  std::string const show = rate_chart(all) + norm_chart(all) + clip_strip(all) + loss_scale_chart(all);
  if (show.empty()) return {};
  return report::Section{.id = "steering",
                         .link = "Rate and norm",
                         .title = steering_title(all),
                         .says = steering_says(all),
                         .how = "The usual band is a rule of thumb, not a limit.",
                         .show = show};
}

std::optional<report::Section> speed_section(Drawing const& all) {
  std::string const show = speed_chart(all) + memory_bars(all);
  if (show.empty()) return {};
  return report::Section{.id = "speed", .link = "Speed", .title = speed_title(all), .show = show};
}

}  // namespace folio::train

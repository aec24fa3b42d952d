// The loss by step, tokens and time, with phases and states below it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/ribbon.h"
#include "report/table.h"
#include "train/run_report_parts.h"

namespace folio::train {
namespace {

using report::Axis;
using report::Figure;

constexpr double kMostRise = 4;  // above the first loss, what is still on the scale
constexpr size_t kFewRuns = 4;   // whose lines can be labelled where they end
constexpr size_t kMostDots = 60, kMostEvals = 500;

double EvalReport::*judged(Drawn const& d) { return d.numbers.judged_by_val ? &EvalReport::val : &EvalReport::train; }
char const* word_of(Drawn const& d) { return d.numbers.judged_by_val ? "val" : "train, evaluated"; }

struct Curves {  // of one run by one x
  std::vector<Point> val, train;
};

// `x_of_step`, `x_of_eval`: NaN where a place is not known.
template <class OfStep, class OfEval>
Curves curves_of(Drawn const& d, OfStep const& x_of_step, OfEval const& x_of_eval) {
  Curves c;
  for (EvalReport const& e : d.history.evals)
    if (double const x = x_of_eval(e); std::isfinite(x)) c.val.push_back({x, e.*judged(d)});
  for (StepReport const& r : d.history.steps)
    if (double const x = x_of_step(r); std::isfinite(x)) c.train.push_back({x, r.loss});
  return c;
}

double log_vocab(Drawing const& all) {  // NaN where the runs differ in it
  double v = NAN;
  for (Drawn const& d : all.runs) {
    if (!d.run.configured || d.run.config.vocab < 2) return NAN;
    double const mine = std::log(double(d.run.config.vocab));
    if (!std::isnan(v) && v != mine) return NAN;
    v = mine;
  }
  return v;
}

// Around what columns show; a loss that runs away stays off the scale.
std::optional<Axis> loss_axis(Drawing const& all, std::vector<Curves> const& curves) {
  std::vector<std::vector<Point>> shown;
  double usual = 0;
  for (size_t i = 0; i < curves.size(); ++i) {
    shown.push_back(columns_of(curves[i].train, all.columns).mean);
    shown.push_back(curves[i].val);
    for (auto const* points : {&curves[i].train, &curves[i].val})
      if (!points->empty() && std::isfinite(points->front().y)) usual = std::max(usual, points->front().y);
  }
  if (usual > 0)
    for (auto& points : shown)
      for (Point& p : points) p.y = std::min(p.y, kMostRise * usual);
  return axis_of(shown, true);
}

void draw(Drawing const& all, Figure& figure, std::vector<Curves> const& curves, bool large) {
  for (size_t i = 0; i < curves.size(); ++i) {
    Drawn const& d = all.runs[i];
    size_t const most = large ? all.columns : all.columns / 2;
    report::Columns const columns = columns_of(curves[i].train, most);
    if (large && d.hued) figure.plot.band(d.key, columns.range);
    if (d.hued || all.runs.size() <= 8) figure.plot.line("train " + d.key, columns.mean);
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    Drawn const& d = all.runs[i];
    auto const val = columns_of(curves[i].val, kMostEvals).mean;
    figure.plot.line("val " + d.key, val);
    if (large && val.size() <= kMostDots) figure.plot.dots("val " + d.key, val);
    figure.read_out(d.key, d.letter, word_of(d), val);
    if (d.hued) figure.read_out(d.key, d.letter, "train", columns_of(curves[i].train, all.columns).mean);
  }
}

// The last point with a value.
std::optional<Point> end_of(std::vector<Point> const& points) {
  for (size_t i = points.size(); i-- > 0;)
    if (std::isfinite(points[i].y)) return points[i];
  return {};
}

// A line that ends at the edge is labelled right of it; one that ends before, behind its end if `inside`.
void label_end(Figure& figure, Drawn const& d, std::vector<Point> const& points, std::string const& words, bool value,
               bool inside, int dy = 4) {
  auto const end = end_of(points);
  if (!end) return;
  std::string const text = d.letter + " " + words +
                           (!value         ? ""
                            : end->y < 1e4 ? fmt::format(" {:.2f}", end->y)
                                           : " " + report::loss_text(end->y));
  double const at = figure.plot.x().at(end->x);
  if (at > 0.97 || !inside) return figure.plot.end_label(d.key, end->y, text);
  double const up = std::clamp(figure.plot.y().at(end->y), 0.0, 1.0);
  figure.plot.say({at, 1 - up, 7, dy}, text, "key on-line " + d.key);
}

// Where the label of a training loss stands, so that it does not touch that of val: in px below its line's end.
int beside(Figure const& figure, Curves const& c) {
  constexpr double kHeight = 250, kApart = 16;  // the lowest plot; lines of text
  auto const val = end_of(c.val), train = end_of(c.train);
  if (!val || !train) return 4;
  double const below = kHeight * (figure.plot.y().at(val->y) - figure.plot.y().at(train->y));
  if (std::abs(below) >= kApart) return 4;
  return 4 + int(below >= 0 ? std::ceil(kApart - below) : -std::ceil(kApart + below));
}

void mark_breaks(Drawing const& all, Figure& figure, int most) {  // at most so many in words
  int said = 0;
  for (Drawn const& d : all.runs) {
    if (d.numbers.broken_step < 0) continue;
    double const at = figure.plot.x().at(double(d.numbers.broken_step));
    figure.plot.cross(d.key, double(d.numbers.broken_step));
    if (said == most) continue;
    bool const left = at > 0.7;
    figure.plot.say({at, 0, left ? -9 : 9, 15 + 15 * said++},
                    fmt::format("{} not finite at {}", d.letter, step_text(d.numbers.broken_step)),
                    left ? "say e" : "say");
  }
}

// Where runs went back to a checkpoint; the curve is the path that was taken.
void mark_rollbacks(Drawing const& all, Figure& figure) {
  report::HtmlTable table{.heads = {"from step", "back to", "for", "batches passed over"}, .classes = "dense"};
  if (all.several()) table.heads.insert(table.heads.begin(), "run");
  for (Drawn const& d : all.runs)
    for (Rollback const& r : d.history.rollbacks) {
      figure.plot.notch(d.key, double(r.to));
      table.rows.push_back(
          {step_text(r.step), step_text(r.to), r.why == "spike" ? "a spike" : "not finite", step_text(r.skipped)});
      if (all.several()) table.rows.back().insert(table.rows.back().begin(), d.letter);
    }
  if (!table.rows.empty()) figure.table += report::details("Where it went back", report::markup_of(table));
}

bool went_back(Drawing const& all) {
  return std::ranges::any_of(all.runs, [](Drawn const& d) { return !d.history.rollbacks.empty(); });
}

Drawn const* first_overfitting(Drawing const& all) {
  for (Drawn const& d : all.runs)
    if (Finding const* f = main_finding(d); f && f->state == State::overfitting) return &d;
  return nullptr;
}

// Places of curves behind a label's text: its baseline lies `dy` px below `from`, and it goes to the right or the left.
size_t crowded(Drawing const& all, Figure const& figure, std::vector<Curves> const& curves, Point from, bool left,
               int dy) {
  constexpr double kHeight = 380, kWide = 0.12, kUp = 12, kDown = 5;  // px of the plot; of its width; px of the text
  double const at = figure.plot.x().at(from.x), begin = left ? at - kWide : at, end = left ? at : at + kWide;
  double const baseline = kHeight * (1 - figure.plot.y().at(from.y)) + dy;
  size_t n = 0;
  for (Curves const& c : curves)
    for (auto const& points : {columns_of(c.val, kMostEvals).mean, columns_of(c.train, all.columns).mean})
      for (Point const p : points) {
        double const x = figure.plot.x().at(p.x), y = kHeight * (1 - figure.plot.y().at(p.y));
        n += x >= begin && x <= end && y > baseline - kUp && y < baseline + kDown;
      }
  return n;
}

void mark_best(Drawing const& all, Figure& figure, std::vector<Curves> const& curves) {
  constexpr int kAbove = -16, kBelow = 24;  // px
  for (Drawn const& d : all.runs) {
    if (all.runs.size() > kFewRuns || !std::isfinite(d.numbers.best)) continue;
    Point const best{double(d.numbers.best_step), d.numbers.best};
    figure.plot.ring(d.key, best);
    if (d.history.evals.empty() || d.history.evals.back().step == d.numbers.best_step) continue;
    double const at = figure.plot.x().at(best.x);
    bool const left = at > 0.85;
    bool const above =
        crowded(all, figure, curves, best, left, kAbove) <= crowded(all, figure, curves, best, left, kBelow);
    figure.plot.say({at, 1 - figure.plot.y().at(best.y), left ? -6 : 6, above ? kAbove : kBelow},
                    "best " + report::loss_text(best.y), left ? "say e" : "say");
  }
}

std::string table_of(Drawing const& all) {
  std::vector<int64_t> steps;
  for (Drawn const* d : all.hued())
    for (EvalReport const& e : d->history.evals) steps.push_back(e.step);
  std::ranges::sort(steps);
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  constexpr size_t kMost = 60;
  report::HtmlTable table{.heads = {"step"}, .classes = "dense"};
  for (Drawn const* d : all.hued()) {
    std::string const letter = all.several() ? d->letter + " " : "";
    for (char const* head : {"train", "val", "gap"}) table.heads.push_back(letter + head);
    if (all.hued().size() > 1) table.wide.push_back(table.heads.size() - 1);
    if (all.hued().size() > 2) table.wide.push_back(table.heads.size() - 3);
  }
  size_t const every = steps.size() / kMost + 1;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (i % every && i + 1 != steps.size()) continue;
    std::vector<std::string> cells = {step_text(steps[i])};
    for (Drawn const* d : all.hued()) {
      auto const& evals = d->history.evals;
      auto const at = std::ranges::lower_bound(evals, steps[i], {}, &EvalReport::step);
      bool const there = at != evals.end() && at->step == steps[i];
      for (double const v : {there ? at->train : NAN, there ? at->val : NAN, there ? at->val - at->train : NAN})
        cells.push_back(report::loss_text(v));
    }
    table.rows.push_back(std::move(cells));
  }
  return report::details(every > 1 ? "The numbers at some of the evaluations" : "The numbers at each evaluation",
                         report::markup_of(table));
}

std::string main_chart(Drawing const& all) {
  std::vector<Curves> curves;
  for (Drawn const& d : all.runs)
    curves.push_back(curves_of(
        d, [](StepReport const& r) { return double(r.step); }, [](EvalReport const& e) { return double(e.step); }));
  auto y = loss_axis(all, curves);
  if (!y) return "";
  double const guess = log_vocab(all);
  if (guess > y->high && guess < 1.3 * y->high) y->high = 1.02 * guess;
  std::string said;
  for (Drawn const& d : all.runs)
    if (said.size() < 300)
      said += fmt::format("{} ends at train {}, val {}. ", d.letter, report::loss_text(d.numbers.final_train),
                          report::loss_text(d.numbers.judged_by_val ? d.numbers.final : NAN));
  Figure figure =
      step_figure(all,
                  {.id = "loss",
                   .head = "Loss",
                   .unit = fmt::format("nats a token, log scale; thick: {}, thin: train, shade: its batches{}",
                                       judged_words(all), went_back(all) ? "; triangles: gone back to this step" : ""),
                   .description = title_of_losses(all) + ". " + said,
                   .height = 380},
                  *y, 7);
  draw(all, figure, curves, true);
  if (guess <= y->high) {
    figure.plot.reference(guess);
    bool const right = std::ranges::none_of(
        all.runs, [&](Drawn const& d) { return double(d.numbers.broken_step) > 0.4 * all.last_step; });
    figure.plot.say({right ? 1 : 0.35, 1 - y->at(guess), 0, -6}, fmt::format("ln V = {:.3f}: guessing", guess),
                    right ? "e" : "m");
  }
  if (Drawn const* d = first_overfitting(all)) {
    double const since = double(began(*d, *main_finding(*d))), at = figure.plot.x().at(since);
    figure.plot.event(since);
    std::string const place = at > 0.6 ? " e" : "";
    figure.plot.say(
        {at, 0.05, at > 0.6 ? -6 : 6, 11},
        fmt::format("from step {} {} learns the text by heart", step_text(int64_t(since)), subject(all, *d)),
        "say wide" + place);
    figure.plot.say({at, 0.05, at > 0.6 ? -6 : 6, 11},
                    fmt::format("{} turns at {}", d->letter, step_text(int64_t(since))), "say narrow" + place);
  }
  bool const few = all.runs.size() <= kFewRuns;
  for (size_t i = 0; i < curves.size(); ++i) {
    Drawn const& d = all.runs[i];
    label_end(figure, d, curves[i].val, d.numbers.judged_by_val ? "val" : "eval", true, few);
    if (few)
      label_end(figure, d, columns_of(curves[i].train, all.columns).mean, "train", true, few,
                beside(figure, curves[i]));
  }
  mark_best(all, figure, curves);
  mark_breaks(all, figure, !first_overfitting(all) ? 3 : few ? 1 : 0);
  figure.table = table_of(all);
  mark_rollbacks(all, figure);
  return figure.markup();
}

template <class OfStep, class OfEval>
std::string small_chart(Drawing const& all, Figure::Words words, report::TickLabels (*ticks)(double),
                        OfStep const& x_of_step, OfEval const& x_of_eval) {
  std::vector<Curves> curves;
  double last = 0;
  for (Drawn const& d : all.runs) {
    Drawn const* run = &d;
    curves.push_back(curves_of(
        d, [&](StepReport const& r) { return x_of_step(*run, r); },
        [&](EvalReport const& e) { return x_of_eval(*run, e); }));
    for (auto const* points : {&curves.back().val, &curves.back().train})
      if (!points->empty()) last = std::max(last, points->back().x);
  }
  auto const y = loss_axis(all, curves);
  if (!y || last <= 0) return "";
  Figure figure(std::move(words), {0, last}, *y);
  figure.plot.ticks(7, ticks(last));
  draw(all, figure, curves, false);
  for (size_t i = 0; i < curves.size(); ++i)
    label_end(figure, all.runs[i], curves[i].val, all.runs[i].numbers.judged_by_val ? "val" : "eval", false,
              all.runs.size() <= kFewRuns);
  return figure.markup();
}

std::string by_tokens_and_time(Drawing const& all) {
  bool const tokens = std::ranges::all_of(all.runs, [](Drawn const& d) { return d.tokens_a_step > 0; });
  std::string out;
  if (tokens)
    out += small_chart(
        all,
        {.id = "loss-tokens",
         .head = "By tokens",
         .unit = with_val(all) ? "nats a token, val and train" : "nats a token, train",
         .description = "The same losses by tokens seen.",
         .height = 190,
         .x = "tokens",
         .classes = "small"},
        report::token_ticks, [](Drawn const& d, StepReport const& r) { return double(r.step) * d.tokens_a_step; },
        [](Drawn const& d, EvalReport const& e) { return double(e.step) * d.tokens_a_step; });
  out += small_chart(
      all,
      {.id = "loss-time",
       .head = "By time",
       .unit = "since the run began, evaluations too",
       .description = "The same losses by time.",
       .height = 190,
       .x = "time",
       .classes = "small"},
      report::time_ticks, [](Drawn const&, StepReport const& r) { return r.seconds; },
      [](Drawn const&, EvalReport const& e) { return e.seconds; });
  return out.empty() ? out : "<div class=\"pair\">" + out + "</div>";
}

// ---- phases and states

std::vector<report::Stretch> phase_stretches(Drawn const& d) {
  std::vector<report::Stretch> out;
  for (size_t i = 0; i < d.phases.size(); ++i) {
    double const from = double(d.phases[i].step),
                 to = i + 1 < d.phases.size() ? double(d.phases[i + 1].step) : double(d.numbers.last_step);
    std::string const word = name_of(d.phases[i].phase);
    if (!out.empty() && out.back().word == word) out.back().to = to;
    else if (to > from) out.push_back({from, to, word, fmt::format("ph{}", int(d.phases[i].phase))});
  }
  return out;
}

report::Stretch state_stretch(Finding const& f, double from, double to) {
  report::Level const level = level_of(f);
  if (level == report::Level::ok) return {from, to, title_of(f), "usual"};
  static std::vector<std::string> const kGrades = {"slight", "moderate", "strong", "severe"};
  auto const grade = size_t(std::ranges::find(kGrades, f.grade) - kGrades.begin());
  bool const graded = grade < kGrades.size();
  size_t const shade = graded ? grade + 1 : level == report::Level::bad ? 3 : 2;
  return {from, to, graded ? f.grade : title_of(f),
          fmt::format("g{} {}", shade, graded || level == report::Level::bad ? "bad" : "warn"), shade == 4};
}

// As the run said it while it went on; of a log without such lines what is found now, from when it began.
std::vector<report::Stretch> state_stretches(Drawn const& d) {
  std::vector<report::Stretch> out;
  double const last = double(d.numbers.last_step);
  auto const add = [&](Finding const& f, double from, double to) {
    if (!out.empty()) out.back().to = std::min(out.back().to, from);
    if (to > from) out.push_back(state_stretch(f, from, to));
  };
  static Finding const kHealthy = {};
  if (!d.history.findings.empty()) {
    if (d.history.findings.front().step > 0) add(kHealthy, 0, last);
    for (Finding const& f : d.history.findings) add(f, std::clamp(double(f.step), 0.0, last), last);
  } else if (Finding const* f = main_finding(d)) {
    double const since = f->state == State::healthy ? 0 : std::clamp(double(began(d, *f)), 0.0, last);
    if (since > 0) add(kHealthy, 0, last);
    add(*f, since, last);
  }
  std::erase_if(out, [](report::Stretch const& s) { return s.to <= s.from; });
  return out;
}

std::string ribbons(Drawing const& all) {
  std::vector<report::RibbonRow> rows;
  report::HtmlTable table{.heads = {"run", "phase or state", "from step"}, .classes = "dense", .left = {1}};
  for (Drawn const* d : all.hued()) {
    auto phases = phase_stretches(*d), states = state_stretches(*d);
    for (auto const* stretches : {&phases, &states})
      for (report::Stretch const& s : *stretches)
        table.rows.push_back({d->letter, s.word, step_text(std::llround(s.from))});
    bool const labelled = !phases.empty();
    if (!phases.empty()) rows.push_back({d->letter, std::move(phases)});
    if (!states.empty()) rows.push_back({labelled ? "" : d->letter, std::move(states)});
  }
  if (table.rows.empty()) return "";
  std::string said;
  for (auto const& row : table.rows) said += fmt::format("{} {} from step {}. ", row[0], row[1], row[2]);
  return report::markup_of(
      report::Still{.id = "phases",
                    .head = "Phase of learning, and state",
                    .unit = "upper row: how fast the train loss falls; lower: the diagnosis; axis as above",
                    .description = said,
                    .content = ribbon(rows, all.last_step),
                    .height = report::kRibbonRow * int(rows.size()),
                    .below = report::details("From which step", report::markup_of(table))});
}

std::vector<std::string> sentences(Drawing const& all) {
  std::vector<std::string> says;
  if (!all.several()) {
    Drawn const& d = all.runs[0];
    if (!d.phases.empty() && std::isfinite(d.phases.back().gain))
      says.push_back(fmt::format(
          "At its end the run was {}: {}",
          d.phases.back().phase == Phase::start ? "at its start still" : name_of(d.phases.back().phase),
          d.phases.back().gain > 0 ? fmt::format("at that pace a tenth more steps would remove {} of the train loss.",
                                                 report::share_text(d.phases.back().gain))
                                   : "the train loss no longer fell."));
  } else {
    for (Drawn const* d : all.hued())
      if (std::isfinite(d->numbers.best) && says.size() < 2 && !d->history.evals.empty() &&
          d->history.evals.back().step > d->numbers.best_step)
        says.push_back(fmt::format("{} was at its best, {}, at step {}; it ends {} above.", d->letter,
                                   report::loss_text(d->numbers.best), step_text(d->numbers.best_step),
                                   report::loss_text(d->numbers.final - d->numbers.best)));
  }
  return says;
}

}  // namespace

std::string title_of_losses(Drawing const& all) {
  for (Drawn const& d : all.runs)
    if (Finding const* f = main_finding(d); f && f->state == State::not_finite)
      return fmt::format("The loss of {} breaks at step {}", subject(all, d), step_text(f->since));
  if (Drawn const* d = first_overfitting(all))
    return fmt::format("From step {} {} gets better only at what it has seen", step_text(began(*d, *main_finding(*d))),
                       subject(all, *d));
  if (!comparable(all)) return "Losses, of different data";
  if (!all.several()) {
    Drawn const& d = all.runs[0];
    if (d.phases.empty()) return "Loss";
    size_t i = d.phases.size() - 1;
    Phase const phase = d.phases[i].phase;
    while (i > 0 && d.phases[i - 1].phase == phase) --i;
    std::string const since = step_text(d.phases[i].step);
    bool const just = i + 1 == d.phases.size();  // nothing is known of what comes after
    if (d.numbers.final > d.numbers.first) return "The loss ends above where it began";
    if (phase == Phase::start) return "The loss has hardly begun to fall";
    if (phase == Phase::converged)
      return (just ? "The loss stands still at step " : "The loss has stood still since step ") + since;
    if (phase == Phase::converging)
      return (just ? "The loss begins to level off at step " : "The loss levels off from step ") + since;
    return fmt::format("The loss still falls at step {}", step_text(d.numbers.last_step));
  }
  Drawn const *best = nullptr, *worst = nullptr;
  for (Drawn const& d : all.runs) {
    if (!std::isfinite(d.numbers.final)) continue;
    if (!best || d.numbers.final < best->numbers.final) best = &d;
    if (!worst || d.numbers.final > worst->numbers.final) worst = &d;
  }
  if (!best || best == worst) return "Loss";
  return fmt::format("{} ends lowest, at {}, {} highest, at {}", best->letter, report::loss_text(best->numbers.final),
                     worst->letter, report::loss_text(worst->numbers.final));
}

std::optional<report::Section> loss_section(Drawing const& all) {
  std::string const chart = main_chart(all);
  if (chart.empty()) return {};
  return report::Section{
      .id = "losses",
      .link = "Loss",
      .title = title_of_losses(all),
      .says = sentences(all),
      .how = fmt::format("Thick: {0}, at each evaluation. Thin: train, each step. Rings: best {0}. Down is better.",
                         judged_words(all)),
      .show = chart + ribbons(all) + by_tokens_and_time(all)};
}

}  // namespace folio::train

#include "train/run_report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/table.h"

namespace folio::train {

using report::Axis;
using report::Figure;

constexpr double kFarthest = 1e300;  // of an axis, so that its room and its ticks are finite

std::vector<Drawn const*> Drawing::hued() const {
  std::vector<Drawn const*> out;
  for (Drawn const& d : runs)
    if (d.hued) out.push_back(&d);
  return out;
}

std::string how_drawn(Drawing const& all) {
  return fmt::format(
      "Curves by step show the mean of each of {} columns with its smallest and largest value. The whole "
      "record is in each run’s metrics.jsonl.",
      all.columns);
}

std::string step_text(int64_t step) { return report::grouped(step); }

std::string name_of(Drawn const& d) {
  return report::chip(d.key, d.letter) + " <span class=\"name\">" + report::escape_html(d.run.name) + "</span>";
}

Finding const* main_finding(Drawn const& d) {
  if (!d.run.findings.empty()) return &d.run.findings.front();
  return d.history.findings.empty() ? nullptr : &d.history.findings.back();
}

int64_t began(Drawn const& d, Finding const& f) {
  return f.state == State::overfitting ? d.numbers.best_step : f.since;
}

bool with_val(Drawing const& all) {
  return std::ranges::any_of(all.runs, [](Drawn const& d) { return d.numbers.judged_by_val; });
}

std::string judged_words(Drawing const& all) { return with_val(all) ? "val" : "train"; }

std::string subject(Drawing const& all, Drawn const& d, bool at_start) {
  return all.several() ? d.letter : at_start ? "The run" : "the run";
}

std::vector<Point> points_of(std::vector<StepReport> const& steps, double StepReport::*value) {
  std::vector<Point> points;
  points.reserve(steps.size());
  for (StepReport const& r : steps) points.push_back({double(r.step), r.*value});
  return points;
}

std::vector<Point> at_evals(Drawn const& d, double EvalReport::*value) {
  std::vector<Point> points;
  for (EvalReport const& e : d.history.evals) points.push_back({double(e.step), e.*value});
  return points;
}

Figure step_figure(Drawing const& all, Figure::Words words, Axis y, double ticks_up) {
  bool const small = words.small;
  Figure figure(std::move(words), {0, all.last_step}, y);
  figure.plot.ticks(ticks_up, small ? report::few_step_ticks(all.last_step) : report::step_ticks(all.last_step));
  return figure;
}

void add_series(Drawing const& all, Drawn const& d, Figure& figure, std::vector<Point> const& points,
                std::string const& name, std::string const& classes, bool shade) {
  report::Columns const columns = columns_of(points, all.columns);
  if (shade) figure.plot.band(d.key, columns.range);
  figure.plot.line(classes.empty() ? d.key : classes + " " + d.key, columns.mean);
  figure.read_out(d.key, d.letter, name, columns.mean);
}

std::optional<Axis> axis_of(std::vector<std::vector<Point>> const& series, bool log) {
  double least = INFINITY, most = -INFINITY;
  for (auto const& points : series)
    for (Point const p : points)
      if (std::isfinite(p.y) && (!log || p.y > 0)) least = std::min(least, p.y), most = std::max(most, p.y);
  if (least > most) return {};
  least = std::clamp(least, -kFarthest, kFarthest), most = std::clamp(most, -kFarthest, kFarthest);
  if (log) return report::log_axis(least, most);
  if (least >= 0) return Axis{0, most > 0 ? 1.06 * most : 1};
  double const room = 0.06 * std::max(most - least, 1e-9);
  return Axis{least - room, most + room};
}

std::string numbers_table(
    Drawing const& all, std::vector<std::string> const& heads,
    std::function<std::vector<std::string>(Drawn const&, int64_t before, int64_t step)> const& row) {
  constexpr int kRows = 20;
  auto const runs = all.hued();
  report::HtmlTable table{.heads = {"step"}, .classes = "dense"};
  for (Drawn const* d : runs)
    for (std::string const& head : heads) table.heads.push_back(all.several() ? d->letter + " " + head : head);
  for (size_t c = 3; c < table.heads.size(); ++c)
    if (table.heads.size() > 5) table.wide.push_back(c);
  int64_t before = 0;
  double const every = std::max(1.0, all.last_step / kRows);
  for (int i = 0; i <= kRows; ++i) {
    auto const step = int64_t(i == 0 ? 1 : std::llround(i * every));
    if (step <= before || step > int64_t(all.last_step)) continue;
    std::vector<std::string> cells = {step_text(step)};
    for (Drawn const* d : runs)
      for (std::string& cell : row(*d, before, step)) cells.push_back(std::move(cell));
    table.rows.push_back(std::move(cells));
    before = step;
  }
  return report::details("The numbers", report::markup_of(table));
}

}  // namespace folio::train

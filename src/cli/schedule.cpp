// folio schedule: the learning rate of each step of a run, drawn and tabulated before anything is trained.
#include <fmt/ranges.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/train_setup.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/fields_json.h"
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "report/chart.h"
#include "report/table.h"

namespace folio::cli {
namespace {

using report::grouped;
using report::Point;

struct Options {
  std::string compare, out;
  bool json = false;
  train::RunOptions run;
};

Spec spec_of(Options& o) {
  char const* group = "Output";
  Fields shown = fields(o.run);  // of train's flags those of the rate
  std::erase_if(shown, [](Field const& f) { return f.group != "Learning rate"; });
  Fields const own = {
      {"compare", &o.compare, "these schedules instead of one, joined by commas", {.form = "NAME,NAME…"}, group},
      {"out",
       &o.out,
       "write a drawing with the table, which fits any width, light and dark",
       {.form = "FILE.svg"},
       group},
      {"json", &o.json, "print one JSON object, with points of each curve", {}, group}};
  return {
      .name = "schedule",
      .summary = "draw and tabulate the learning rate of a run, before it is trained",
      .details =
          "Takes the flags of folio train's learning rate. start, middle and end are the rates of the first step, of "
          "the one in the middle and of the last; mean is over all steps. On a terminal the curves are drawn too. In "
          "a comparison, step and restarts take a third of what follows the warm-up where --step-every or "
          "--restart-every is not given. docs/training.md says which schedule is for what.",
      .example =
          "folio schedule --steps 2000 --warmup 100\n"
          "folio schedule --compare constant,linear,cosine,step,wsd --out schedules.svg\n"
          "folio schedule --schedule wsd --wsd-tail-steps 400 --steps 2000 --json",
      .fields = joined({own, shown})};
}

struct Curve {
  std::string key, name;  // name: "A cosine", or without the letter where it is alone
  train::ScheduleOptions options;
  train::RatesInShort rates;
  std::vector<Point> points;
};

// A thousand places at most: of each of 500 columns the lowest and the highest rate, so that no jump is lost.
std::vector<Point> points_of(train::ScheduleOptions const& o, int64_t steps) {
  constexpr int64_t kColumns = 500, kLooks = 16;
  std::vector<Point> points;
  int64_t const columns = std::min(steps, kColumns);
  auto const begin_of = [&](int64_t c) { return c * (steps / columns) + c * (steps % columns) / columns; };
  for (int64_t c = 0; c < columns; ++c) {
    int64_t const first = begin_of(c), end = begin_of(c + 1);
    int64_t const stride = std::max<int64_t>(1, (end - first) / kLooks);
    Point low{0, INFINITY}, high{0, -INFINITY};
    for (int64_t it = first; it < end; it += stride) {
      Point const p{double(it + 1), rate_at(o, it, steps)};
      if (p.y < low.y) low = p;
      if (p.y > high.y) high = p;
    }
    if (low.x > high.x) std::swap(low, high);
    points.push_back(low);
    if (high.x > low.x) points.push_back(high);
  }
  if (points.back().x < double(steps)) points.push_back({double(steps), rate_at(o, steps - 1, steps)});
  return points;
}

std::vector<std::string> names_of(Options const& o, Origins const& all_given) {
  if (o.compare.empty()) return {o.run.schedule.schedule};
  auto const given = all_given.find("schedule");
  check(given == all_given.end() || given->second.kind != "flag", Fault::value,
        "--schedule {} and --compare {}: give one of them", o.run.schedule.schedule, o.compare);
  std::vector<std::string> names;
  auto const& known = train::schedule_names();
  for (size_t at = 0; at <= o.compare.size();) {
    size_t const comma = std::min(o.compare.find(',', at), o.compare.size());
    std::string const name = o.compare.substr(at, comma - at), near = nearest(name, known);
    check(std::ranges::find(known, name) != known.end(), Fault::value,
          "--compare: there is no schedule \"{}\"{}; there are {}", name,
          near.empty() ? "" : fmt::format(" (did you mean {}?)", near), fmt::join(known, ", "));
    check(std::ranges::find(names, name) == names.end(), Fault::value, "--compare names {} twice", name);
    names.push_back(name);
    at = comma + 1;
  }
  return names;
}

// What a comparison assumes where it was not given; says so in `notes`.
void assume(train::ScheduleOptions& o, int64_t steps, std::vector<std::string>& notes) {
  int64_t const third = std::max<int64_t>(1, (steps - o.warmup + 2) / 3);
  if (o.schedule == "step" && o.step_every == 0) {
    o.step_every = third;
    notes.push_back(fmt::format("step: assumed --step-every {}", third));
  }
  if (o.schedule == "restarts" && o.restart_every == 0) {
    o.restart_every = third;
    notes.push_back(fmt::format("restarts: assumed --restart-every {}", third));
  }
}

// What is given is for all curves: one of them must look at it.
void refuse_idle_in_all(Options o, std::vector<std::string> const& names, Origins given) {
  for (std::string const& name : names) {
    o.run.schedule.schedule = name;
    Fields const all = fields(o.run);
    if (&name != &names.back())
      std::erase_if(given, [&](auto const& one) {
        Field const* const field = find(all, one.first);
        return field && idle(all, *field, "").empty();
      });
    else refuse_idle(all, given);
  }
}

std::vector<Curve> curves_of(Options const& o, std::vector<std::string> const& names, std::vector<std::string>& notes) {
  static constexpr char const* kKeys[] = {"a", "b", "c", "d", "more", "more dash1", "more dash2", "more dash3"};
  std::vector<Curve> curves;
  for (std::string const& name : names) {
    train::ScheduleOptions one = o.run.schedule;
    one.schedule = name;
    if (!o.compare.empty()) assume(one, o.run.steps, notes);
    validate(one, o.run.steps);
    size_t const i = curves.size();
    curves.push_back({kKeys[i], names.size() == 1 ? name : fmt::format("{} {}", char('A' + i), name), one,
                      rates_in_short(one, o.run.steps), points_of(one, o.run.steps)});
  }
  return curves;
}

std::vector<std::string> const kHeads = {"schedule", "start", "middle", "end", "peak", "mean"};

std::vector<std::string> cells_of(Curve const& c) {
  auto const& r = c.rates;
  std::vector<std::string> cells = {c.name};
  for (double const rate : {r.start, r.middle, r.end, r.peak, r.mean})
    cells.push_back(rate == 0 ? "0" : format_rate(rate));
  return cells;
}

report::LineChart chart_of(std::vector<Curve> const& curves) {
  report::LineChart chart{"learning rate by step", "steps", {}};
  chart.y_label = [](double rate) { return rate == 0 ? std::string("0") : format_rate(rate); };
  for (Curve const& c : curves) chart.lines.push_back({c.options.schedule, c.points});
  return chart;
}

std::string text_of(Options const& o, std::vector<Curve> const& curves, std::vector<std::string> const& notes) {
  std::string out;
  Terminal const t = terminal();
  if (t.out_is_terminal) out += terminal_chart(chart_of(curves), t.utf8, size_t(std::clamp(t.width, 40, 80))) + "\n";
  report::Table table({{kHeads[0], false}, {kHeads[1]}, {kHeads[2]}, {kHeads[3]}, {kHeads[4]}, {kHeads[5]}});
  for (Curve const& c : curves) table.row(cells_of(c));
  out += table.text() +
         fmt::format("{} steps, {} of them warm-up\n", grouped(o.run.steps), grouped(o.run.schedule.warmup));
  for (std::string const& note : notes) out += note + "\n";
  return out;
}

Json json_of(Options const& o, std::vector<Curve> const& curves, std::vector<std::string> const& notes) {
  Json all = {{"steps", o.run.steps}, {"notes", notes}, {"schedules", Json::array()}};
  for (Curve const& c : curves) {
    train::ScheduleOptions options = c.options;
    Json points = Json::array();
    for (Point const p : c.points) points.push_back({int64_t(p.x), p.y});
    all["schedules"].push_back({{"schedule", options.schedule},
                                {"start", c.rates.start},
                                {"middle", c.rates.middle},
                                {"end", c.rates.end},
                                {"peak", c.rates.peak},
                                {"mean", c.rates.mean},
                                {"options", to_json(fields(options))},
                                {"points", std::move(points)}});
  }
  return all;
}

std::string drawing_of(Options const& o, std::vector<Curve> const& curves, std::vector<std::string> notes) {
  auto const by_mean = [](Curve const& a, Curve const& b) { return a.rates.mean < b.rates.mean; };
  if (curves.size() > 1)
    notes.insert(notes.begin(), fmt::format("Mean rate: {} highest, {} lowest",
                                            std::ranges::max_element(curves, by_mean)->options.schedule,
                                            std::ranges::min_element(curves, by_mean)->options.schedule));
  report::Panel panel = svg_panel(chart_of(curves));
  panel.caption.clear();  // the title says it
  std::string named;
  for (Curve const& c : curves)
    named += fmt::format("{}{} from {} over {} to {}", named.empty() ? "" : "; ", c.options.schedule,
                         format_rate(c.rates.start), format_rate(c.rates.middle), format_rate(c.rates.end));
  report::SvgFile file{
      .title = curves.size() == 1 ? "Learning rate: " + curves[0].name : "Learning rate by step",
      .subtitle = fmt::format("{} steps, {} of them warm-up", grouped(o.run.steps), grouped(o.run.schedule.warmup)),
      .description = fmt::format("Learning rate over {} steps: {}.", grouped(o.run.steps), named),
      .panels = {std::move(panel)},
      .tables = {{.heads = kHeads, .rows = {}}},
      .notes = std::move(notes)};
  for (Curve const& c : curves) {
    std::vector<std::string> cells = cells_of(c);
    for (size_t i = 1; i < cells.size(); ++i) cells[i] = report::with_minus(cells[i]);
    file.tables[0].rows.push_back({c.key, std::move(cells)});
  }
  return svg_file(file);
}

}  // namespace

int schedule(Arguments const& arguments) {
  Options o;
  std::vector<std::string> notes;
  Origins given;
  if (!parse(spec_of(o), arguments, &given)) return 0;
  settle_rates(o.run, given);
  auto const names = names_of(o, given);
  refuse_idle_in_all(o, names, given);
  auto const curves = curves_of(o, names, notes);
  if (!o.out.empty()) {
    write_file(o.out, drawing_of(o, curves, notes));
    say(fmt::format("written: {}", o.out));
  }
  print(o.json ? dump(json_of(o, curves, notes), 2) + "\n" : text_of(o, curves, notes));
  return 0;
}

}  // namespace folio::cli

#include "train/sweep_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "report/html.h"
#include "report/svg_file.h"
#include "report/table.h"
#include "train/history.h"

namespace folio::train {
namespace {

using report::ChartLine;
using report::Point;
using report::shortened;

constexpr size_t kMostCurves = 6, kNameLetters = 13, kNameColumns = 24;

double number_of(std::string const& text) {
  double v = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  return error == std::errc{} && end == text.data() + text.size() ? v : NAN;
}

using Values = std::function<std::vector<Point>(SweepRun const&, History const&)>;

class Page {
 public:
  explicit Page(Sweep const& sweep) : sweep_(sweep), ranking_(sweep.ranking()) {
    for (SweepRun const& r : sweep.runs()) histories_.push_back(history_of(sweep.folder_of(r)));
  }

  std::string html() const {
    report::SvgFile file{.title = finding_of(sweep_),
                         .subtitle = subtitle(),
                         .description = finding_of(sweep_) + " The table ranks all settings.",
                         .panels = {}};
    auto const add = [&](std::string const& caption, Values const& values) {
      report::LineChart chart{.caption = caption, .x_unit = "steps", .lines = lines_of(values), .log_y = true};
      if (!chart.lines.empty()) file.panels.push_back(svg_panel(chart));
    };
    add("validation loss, nats a token, log scale", [](SweepRun const& r, History const& h) {
      std::vector<Point> points;
      for (EvalReport const& e : h.evals)
        if (std::isfinite(e.val) && !(e.val > kMostOfGuessing * r.guessing)) points.push_back({double(e.step), e.val});
      return points;
    });
    for (std::string const& field : sweep_.spec().varied()) add_setting(field, file);
    std::set<std::string> any;  // decay in some run: their norm is told of all runs
    for (SweepRun const& r : sweep_.runs())
      for (TensorRule const& rule : tensor_rules(r.options, r.shape))
        if (rule.optimizer.decay > 0) any.insert(rule.name);
    add("norm of the weights that decay, log scale", [&](SweepRun const&, History const& h) {
      return sums(
          h, [&](std::string const& name) { return double(any.contains(name)); }, true);
    });
    add("penalty of the decay, ½ · decay · norm², log scale", [](SweepRun const& r, History const& h) {
      std::map<std::string, double> decays;
      for (TensorRule const& rule : tensor_rules(r.options, r.shape)) decays[rule.name] = rule.optimizer.decay;
      return sums(
          h, [&](std::string const& name) { return 0.5 * decays[name]; }, false);
    });
    file.tables.push_back(table());
    file.notes = notes();
    return report::html(
        {.title = finding_of(sweep_), .body = "<main>\n" + svg_file(file) + "</main>\n", .data = "", .script = ""});
  }

 private:
  // Σ factor · ‖w‖² over the tensors, or its root.
  template <class Factor>
  static std::vector<Point> sums(History const& h, Factor factor, bool root) {
    std::vector<Point> points;
    for (Statistics const& s : h.statistics) {
      double sum = 0;
      for (auto const& [name, w] : s.tensors) sum += factor(name) * w.norm * w.norm;
      if (sum > 0) points.push_back({double(s.step), root ? std::sqrt(sum) : sum});
    }
    return points;
  }

  // Of the best settings a named line each, whose letter is the same in every panel, of the others a grey one: means
  // over their seeds where all have a value. A line of one point would not be seen; where all are so, there is none.
  std::vector<ChartLine> lines_of(Values const& values) const {
    std::vector<ChartLine> lines;
    bool any = false;
    for (size_t rank = 0; rank < ranking_.size(); ++rank) {
      std::map<double, std::pair<double, size_t>> sums;
      size_t runs = 0;
      for (size_t i = 0; i < sweep_.runs().size(); ++i) {
        if (sweep_.runs()[i].setting != ranking_[rank].setting) continue;
        ++runs;
        if (ranking_[rank].hopeless()) continue;
        for (Point const p : values(sweep_.runs()[i], histories_[i])) sums[p.x].first += p.y, ++sums[p.x].second;
      }
      ChartLine line{
          .name = shortened(name_of(ranking_[rank]), kNameLetters), .points = {}, .background = rank >= kMostCurves};
      for (auto const& [x, sum] : sums)
        if (sum.second == runs && sum.first > 0) line.points.push_back({x, sum.first / double(runs)});
      if (line.background) line.name.clear();
      if (line.points.size() < 2) line.points.clear();
      any = any || !line.points.empty();
      if (!line.background || !line.points.empty()) lines.push_back(std::move(line));
    }
    if (!any) lines.clear();
    return lines;
  }

  // The lowest loss that was found with each value, of settings that differ in nothing else on average: not listed
  // ones, nor those that were dropped, for a shorter run ends higher.
  void add_setting(std::string const& field, report::SvgFile& file) const {
    std::vector<std::pair<std::string, double>> best;
    bool numbers = true, all = true;
    for (Ranked const& r : ranking_) {
      if (!r.learnt() || sweep_.settings()[r.setting].of == Setting::Of::list) continue;
      if (r.step < ranking_[0].step) {
        all = false;
        continue;
      }
      auto const run = std::ranges::find(sweep_.runs(), r.setting, &SweepRun::setting);
      std::string const value = run->values.at(field);
      numbers = numbers && std::isfinite(number_of(value));
      auto const at = std::ranges::find(best, value, &std::pair<std::string, double>::first);
      if (at == best.end()) best.emplace_back(value, r.val);
      else at->second = std::min(at->second, r.val);
    }
    if (best.size() < 2) return;
    std::string const caption =
        fmt::format("lowest validation loss with each {}{}", field,
                    all ? "" : fmt::format(", after {} steps", report::grouped(ranking_[0].step)));
    if (!numbers || best.size() == 2) {
      report::BarChart bars{.caption = caption, .bars = {}};
      for (auto const& [value, val] : best)
        bars.bars.push_back({shortened(value, 16), val, fmt::format("{:.3f}", val), bars.bars.empty()});
      file.panels.push_back(svg_panel(bars));
      return;
    }
    std::vector<Point> points;
    for (auto const& [value, val] : best) points.push_back({number_of(value), val});
    std::ranges::sort(points, {}, &Point::x);
    auto const [low, high] = std::ranges::minmax(points, {}, &Point::y);
    double const room = std::max(0.1 * (high.y - low.y), 1e-3);
    report::LineChart chart{.caption = caption, .x_unit = "", .lines = {{.name = "best", .points = points}}};
    chart.log_x = points[0].x > 0 && points.back().x >= 20 * points[0].x;
    chart.low = low.y - room, chart.high = high.y + room;
    file.panels.push_back(svg_panel(chart));
  }

  report::SvgTable table() const {
    static constexpr char const* kKeys[] = {"a", "b", "c", "d"};
    bool const seeds = sweep_.spec().seeds.size() > 1;
    report::SvgTable t{.heads = {"setting", "val"}, .rows = {}};
    if (seeds) t.heads.push_back("±");
    t.heads.insert(t.heads.end(), {"steps", "became"});
    for (Ranked const& r : ranking_) {
      std::string const name = shortened(name_of(r), kNameColumns), letter = letter_of(t.rows.size());
      std::vector<std::string> cells = {letter.empty() ? name : letter + " " + name, val_text(r, 3)};
      if (seeds) cells.push_back(deviation_text(r, 3));
      cells.insert(cells.end(), {report::grouped(r.step), train::name_of(r.status)});
      t.rows.push_back({t.rows.size() < std::size(kKeys) ? kKeys[t.rows.size()] : "more", std::move(cells)});
    }
    return t;
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> all;
    for (size_t i = 0; i < ranking_.size() && all.size() < 12; ++i)
      if (report::display_width(name_of(ranking_[i])) > kNameColumns)
        all.push_back(
            fmt::format("{}: {}", letter_of(i).empty() ? std::to_string(i + 1) : letter_of(i), name_of(ranking_[i])));
    if (!all.empty()) all.insert(all.begin(), "Long names in full, by letter or by row:");
    std::string above;
    for (Ranked const& r : ranking_)
      if (r.hopeless()) above += (above.empty() ? "“" : ", “") + name_of(r) + "”";
    if (!above.empty())
      all.push_back(
          fmt::format("Not drawn: {}. The validation loss stayed above ln V = {:.2f}, that of guessing each "
                      "token as likely as any other: nothing was learnt.",
                      above, ranking_[0].guessing));
    for (SweepRun const& r : sweep_.runs())
      if (!r.why.empty()) all.push_back(fmt::format("{} failed: {}", r.folder, r.why));
    if (sweep_.spec().halving)
      all.push_back(
          fmt::format("Successive halving from step {} with eta {}: a dropped run was among the worse ones at "
                      "the step where it ends.",
                      report::grouped(sweep_.spec().halving->first), sweep_.spec().halving->eta));
    return all;
  }

  std::string subtitle() const {
    size_t ended = 0;
    for (SweepRun const& r : sweep_.runs()) ended += r.status != RunStatus::waiting;
    return fmt::format("folio sweep · {} settings · {} of {} runs ended", sweep_.settings().size(), ended,
                       sweep_.runs().size());
  }

  // Of a line and its row; empty where there is one setting, and behind the named lines.
  std::string letter_of(size_t rank) const {
    return ranking_.size() > 1 && rank < kMostCurves ? std::string(1, char('A' + rank)) : "";
  }
  std::string const& name_of(Ranked const& r) const { return sweep_.settings()[r.setting].name; }

  Sweep const& sweep_;
  std::vector<Ranked> ranking_;
  std::vector<History> histories_;  // of each run
};

}  // namespace

std::string finding_of(Sweep const& sweep) {
  auto const ranks = sweep.ranking();
  auto const name = [&](Ranked const& r) { return sweep.settings()[r.setting].name; };
  if (ranks.empty() || !std::isfinite(ranks[0].val)) return "No run has been evaluated yet";
  if (!ranks[0].learnt()) return "No setting learns: no validation loss is below that of guessing";
  std::string const best = fmt::format("“{}” reaches the lowest validation loss, {:.3f}", name(ranks[0]), ranks[0].val);
  if (ranks.size() < 2 || !ranks[1].learnt()) return best;
  double const noise = std::max(ranks[0].deviation, ranks[1].deviation);
  if (int64_t const step = std::min(ranks[0].step, ranks[1].step); step < ranks[0].step)
    return fmt::format("{}; at step {}, the last of “{}”, {:.3f} against {:.3f}", best, report::grouped(step),
                       name(ranks[1]), sweep.val_by(ranks[0].setting, step), sweep.val_by(ranks[1].setting, step));
  double const apart = ranks[1].val - ranks[0].val;
  if (noise > 0 && apart < noise)
    return fmt::format("{}; “{}” is as good within what seeds differ by", best, name(ranks[1]));
  return fmt::format("{}, {:.3f} below “{}”", best, std::max(0.0, apart), name(ranks[1]));
}

std::string val_text(Ranked const& r, int digits) {
  if (!std::isfinite(r.val)) return "-";
  return r.learnt() ? fmt::format("{:.{}f}", r.val, digits) : "> ln V";
}

std::string deviation_text(Ranked const& r, int digits) {
  return r.learnt() ? fmt::format("{:.{}f}", r.deviation, digits) : "-";
}

std::string sweep_page(Sweep const& sweep) { return Page(sweep).html(); }

}  // namespace folio::train

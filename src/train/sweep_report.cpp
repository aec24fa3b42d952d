#include "train/sweep_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "report/html.h"
#include "report/table.h"
#include "train/run_report_parts.h"
#include "train/summary.h"

namespace folio::train {
namespace {

using report::escape_html;
using report::HtmlTable;
using report::Section;

constexpr size_t kMostValues = 4, kMostRows = 100;

double number_of(std::string const& text) {
  double v = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  return error == std::errc{} && end == text.data() + text.size() ? v : NAN;
}

// Markup: 3e-05, not all the digits of what a tenth of a rate is.
std::string value_of(SweepRun const& r, std::string const& field) {
  std::string const& text = r.values.at(field);
  double const v = number_of(text);
  return std::isfinite(v) && text.size() > 8 ? fmt::format("{:.5g}", v) : escape_html(text);
}

class Page {
 public:
  Page(Sweep const& sweep, std::vector<ReportedRun> const& drawn)
      : sweep_(sweep),
        ranking_(sweep.ranking()),
        varied_(sweep.spec().varied()),
        several_seeds_(sweep.spec().seeds.size() > 1),
        runs_(drawn),
        all_(runs_.all) {
    runs_.all.healthy_cards = false;  // the ranking says so
  }

  std::string html(ReportedBy const& by) const {
    std::vector<Section> sections = {ranking()};
    auto const add = [&](std::optional<Section> section) {
      if (section) sections.push_back(std::move(*section));
    };
    add(values());
    if (!all_.runs.empty()) {
      add(verdict_section(all_));
      add(loss_section(all_));
      add(steering_section(all_));
      add(decay());
      add(speed_section(all_));
    }
    std::vector<std::string> how;
    if (!all_.runs.empty()) how.push_back(how_drawn(all_));
    return page_of({.kind = "sweep",
                    .title = "folio sweep: " + finding_of(sweep_),
                    .facts = facts(),
                    .headline = finding_of(sweep_),
                    .lede = lede(),
                    .notes = notes(),
                    .how = how},
                   sections, by);
  }

 private:
  std::vector<size_t> runs_of(Ranked const& r) const {
    std::vector<size_t> all;
    for (size_t i = 0; i < sweep_.runs().size(); ++i)
      if (sweep_.runs()[i].setting == r.setting) all.push_back(i);
    return all;
  }
  std::string const& name_of(Ranked const& r) const { return sweep_.settings()[r.setting].name; }
  // Null where it is not among the curves.
  Drawn const* drawn(Ranked const& r) const {
    auto const at = std::ranges::find_if(all_.runs, [&](Drawn const& d) { return d.run.name == name_of(r); });
    return at == all_.runs.end() ? nullptr : &*at;
  }

  std::vector<std::string> facts() const {
    size_t ended = 0;
    for (SweepRun const& r : sweep_.runs()) ended += r.status != RunStatus::waiting;
    return {fmt::format("{} settings", sweep_.settings().size()),
            fmt::format("{} of {} runs ended", ended, sweep_.runs().size())};
  }

  std::string lede() const {
    std::string out;
    size_t const learnt = size_t(std::ranges::count_if(ranking_, [](Ranked const& r) { return r.learnt(); }));
    if (learnt > 1) {
      double last = 0;
      for (Ranked const& r : ranking_)
        if (r.learnt()) last = std::max(last, r.val);
      out = fmt::format("{} settings learnt; the highest of their losses is {:.3f}. ", learnt, last);
    }
    if (varied_.empty()) return out + fmt::format("The runs differ in their seeds alone.");
    if (varied_.size() > 6) return out + fmt::format("{} settings are varied.", varied_.size());
    return out + fmt::format("What is varied: {}.", report::joined_words(varied_));
  }

  std::string notes() const {
    std::string out, above;
    for (Ranked const& r : ranking_)
      if (r.hopeless()) above += (above.empty() ? "“" : ", “") + name_of(r) + "”";
    if (!above.empty())
      out += report::note(
          fmt::format("Not drawn: {}.", above),
          fmt::format("The validation loss stayed above ln V = {:.2f}, that of guessing each token as likely as any "
                      "other: nothing was learnt.",
                      ranking_[0].guessing));
    for (SweepRun const& r : sweep_.runs())
      if (!r.why.empty()) out += report::note(r.folder + " failed.", r.why);
    return out;
  }

  // ---- the table of all settings

  std::string first_cell(Ranked const& r, size_t rank) const {
    Drawn const* const d = drawn(r);
    std::string name = d ? report::chip(d->key, d->letter) + " " : fmt::format("{} ", rank + 1);
    std::string const page = sweep_.runs()[best_run(sweep_, r)].folder + ".html";
    std::error_code error;
    std::string const shown = "<span class=\"name\">" + escape_html(name_of(r)) + "</span>";
    if (!std::filesystem::exists(sweep_.path() / "runs" / page, error)) return name + shown;
    return name + fmt::format("<a href=\"runs/{}\">{}</a>", escape_html(page), shown);
  }

  // The gravest that a run of it said last.
  std::string became(Ranked const& r) const {
    std::string state;
    Finding const* worst = nullptr;
    for (size_t const i : runs_of(r))
      if (auto const& f = sweep_.runs()[i].finding; f && (!worst || level_of(*f) > level_of(*worst))) worst = &*f;
    if (worst) state = report::state(level_of(*worst), title_of(*worst));
    else if (r.learnt()) state = report::state(report::Level::ok, "healthy");
    if (r.status == RunStatus::finished) return state;
    return state + (state.empty() ? "" : " ") + "<span class=\"soft\">" + train::name_of(r.status) + "</span>";
  }

  double seconds_of(Ranked const& r) const {
    double sum = 0;
    for (size_t const i : runs_of(r)) sum += sweep_.runs()[i].seconds;
    return sum;
  }

  double last_of(Ranked const& r) const {
    double sum = 0;
    auto const runs = runs_of(r);
    for (size_t const i : runs) sum += sweep_.runs()[i].last;
    return sum / double(runs.size());
  }

  Section ranking() const {
    HtmlTable t{.heads = {"setting"}, .classes = "ranking"};
    // A name of [grid] or [random] says the values; one of [[list]] does not.
    bool const listed =
        std::ranges::any_of(sweep_.settings(), [](Setting const& s) { return s.of == Setting::Of::list; });
    size_t const values = listed ? std::min(varied_.size(), kMostValues) : 0;
    for (size_t v = 0; v < values; ++v) t.wide.push_back(t.heads.size()), t.heads.push_back(escape_html(varied_[v]));
    t.heads.push_back("best val");
    if (several_seeds_) t.heads.push_back("±");
    t.wide.push_back(t.heads.size()), t.heads.push_back("over the best");
    for (char const* head : {"last val", "steps", "time"}) t.wide.push_back(t.heads.size()), t.heads.push_back(head);
    t.left.push_back(t.heads.size()), t.heads.push_back("diagnosis");
    for (size_t rank = 0; rank < std::min(ranking_.size(), kMostRows); ++rank) t.rows.push_back(row(rank, values));
    std::string show = report::markup_of(t);
    if (listed && values < varied_.size()) show += report::details("All that is varied", all_values());
    Section s{.id = "ranking",
              .link = "Ranking",
              .title = ranking_.size() > 1 ? "The settings, the best first" : "The setting",
              .how = "Losses in nats a token. A name leads to the report of its run.",
              .show = std::move(show)};
    if (several_seeds_)
      s.says.push_back(fmt::format("Means of {} seeds, ± what they differ by; drawn is the best of them.",
                                   sweep_.spec().seeds.size()));
    if (sweep_.spec().halving)
      s.says.push_back(
          fmt::format("Successive halving from step {} with eta {}: a dropped run was among the worse ones "
                      "at the step where it ends.",
                      report::grouped(sweep_.spec().halving->first), sweep_.spec().halving->eta));
    if (ranking_.size() > kMostRows)
      s.says.push_back(fmt::format("The first {} of {}; all are in sweep.json.", kMostRows, ranking_.size()));
    return s;
  }

  std::vector<std::string> row(size_t rank, size_t values) const {
    Ranked const& r = ranking_[rank];
    SweepRun const& run = sweep_.runs()[best_run(sweep_, r)];
    std::vector<std::string> cells = {first_cell(r, rank)};
    for (size_t v = 0; v < values; ++v) cells.push_back(value_of(run, varied_[v]));
    std::string val = escape_html(val_text(r, 3));
    if (r.learnt() && !several_seeds_)
      val += fmt::format(" <span class=\"soft\">at {}</span>", step_text(run.best_step));
    cells.push_back(rank == 0 && r.learnt() ? "<td class=\"best\">" + val + "</td>" : val);
    if (several_seeds_) cells.push_back(deviation_text(r, 3));
    auto const wide = [&](std::string const& text) { cells.push_back(text); };
    wide(r.learnt() && rank > 0 ? fmt::format("+{:.3f}", r.val - ranking_[0].val) : "");
    wide(r.learnt() ? report::loss_text(last_of(r)) : "–");
    wide(step_text(r.step));
    wide(seconds_of(r) > 0 ? report::time_text(seconds_of(r)) : "–");
    cells.push_back("<td class=\"l\">" + became(r) + "</td>");
    return cells;
  }

  std::string all_values() const {
    HtmlTable t{.heads = {"setting"}, .classes = "dense"};
    for (Ranked const& r : ranking_) t.heads.push_back(escape_html(name_of(r)));
    if (ranking_.size() > kMostValues) {  // a row a setting: its values in words
      t.heads = {"setting", "values"}, t.left = {1};
      for (Ranked const& r : ranking_) {
        std::string text;
        for (std::string const& field : varied_)
          text += (text.empty() ? "" : " · ") + field + " " + sweep_.runs()[best_run(sweep_, r)].values.at(field);
        t.rows.push_back({escape_html(name_of(r)), "<code>" + escape_html(text) + "</code>"});
      }
      return report::markup_of(t);
    }
    for (std::string const& field : varied_) {
      t.rows.push_back({"<code>" + escape_html(field) + "</code>"});
      for (Ranked const& r : ranking_) t.rows.back().push_back(value_of(sweep_.runs()[best_run(sweep_, r)], field));
    }
    return report::markup_of(t);
  }

  // ---- what each value reached

  struct Reached {
    std::string field;
    std::vector<std::pair<std::string, double>> best;  // of each value
    double apart() const {
      auto const [low, high] = std::ranges::minmax(best, {}, &std::pair<std::string, double>::second);
      return high.second - low.second;
    }
  };

  // The lowest loss that was found with each value, of settings that differ in nothing else on average: not listed
  // ones, nor those that were dropped, for a shorter run ends higher.
  Reached reached_with(std::string const& field) const {
    Reached out{field, {}};
    for (Ranked const& r : ranking_) {
      if (!r.learnt() || sweep_.settings()[r.setting].of == Setting::Of::list || r.step < ranking_[0].step) continue;
      std::string const value = sweep_.runs()[best_run(sweep_, r)].values.at(field);
      auto const at = std::ranges::find(out.best, value, &std::pair<std::string, double>::first);
      if (at == out.best.end()) out.best.emplace_back(value, r.val);
      else at->second = std::min(at->second, r.val);
    }
    if (std::ranges::all_of(out.best, [](auto const& one) { return std::isfinite(number_of(one.first)); }))
      std::ranges::sort(out.best, {}, [](auto const& one) { return number_of(one.first); });
    return out;
  }

  std::optional<Section> values() const {
    std::vector<Reached> all;
    for (std::string const& field : varied_)
      if (Reached r = reached_with(field); r.best.size() > 1) all.push_back(std::move(r));
    if (all.empty()) return {};
    std::string show;
    for (Reached const& r : all) {
      HtmlTable t{.heads = {"<code>" + escape_html(r.field) + "</code>", "lowest val"}};
      double const lowest = std::ranges::min(r.best, {}, &std::pair<std::string, double>::second).second;
      for (auto const& [value, val] : r.best) {
        double const share = r.apart() > 0 ? (val - lowest) / r.apart() : 0;
        std::string const cell = fmt::format(
            "{:.3f}<span class=\"bar\" style=\"width:{:.0f}px;--k:var(--axis)\"></span>", val, 4 + 56 * share);
        t.rows.push_back({escape_html(value), val == lowest ? "<td class=\"best\">" + cell + "</td>" : cell});
      }
      show += "<div>" + report::markup_of(t) + "</div>";
    }
    Reached const& most = *std::ranges::max_element(all, {}, &Reached::apart);
    bool const of_grid =  // else what differs besides is not the same for each value
        std::ranges::none_of(sweep_.settings(), [](Setting const& one) { return one.of == Setting::Of::random; });
    bool const cut = std::ranges::any_of(ranking_, [&](Ranked const& r) { return r.step < ranking_[0].step; });
    return Section{
        .id = "values",
        .link = "Values",
        .title = !of_grid         ? "What each value reached"
                 : all.size() > 1 ? fmt::format("{} matters most: {:.3f} between its values", most.field, most.apart())
                                  : fmt::format("{:.3f} between the values of {}", most.apart(), most.field),
        .says = {fmt::format("The lowest validation loss with each value of what [grid] and [random] vary{}.",
                             cut ? fmt::format(", after {} steps", report::grouped(ranking_[0].step)) : "")},
        .how = "A bar is what lies over the best value’s loss.",
        .show = "<div class=\"pair\">" + show + "</div>"};
  }

  // ---- weights that decay

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

  template <class PointsOf>
  std::string figure(std::string const& id, std::string const& head, std::string const& unit,
                     PointsOf points_of) const {
    std::vector<std::vector<Point>> lines;
    bool drawn = false;
    for (Drawn const& d : all_.runs) lines.push_back(points_of(d)), drawn = drawn || lines.back().size() > 1;
    auto const axis = axis_of(lines, true);
    if (!drawn || !axis) return "";
    report::Figure f = step_figure(all_,
                                   {.id = id,
                                    .head = head,
                                    .unit = unit.empty() ? "log scale" : unit + ", log scale",
                                    .description = head + " by step",
                                    .height = 220,
                                    .y = "short"},
                                   *axis, 5);
    for (size_t i = 0; i < lines.size(); ++i)
      if (lines[i].size() > 1) {
        add_series(all_, all_.runs[i], f, lines[i], "", "", false);
        f.plot.end_label(all_.runs[i].key, lines[i].back().y, all_.runs[i].letter);
      }
    return f.markup();
  }

  std::optional<Section> decay() const {
    std::set<std::string> any;  // decay in some run: their norm is told of all runs
    for (Drawn const& d : all_.runs)
      for (TensorRule const& rule : d.run.rules)
        if (rule.optimizer.decay > 0) any.insert(rule.name);
    std::string const norm = figure("norms", "Norm of the weights that decay", "", [&](Drawn const& d) {
      return sums(
          d.history, [&](std::string const& name) { return double(any.contains(name)); }, true);
    });
    std::string const penalty = figure("penalty", "Penalty of the decay", "½ · decay · norm²", [](Drawn const& d) {
      std::map<std::string, double> decays;
      for (TensorRule const& rule : d.run.rules) decays[rule.name] = rule.optimizer.decay;
      return sums(
          d.history, [&](std::string const& name) { return 0.5 * decays[name]; }, false);
    });
    if (norm.empty() && penalty.empty()) return {};
    return Section{.id = "decay",
                   .link = "Decay",
                   .title = "What the decay holds",
                   .says = {"The norm of the tensors that decay in some run, and the penalty that a decay of this "
                            "strength stands for."},
                   .show = norm + penalty};
  }

  Sweep const& sweep_;
  std::vector<Ranked> ranking_;
  std::vector<std::string> varied_;
  bool several_seeds_;
  DrawnRuns runs_;
  Drawing const& all_;
};

}  // namespace

size_t best_run(Sweep const& sweep, Ranked const& r) {
  size_t best = sweep.runs().size();
  for (size_t i = 0; i < sweep.runs().size(); ++i) {
    SweepRun const& run = sweep.runs()[i];
    if (run.setting != r.setting) continue;
    if (best == sweep.runs().size() || run.val < sweep.runs()[best].val || std::isnan(sweep.runs()[best].val)) best = i;
  }
  return best;
}

std::string finding_of(Sweep const& sweep) {
  auto const ranks = sweep.ranking();
  // Names that are too long for a title are said by their letters in the page, which go by rank.
  constexpr size_t kLong = 36;
  auto const text = [&](size_t rank) { return sweep.settings()[ranks[rank].setting].name; };
  bool is_long = false;
  for (size_t rank = 0; rank < std::min<size_t>(2, ranks.size()); ++rank)
    is_long = is_long || report::display_width(text(rank)) > kLong;
  auto const name = [&](size_t rank) { return is_long ? report::letter_of(rank) : "“" + text(rank) + "”"; };
  if (ranks.empty() || !std::isfinite(ranks[0].val)) return "No run has been evaluated yet";
  if (!ranks[0].learnt()) return "No setting learns: no validation loss is below that of guessing";
  std::string const best = fmt::format("{} reaches the lowest validation loss, {:.3f}", name(0), ranks[0].val);
  if (ranks.size() < 2 || !ranks[1].learnt()) return best;
  double const noise = std::max(ranks[0].deviation, ranks[1].deviation);
  if (int64_t const step = std::min(ranks[0].step, ranks[1].step); step < ranks[0].step)
    return fmt::format("{}; at step {}, the last of {}, {:.3f} against {:.3f}", best, report::grouped(step), name(1),
                       sweep.val_by(ranks[0].setting, step), sweep.val_by(ranks[1].setting, step));
  double const apart = ranks[1].val - ranks[0].val;
  if (noise > 0 && apart < noise) return fmt::format("{}; {} is as good within what seeds differ by", best, name(1));
  return fmt::format("{}, {:.3f} below {}", best, std::max(0.0, apart), name(1));
}

std::string val_text(Ranked const& r, int digits) {
  if (!std::isfinite(r.val)) return "-";
  return r.learnt() ? loss_number(r.val, digits) : "> ln V";
}

std::string deviation_text(Ranked const& r, int digits) {
  return r.learnt() ? fmt::format("{:.{}f}", r.deviation, digits) : "-";
}

std::string sweep_page(Sweep const& sweep, std::vector<ReportedRun> const& drawn, ReportedBy const& by) {
  return Page(sweep, drawn).html(by);
}

}  // namespace folio::train

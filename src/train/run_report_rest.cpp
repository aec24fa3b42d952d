// Diagnosis cards, the table of numbers, samples, settings.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/chart.h"
#include "report/html.h"
#include "report/table.h"
#include "train/diagnosis.h"
#include "train/run_report_parts.h"

namespace folio::train {

using report::escape_html;

report::Level level_of(Finding const& f) {
  switch (severity_of(f)) {
    case Severity::healthy:
      return report::Level::ok;
    case Severity::warning:
      return report::Level::warning;
    default:
      return report::Level::bad;
  }
}

namespace {

constexpr size_t kMostCards = 8, kMostLesser = 3, kMostEvidence = 3;

std::string lesser_findings(Drawn const& d) {
  std::string out;
  auto const& all = d.run.findings;
  for (size_t i = 1; i < std::min(all.size(), kMostLesser + 1); ++i)
    out += fmt::format("<p class=\"lesser\">{} &ensp;from step {}: {}</p>",
                       report::state(level_of(all[i]), title_of(all[i])), step_text(all[i].since),
                       all[i].evidence.empty() ? "" : escape_html(report::with_minus(all[i].evidence[0])));
  return out;
}

std::string card_of(Drawn const& d, Finding const& f) {
  report::Verdict v{.level = level_of(f),
                    .head = name_of(d),
                    .state = title_of(f),
                    .evidence = f.evidence,
                    .advice = f.advice,
                    .flags = f.flags,
                    .lesser = lesser_findings(d)};
  if (v.evidence.size() > kMostEvidence) v.evidence.resize(kMostEvidence);
  for (std::string& e : v.evidence) e = report::with_minus(e);
  return report::markup_of(v);
}

// ---- numbers

struct Metric {
  std::string name;  // markup
  std::function<double(Drawn const&)> value;
  std::function<std::string(Drawn const&)> text;
  int better;  // −1: less, 1: more, 0: neither
};

std::string at_step(std::string const& text, int64_t step) {
  return fmt::format("{} <span class=\"soft\">at {}</span>", text, step_text(step));
}

std::vector<Metric> metrics_of(Drawing const& all) {
  auto const number = [](double Summary::*value) { return [value](Drawn const& d) { return d.numbers.*value; }; };
  auto const loss = [](double Summary::*value) {
    return [value](Drawn const& d) { return report::loss_text(d.numbers.*value); };
  };
  bool const val = std::ranges::all_of(all.runs, [](Drawn const& d) { return d.numbers.judged_by_val; });
  std::string const judged = val ? "val loss" : "loss";
  std::vector<Metric> m = {
      {"best " + judged, number(&Summary::best),
       [](Drawn const& d) {
         return std::isfinite(d.numbers.best) ? at_step(report::loss_text(d.numbers.best), d.numbers.best_step) : "–";
       },
       -1},
      {"final " + judged, number(&Summary::final), loss(&Summary::final), -1},
      {"final train loss", number(&Summary::final_train), loss(&Summary::final_train), 0},
      {"gap, val less train", number(&Summary::gap), loss(&Summary::gap), 0},
      {"first loss", number(&Summary::first), loss(&Summary::first), 0},
      {"share of the loss removed", number(&Summary::removed),
       [](Drawn const& d) { return report::share_text(d.numbers.removed); }, 1},
      {"steps to half of it",
       [](Drawn const& d) { return d.numbers.half_step < 0 ? NAN : double(d.numbers.half_step); },
       [](Drawn const& d) { return d.numbers.half_step < 0 ? std::string("–") : step_text(d.numbers.half_step); }, 0},
      {"bits a byte, best", number(&Summary::best_bits_per_byte), loss(&Summary::best_bits_per_byte), -1},
      {"steps", [](Drawn const& d) { return double(d.numbers.last_step); },
       [](Drawn const& d) {
         return step_text(d.numbers.last_step) +
                (d.run.configured && d.run.options.steps != d.numbers.last_step
                     ? fmt::format(" <span class=\"soft\">of {}</span>", step_text(d.run.options.steps))
                     : "");
       },
       0},
      {"tokens seen", [](Drawn const& d) { return d.tokens_a_step > 0 ? d.tokens_a_step : NAN; },
       [](Drawn const& d) {
         return d.tokens_a_step > 0 ? report::count_text(d.tokens_a_step * double(d.numbers.last_step)) : "–";
       },
       0},
      {"time", number(&Summary::seconds),
       [](Drawn const& d) { return std::isfinite(d.numbers.seconds) ? report::time_text(d.numbers.seconds) : "–"; }, 0},
      {"tokens a second, median", number(&Summary::median_speed),
       [](Drawn const& d) {
         return std::isfinite(d.numbers.median_speed) ? report::count_text(d.numbers.median_speed) : "–";
       },
       1},
      {"peak memory", number(&Summary::peak_memory),
       [](Drawn const& d) {
         return std::isfinite(d.numbers.peak_memory) ? report::bytes_text(d.numbers.peak_memory) : "–";
       },
       0}};
  std::erase_if(m, [&](Metric const& one) {
    return std::ranges::none_of(all.runs, [&](Drawn const& d) { return std::isfinite(one.value(d)); });
  });
  return m;
}

// Where several runs have a value, the best cell is bold; as it is shown: equal texts are equal.
std::vector<std::string> cells_of(Drawing const& all, Metric const& m) {
  std::vector<std::string> cells;
  double best = NAN;
  for (Drawn const& d : all.runs) {
    double const v = m.value(d);
    cells.push_back(m.text(d));
    if (m.better != 0 && std::isfinite(v) && (std::isnan(best) || m.better * v > m.better * best)) best = v;
  }
  bool const differ =
      std::ranges::any_of(all.runs, [&](Drawn const& d) { return std::isfinite(m.value(d)) && m.value(d) != best; });
  if (all.several() && differ && (comparable(all) || m.name.find("loss") == std::string::npos))
    for (size_t i = 0; i < cells.size(); ++i)
      if (m.value(all.runs[i]) == best) cells[i] = "<td class=\"best\">" + cells[i] + "</td>";
  return cells;
}

}  // namespace

std::optional<report::Section> verdict_section(Drawing const& all) {
  std::string cards, rest;
  size_t n = 0;
  std::vector<Drawn const*> order;
  for (Drawn const& d : all.runs)
    if (Finding const* f = main_finding(d); f && (all.healthy_cards || f->state != State::healthy)) order.push_back(&d);
  bool const too_many = order.size() > kMostCards;
  for (Drawn const* d : order) {  // with many runs the healthy ones are told in a line each
    Finding const& f = *main_finding(*d);
    if (too_many && (f.state == State::healthy || n >= kMostCards))
      rest += fmt::format("<p style=\"margin:0 0 6px\">{} &ensp;{}</p>", report::state(level_of(f), title_of(f)),
                          name_of(*d));
    else cards += card_of(*d, f), ++n;
  }
  if (order.empty()) return {};
  return report::Section{.id = "verdict",
                         .link = "Diagnosis",
                         .title = "Diagnosis",
                         .says = {all.several() ? "What each run’s own numbers say, and the flags to paste."
                                                : "What the run’s own numbers say, and the flags to paste."},
                         .how = "The rules and their thresholds: docs/diagnosis.md",
                         .show = (cards.empty() ? "" : "<div class=\"verdicts\">" + cards + "</div>") +
                                 (rest.empty() ? "" : "<div>" + rest + "</div>")};
}

std::optional<report::Section> numbers_section(Drawing const& all) {
  auto metrics = metrics_of(all);
  if (std::ranges::none_of(all.runs, [](Drawn const& d) { return std::isfinite(d.numbers.first); })) return {};
  report::HtmlTable table;
  if (all.runs.size() <= 4) {
    table.heads = {""};
    for (Drawn const& d : all.runs) table.heads.push_back(all.several() ? name_of(d) : name_of(d));
    for (Metric const& m : metrics) {
      std::vector<std::string> row = {m.name};
      for (std::string& cell : cells_of(all, m)) row.push_back(std::move(cell));
      table.rows.push_back(std::move(row));
    }
  } else {
    static std::set<std::string> const kShown = {"best val loss", "final val loss",      "best loss",
                                                 "final loss",    "gap, val less train", "steps to half of it",
                                                 "time"};
    std::erase_if(metrics, [](Metric const& m) { return !kShown.contains(m.name); });
    table.heads = {"run"};
    for (Drawn const& d : all.runs) table.rows.push_back({name_of(d)});
    for (Metric const& m : metrics) {
      table.heads.push_back(m.name);
      auto cells = cells_of(all, m);
      for (size_t i = 0; i < cells.size(); ++i) table.rows[i].push_back(std::move(cells[i]));
    }
    for (size_t c = 3; c < table.heads.size(); ++c) table.wide.push_back(c);
  }
  return report::Section{
      .id = "numbers",
      .link = "Numbers",
      .title = "In numbers",
      .says = all.several() ? std::vector<std::string>{"Bold: the best of each."} : std::vector<std::string>{},
      .how =
          fmt::format("Losses in nats a token. Share of the loss removed: from the first {} loss to the best. Half of "
                      "it: when half of that way was done.",
                      judged_words(all)),
      .show = report::markup_of(table)};
}

// ---- samples

namespace {

constexpr size_t kMostSamples = 8, kMostBytes = 1200;

std::string cut(std::string const& text) {
  if (text.size() <= kMostBytes) return text;
  size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + " …";
}

std::string one_sample(Drawing const& all, Drawn const& d, int64_t step, bool with_prompt) {
  auto const at = std::ranges::find(d.history.samples, step, &Sample::step);
  if (at == d.history.samples.end()) return all.several() ? "<div></div>" : "";
  auto const eval = std::ranges::find(d.history.evals, step, &EvalReport::step);
  std::string head = all.several() ? report::chip(d.key, d.letter) : "";
  if (eval != d.history.evals.end() && std::isfinite(eval->val)) head += " val " + report::loss_text(eval->val);
  if (with_prompt) head += " <span class=\"soft\">after “" + escape_html(cut(at->prompt)) + "”</span>";
  return fmt::format("<div>{}<pre>{}</pre></div>", head.empty() ? "" : "<p>" + head + "</p>",
                     escape_html(cut(at->text)));
}

}  // namespace

std::optional<report::Section> samples_section(Drawing const& all) {
  std::set<int64_t> found;
  std::set<std::string> prompts;
  std::vector<Drawn const*> runs;
  for (Drawn const* d : all.hued()) {
    if (d->history.samples.empty()) continue;
    runs.push_back(d);
    for (Sample const& s : d->history.samples) found.insert(s.step), prompts.insert(s.prompt);
  }
  if (found.empty()) return {};
  std::vector<int64_t> const steps(found.begin(), found.end());
  size_t const n = std::min(steps.size(), kMostSamples);
  std::string show;
  for (size_t i = 0; i < n; ++i) {
    int64_t const step = steps[n == 1 ? steps.size() - 1 : i * (steps.size() - 1) / (n - 1)];
    show += fmt::format("<div class=\"sample\" style=\"--n:{}\"><b>step {}</b>", runs.size(), step_text(step));
    for (Drawn const* d : runs) show += one_sample(all, *d, step, prompts.size() > 1);
    show += "</div>\n";
  }
  std::vector<std::string> says;
  if (prompts.size() == 1)
    says.push_back(prompts.begin()->find_first_not_of(" \n\t") == std::string::npos
                       ? "The same prompt each time, an empty line or less."
                       : fmt::format("The same prompt each time: “{}”.", cut(*prompts.begin())));
  if (n < steps.size()) says.push_back(fmt::format("{} of {} samples, evenly chosen.", n, steps.size()));
  return report::Section{.id = "samples",
                         .link = "Samples",
                         .title = all.several() ? "What they write" : "What it writes",
                         .says = std::move(says),
                         .show = "<div>" + show + "</div>"};
}

// ---- settings

namespace {

constexpr size_t kMostColumns = 6;  // of settings, with a row a run

std::string value_of(Drawn const& d, std::string const& name) {
  for (auto const& [key, value] : d.run.settings)
    if (key == name) return value;
  return "–";
}

std::vector<std::string> names_of(Drawing const& all) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (Drawn const& d : all.runs)
    for (auto const& [name, value] : d.run.settings)
      if (seen.insert(name).second) names.push_back(name);
  return names;
}

}  // namespace

namespace {

// Of the runs whose configuration could be read.
bool differs(Drawing const& all, std::string const& name) {
  std::set<std::string> values;
  for (Drawn const& d : all.runs)
    if (!d.run.settings.empty()) values.insert(value_of(d, name));
  return values.size() > 1;
}

bool derived(Drawing const& all, std::string const& name) {  // in each of them
  return std::ranges::all_of(all.runs, [&](Drawn const& d) {
    return d.run.settings.empty() || std::ranges::find(d.run.derived, name) != d.run.derived.end();
  });
}

}  // namespace

std::vector<std::string> settings_that_differ(Drawing const& all) {
  std::vector<std::string> names;
  for (std::string const& name : names_of(all))
    if (differs(all, name) && !derived(all, name)) names.push_back(name);
  return names;
}

std::optional<report::Section> settings_section(Drawing const& all) {
  auto const names = names_of(all), differ = settings_that_differ(all);
  if (names.empty()) return {};
  report::HtmlTable table{.heads = {"setting"}};
  std::string same, others;
  size_t equal = 0;
  auto const shown = [](std::string const& value) { return value.empty() ? std::string("–") : escape_html(value); };
  bool const across = all.runs.size() <= 4;
  for (std::string const& name : names) {
    if (differs(all, name)) continue;
    ++equal;
    if (std::string const value = value_of(all.runs[0], name); !value.empty())
      same += fmt::format("{}<span>{} {}</span>", same.empty() ? "" : " · ", escape_html(name), shown(value));
  }
  if (across) {
    for (Drawn const& d : all.runs) table.heads.push_back(report::chip(d.key, d.letter));
    for (std::string const& name : differ) {
      std::vector<std::string> row = {"<code>" + escape_html(name) + "</code>"};
      for (Drawn const& d : all.runs) row.push_back("<code>" + shown(value_of(d, name)) + "</code>");
      table.rows.push_back(std::move(row));
    }
  } else {
    size_t const columns = std::min(differ.size(), kMostColumns);
    table.heads = {"run"};
    for (size_t c = 0; c < columns; ++c) table.heads.push_back(escape_html(differ[c]));
    for (size_t c = 4; c < table.heads.size(); ++c) table.wide.push_back(c);
    for (Drawn const& d : all.runs) {
      std::vector<std::string> row = {name_of(d)};
      for (size_t c = 0; c < columns; ++c) row.push_back(shown(value_of(d, differ[c])));
      table.rows.push_back(std::move(row));
      if (columns == differ.size()) continue;
      others += "<p style=\"margin:0 0 6px\">" + name_of(d) + " <code>";
      for (size_t c = columns; c < differ.size(); ++c)
        others +=
            fmt::format("{}{} {}", c > columns ? " · " : "", escape_html(differ[c]), shown(value_of(d, differ[c])));
      others += "</code></p>";
    }
  }
  std::string const folded = "<p class=\"soft\" style=\"margin:0\"><code>" + same + "</code></p>";
  std::string show = differ.empty() ? "" : report::markup_of(table);
  if (!all.several()) show = report::details(fmt::format("All {} settings", equal), folded);
  else if (!others.empty()) show += report::details("The other settings that differ", others);
  if (all.several() && equal > 0) show += report::details(fmt::format("{} settings are the same", equal), folded);
  return report::Section{.id = "config",
                         .link = "Settings",
                         .title = !all.several()       ? "Settings"
                                  : differ.empty()     ? "Nothing differs in their settings"
                                  : differ.size() <= 3 ? fmt::format("They differ in {}", report::joined_words(differ))
                                                       : fmt::format("They differ in {} settings", differ.size()),
                         .show = show};
}

}  // namespace folio::train

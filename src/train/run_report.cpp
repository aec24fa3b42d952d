#include "train/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "embedded/kChartScript.h"
#include "model/sizes.h"
#include "report/html.h"
#include "train/run_report_parts.h"

namespace folio::train {
namespace {

constexpr size_t kHues = 4, kManyRuns = 8;

// Lines that a log should not have, steps that do not rise, would draw a line back and forth.
template <class Line>
void keep_rising(std::vector<Line>& lines, int64_t from) {
  int64_t last = from - 1;
  std::erase_if(lines, [&](Line const& line) {
    if (line.step <= last) return true;
    last = line.step;
    return false;
  });
}

History cleaned(History h) {
  keep_rising(h.steps, 1);
  keep_rising(h.evals, 0);
  keep_rising(h.statistics, 0);
  keep_rising(h.samples, 0);
  std::ranges::stable_sort(h.findings, {}, &Finding::step);
  return h;
}

// Of more runs than hues those have one that were named first, the best and the worst.
void give_hues(std::vector<Drawn>& runs) {
  static constexpr char const* kKeys[] = {"a", "b", "c", "d"};
  std::vector<size_t> chosen;
  auto const choose = [&](size_t i) {
    if (chosen.size() < kHues && std::ranges::find(chosen, i) == chosen.end()) chosen.push_back(i);
  };
  if (runs.size() > kHues) {
    std::vector<size_t> order;  // of those that have a loss, the best first
    for (size_t i = 0; i < runs.size(); ++i)
      if (std::isfinite(runs[i].numbers.best)) order.push_back(i);
    std::ranges::stable_sort(order, {}, [&](size_t i) { return runs[i].numbers.best; });
    choose(0), choose(1);
    if (!order.empty()) choose(order.front()), choose(order.back());
  }
  for (size_t i = 0; i < runs.size(); ++i) choose(i);
  std::ranges::sort(chosen);
  for (size_t i = 0; i < chosen.size(); ++i) runs[chosen[i]].key = kKeys[i], runs[chosen[i]].hued = true;
}

}  // namespace

DrawnRuns::DrawnRuns(std::vector<ReportedRun> const& runs) {
  for (ReportedRun const& r : runs) histories.push_back(cleaned(r.history));
  for (size_t i = 0; i < runs.size(); ++i) {
    ReportedRun const& r = runs[i];
    History const& h = histories[i];
    all.runs.push_back(
        {.run = r,
         .history = h,
         .letter = report::letter_of(i),
         .key = "more",
         .hued = false,
         .numbers = summary_of(h),
         .phases = phases_of(h.evals, r.configured ? std::log(double(r.config.vocab)) : NAN),
         .tokens_a_step =
             r.configured ? double(r.options.batch) * double(r.options.accumulate) * double(r.config.context) : 0});
    all.last_step = std::max(all.last_step, double(all.runs.back().numbers.last_step));
  }
  if (runs.size() > kManyRuns) all.columns /= 2;
  give_hues(all.runs);
}

namespace {

std::string parameters_text(Drawing const& all) {
  int64_t least = INT64_MAX, most = 0;
  for (Drawn const& d : all.runs) {
    if (!d.run.configured) continue;
    int64_t const n = model::count_parameters(d.run.config).total();
    least = std::min(least, n), most = std::max(most, n);
  }
  if (most == 0) return "";
  std::string const text = report::count_text(double(most)) + kBlank + "parameters";
  return least == most ? text : report::count_text(double(least)) + " to " + text;
}

std::string progress_of(Drawn const& d) {
  Summary const& s = d.numbers;
  std::string out = fmt::format("running: step {} of {}", step_text(s.last_step), step_text(d.run.options.steps));
  if (s.last_step > 0 && std::isfinite(s.seconds) && d.run.options.steps > s.last_step)
    out += fmt::format(", {} left",
                       report::time_text(s.seconds / double(s.last_step) * double(d.run.options.steps - s.last_step)));
  return out;
}

std::vector<std::string> facts_of(Drawing const& all) {
  std::vector<std::string> facts;
  if (all.several()) facts.push_back(fmt::format("{} runs", all.runs.size()));
  else facts.push_back(all.runs[0].run.name);
  std::vector<std::string> data;
  for (Drawn const& d : all.runs)
    if (!d.run.data.empty() && std::ranges::find(data, d.run.data) == data.end()) data.push_back(d.run.data);
  if (data.size() == 1) facts.push_back(data[0]);
  else if (!data.empty()) facts.push_back(fmt::format("{} sets of data", data.size()));
  if (std::string const text = parameters_text(all); !text.empty()) facts.push_back(text);
  for (Drawn const& d : all.runs)
    if (d.run.running) facts.push_back((all.several() ? d.letter + " " : "") + progress_of(d));
  return facts;
}

std::string notes_of(Drawing const& all) {
  std::string out;
  for (Drawn const& d : all.runs) {
    std::string const who = all.several() ? d.letter + " " + d.run.name + "." : "";
    auto const add = [&](std::string const& strong, std::string const& text) {
      out += report::note(who.empty() ? strong : who + " " + strong, text);
    };
    if (!d.history.damage.empty()) add("The log is damaged.", d.history.damage + ".");
    if (!d.run.lacks.empty()) add("Not all could be read.", d.run.lacks);
    if (d.history.steps.empty() && d.run.lacks.empty())
      add("No step yet.",
          d.run.running ? "Its first is being made; write this page again in a while." : "Nothing was trained.");
    else if (d.history.evals.empty() && d.run.lacks.empty())
      add("No evaluation yet.", "Its first is missing in the log.");
    if (!d.run.running && d.run.configured && d.numbers.last_step > 0 && d.numbers.last_step < d.run.options.steps)
      add("Not finished.",
          fmt::format(
              "It ended at step {} of {}{}", step_text(d.numbers.last_step), step_text(d.run.options.steps),
              d.history.notes.empty() || d.history.notes.back().type != "stop" || d.history.notes.back().why.empty()
                  ? std::string(".")
                  : fmt::format(" ({}).", d.history.notes.back().why)));
  }
  return out;
}

std::string plain_title(std::vector<ReportedRun> const& runs) {
  std::string title = "folio report: ";
  for (size_t i = 0; i < std::min<size_t>(runs.size(), 3); ++i) title += (i ? ", " : "") + runs[i].name;
  return title + (runs.size() > 3 ? ", …" : "");
}

}  // namespace

std::string page_of(PageWords const& words, std::vector<report::Section> const& sections, ReportedBy const& by) {
  std::string body = "<header>\n" + report::mast(words.kind, words.facts);
  body += "<h1>" + report::escape_html(words.headline) + "</h1>\n<p class=\"lede\">" + report::escape_html(words.lede) +
          "</p>\n";
  body += report::contents_of(sections) + words.notes + "</header>\n<main>\n";
  for (report::Section const& s : sections) body += report::markup_of(s);
  std::vector<std::string> foot = {fmt::format("Written by <code>{}</code> · {}.", report::escape_html(by.command),
                                               report::escape_html(by.version))};
  for (std::string const& how : words.how) foot.push_back(report::escape_html(how));
  body += "</main>\n" + report::footer(foot);
  return report::html({.title = words.title, .body = std::move(body), .data = "", .script = kChartScript});
}

std::string run_report(std::vector<ReportedRun> const& runs, ReportedBy const& by) {
  check(!runs.empty(), "a report of no run");
  DrawnRuns const drawn(runs);
  Drawing const& all = drawn.all;
  std::vector<report::Section> sections;
  for (auto const section : {verdict_section, numbers_section, loss_section, steering_section, layers_section,
                             weights_section, speed_section, samples_section, settings_section})
    if (auto one = section(all)) sections.push_back(std::move(*one));
  return page_of({.kind = "report",
                  .title = plain_title(runs),
                  .facts = facts_of(all),
                  .headline = headline(all),
                  .lede = lede(all),
                  .notes = notes_of(all),
                  .how = {how_drawn(all)}},
                 sections, by);
}

Json run_report_json(std::vector<ReportedRun> const& runs) {
  DrawnRuns const drawn(runs);
  Drawing const& all = drawn.all;
  auto const step = [](int64_t v) { return v >= 0 ? Json(v) : Json(nullptr); };
  Json list = Json::array();
  for (Drawn const& d : all.runs) {
    Summary const& s = d.numbers;
    Json phases = Json::array(), findings = Json::array(), settings = Json::object();
    for (PhaseAt const& p : d.phases)
      phases.push_back({{"step", p.step}, {"phase", name_of(p.phase)}, {"gain", finite_or_null(p.gain)}});
    for (Finding const& f : d.run.findings) findings.push_back(to_json(f));
    for (auto const& [name, value] : d.run.settings) settings[name] = value;
    list.push_back({{"run", d.run.name},
                    {"letter", d.letter},
                    {"running", d.run.running},
                    {"steps", s.last_step},
                    {"judged_by", s.judged_by_val ? "val" : "train"},
                    {"first", finite_or_null(s.first)},
                    {"final", finite_or_null(s.final)},
                    {"final_train", finite_or_null(s.final_train)},
                    {"best", finite_or_null(s.best)},
                    {"best_step", s.best_step},
                    {"best_bits_per_byte", finite_or_null(s.best_bits_per_byte)},
                    {"gap", finite_or_null(s.gap)},
                    {"removed", finite_or_null(s.removed)},
                    {"half_step", step(s.half_step)},
                    {"broken_step", step(s.broken_step)},
                    {"refused", s.refused},
                    {"spikes", d.history.spikes.size()},
                    {"rollbacks", d.history.rollbacks.size()},
                    {"overflowed", s.overflowed},
                    {"seconds", finite_or_null(s.seconds)},
                    {"tokens_per_second", finite_or_null(s.median_speed)},
                    {"memory_bytes", finite_or_null(s.peak_memory)},
                    {"phases", std::move(phases)},
                    {"diagnosis", std::move(findings)},
                    {"damage", d.history.damage},
                    {"lacks", d.run.lacks},
                    {"settings", std::move(settings)}});
  }
  return {{"finding", headline(all)}, {"runs", std::move(list)}};
}

}  // namespace folio::train

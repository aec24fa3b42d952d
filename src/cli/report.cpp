// folio report: a page of one or several runs, from what they have logged so far.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/reported_run.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "report/pieces.h"
#include "report/table.h"
#include "train/diagnosis.h"
#include "train/run_report.h"
#include "train/summary.h"

namespace folio::cli {
namespace {

using report::grouped;
using train::ReportedRun;

struct Options {
  std::vector<std::string> runs;
  std::string out;
  bool json = false;
};

Spec spec_of(Options& o) {
  return {
      .name = "report",
      .summary = "write a page that draws and explains one or several runs",
      .details =
          "The page is one file that needs no network: losses by step, tokens and time, learning rate, gradients by "
          "layer, weights, speed, samples, the diagnosis with flags to paste, and what differs between the runs. It "
          "reads what the runs have logged and locks nothing, so it can be written again while they go on.",
      .example =
          "folio report runs/first\n"
          "folio report runs/first runs/second --out compared.html\n"
          "folio report runs/first --json",
      .positionals = {{"RUN", &o.runs, "run directories, which become A, B, C … in this order", 1, 1000}},
      .fields = {{"out", &o.out, "the page; report.html where it is not given", {.form = "FILE.html"}, "Output"},
                 {"json",
                  &o.json,
                  "print the numbers, phases and findings as one JSON object; the page is written only with --out",
                  {},
                  "Output"}}};
}

// The last part of each path, or all of it where two would be named alike.
std::vector<std::string> names_of(std::vector<std::string> const& paths) {
  auto const last = [](std::string const& path) {
    Path const clean = std::filesystem::absolute(path).lexically_normal();
    return (clean.has_filename() ? clean : clean.parent_path()).filename().string();
  };
  std::vector<std::string> names;
  for (std::string const& path : paths)
    names.push_back(std::ranges::count(paths, last(path), last) > 1 ? path : last(path));
  return names;
}

// Of several runs one that cannot be read is named in the page, and the others are drawn.
std::vector<ReportedRun> read_runs(std::vector<std::string> const& paths) {
  auto const names = names_of(paths);
  std::vector<ReportedRun> runs;
  for (size_t i = 0; i < paths.size(); ++i) {
    try {
      runs.push_back(reported_run(paths[i], names[i]));
    } catch (Error const& e) {
      if (paths.size() == 1 || e.fault == Fault::missing) throw;
      say(Level::warning, fmt::format("{}; the page names it and draws the others", e.what()));
      runs.push_back({.name = names[i], .history = {}, .lacks = e.what()});
    }
    if (!runs.back().history.damage.empty()) say(Level::warning, runs.back().history.damage);
  }
  return runs;
}

std::string table_of(std::vector<ReportedRun> const& runs) {
  report::Table table({{"", false}, {"run", false}, {"state", false}, {"best"}, {"at"}, {"final"}, {"gap"}, {"steps"}});
  auto const loss = [](double v) { return std::isfinite(v) ? train::loss_number(v) : std::string("-"); };
  for (size_t i = 0; i < runs.size(); ++i) {
    train::Summary const s = summary_of(runs[i].history);
    table.row({report::letter_of(i), runs[i].name, runs[i].findings.empty() ? "-" : title_of(runs[i].findings[0]),
               loss(s.best), grouped(s.best_step), loss(s.final), loss(s.gap), grouped(s.last_step)});
  }
  return table.text();
}

}  // namespace

int report(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  auto const runs = read_runs(o.runs);
  if (!o.json || !o.out.empty()) {
    std::string const out = o.out.empty() ? "report.html" : o.out;
    std::string command = "folio report";
    for (std::string const& run : o.runs) command += " " + shell_quoted(run);
    write_file(out, train::run_report(runs, {.command = command, .version = version_line()}));
    say(fmt::format("written: {}", out));
  }
  print(o.json ? dump(run_report_json(runs), 2) + "\n" : table_of(runs));
  return 0;
}

}  // namespace folio::cli

// The sections of a run's report, and what they share.
#pragma once

#include <functional>
#include <optional>

#include "report/columns.h"
#include "report/figure.h"
#include "report/pieces.h"
#include "report/words.h"
#include "train/diagnosis.h"
#include "train/phases.h"
#include "train/run_report.h"
#include "train/summary.h"

namespace folio::train {

using report::kBlank;
using report::Point;

struct Drawn {  // a run, as every section draws it
  ReportedRun const& run;
  History const& history;  // its lines by rising step
  std::string letter, key;
  bool hued;  // has a colour of its own, and so is in the exhibits that would be too many
  Summary numbers;
  std::vector<PhaseAt> phases;
  double tokens_a_step = 0;  // 0: not known
};

struct Drawing {
  std::vector<Drawn> runs;
  double last_step = 1;       // of all
  size_t columns = 500;       // of a chart of all steps; fewer for many runs
  bool healthy_cards = true;  // whether a diagnosis of nothing is told
  bool several() const { return runs.size() > 1; }
  std::vector<Drawn const*> hued() const;
};

/// Runs without the lines that their logs should not have, and what every section draws of them. The runs outlive it.
struct DrawnRuns {
  explicit DrawnRuns(std::vector<ReportedRun> const&);
  DrawnRuns(DrawnRuns const&) = delete;  // `all` points into the histories
  std::vector<History> histories;
  Drawing all;
};

/// A page from its masthead to its foot. `how` is said at the foot.
struct PageWords {
  std::string kind, title;
  std::vector<std::string> facts;
  std::string headline, lede;
  std::string notes;  // markup
  std::vector<std::string> how = {};
};
std::string page_of(PageWords const&, std::vector<report::Section> const&, ReportedBy const&);

std::string how_drawn(Drawing const&);  // a sentence for the foot
std::string step_text(int64_t step);    // 1,250
std::string name_of(Drawn const&);      // markup: chip and name
report::Level level_of(Finding const&);
Finding const* main_finding(Drawn const&);  // null where there is none
/// When it began. Overfitting: at the best evaluation, whatever its grade now.
int64_t began(Drawn const&, Finding const&);
bool with_val(Drawing const&);             // whether any run has a validation split
std::string judged_words(Drawing const&);  // the loss by which runs are judged: val, or train where none has one
/// "A", or "the run" where it is alone.
std::string subject(Drawing const&, Drawn const&, bool at_start = false);
/// Points of the steps with a finite x.
std::vector<Point> points_of(std::vector<StepReport> const&, double StepReport::*value);
std::vector<Point> at_evals(Drawn const&, double EvalReport::*value);
/// A figure by step for all runs.
report::Figure step_figure(Drawing const&, report::Figure::Words, report::Axis y, double ticks_up);
/// Draws a series of a run as line and shade, reads it out.
void add_series(Drawing const&, Drawn const&, report::Figure&, std::vector<Point> const&, std::string const& name,
                std::string const& classes, bool shade);
/// The axis that holds all points of those given; none where there is no finite value.
std::optional<report::Axis> axis_of(std::vector<std::vector<Point>> const&, bool log);
/// A table of `heads` for each run at up to 21 evaluations or steps, folded.
std::string numbers_table(
    Drawing const&, std::vector<std::string> const& heads,
    std::function<std::vector<std::string>(Drawn const&, int64_t before, int64_t step)> const& row);

/// Whether their losses are of the same text in the same tokens, as far as names and vocabularies tell.
bool comparable(Drawing const&);

std::string headline(Drawing const&);
std::string lede(Drawing const&);
std::string title_of_losses(Drawing const&);
std::vector<std::string> settings_that_differ(Drawing const&);

std::optional<report::Section> verdict_section(Drawing const&);
std::optional<report::Section> numbers_section(Drawing const&);
std::optional<report::Section> loss_section(Drawing const&);
std::optional<report::Section> steering_section(Drawing const&);
std::optional<report::Section> layers_section(Drawing const&);
std::optional<report::Section> weights_section(Drawing const&);
std::optional<report::Section> speed_section(Drawing const&);
std::optional<report::Section> samples_section(Drawing const&);
std::optional<report::Section> settings_section(Drawing const&);

}  // namespace folio::train

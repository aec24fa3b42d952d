// A sweep as a page, from the pieces of a run's report: its finding, the settings ranked with their values, times and
// diagnosis, what each value reached, the curves of the best over one another, and, where the runs took statistics, the
// norm of the weights and the penalty of their decay.
#pragma once

#include "train/run_report.h"
#include "train/sweep.h"

namespace folio::train {

/// Of a setting the run that came lowest, by its place in runs(); the first where none has a loss.
size_t best_run(Sweep const&, Ranked const&);

/// So many curves a page has at most.
inline constexpr size_t kMostDrawn = 8;

/// One HTML file with nothing outside it; it links to runs/NAME.html where that is there. Of a sweep that goes on or
/// has no evaluation yet as well. `drawn`: the best runs of the first settings that learnt, by rank.
std::string sweep_page(Sweep const&, std::vector<ReportedRun> const& drawn, ReportedBy const&);

/// What the page is titled: a sentence.
std::string finding_of(Sweep const&);

/// For a table: with so many digits, "> ln V" of a setting that learnt nothing, "-" where there is none.
std::string val_text(Ranked const&, int digits);
std::string deviation_text(Ranked const&, int digits);

}  // namespace folio::train

// A sweep as a page: its finding, the runs ranked, their curves over one another, each setting that was varied against
// the validation loss, and, where the runs took statistics, the norm of the weights and the penalty of their decay.
#pragma once

#include "report/chart.h"
#include "train/sweep.h"

namespace folio::train {

/// One HTML file with nothing outside it. Of a sweep that goes on or has no evaluation yet as well.
std::string sweep_page(Sweep const&);

/// What the page is titled: a sentence.
std::string finding_of(Sweep const&);

/// For a table: with so many digits, "> ln V" of a setting that learnt nothing, "-" where there is none.
std::string val_text(Ranked const&, int digits);
std::string deviation_text(Ranked const&, int digits);

}  // namespace folio::train

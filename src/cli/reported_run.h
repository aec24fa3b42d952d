// A run directory as a report reads it: what it logged, what it was told, and what the diagnosis says of both.
#pragma once

#include "core/file.h"
#include "train/run_report.h"

namespace folio::cli {

/// Locks nothing. Where the configuration or the data cannot be read, that is warned of and the log alone is told.
/// Fault::missing for a folder that is no run.
train::ReportedRun reported_run(Path const& path, std::string const& name);

}  // namespace folio::cli

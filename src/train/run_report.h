// The report of one or several runs: a page that needs no network, whose titles are findings computed from the runs. It
// is written from logs alone, at any time, of runs that go on, have stopped or broke.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "model/config.h"
#include "train/history.h"
#include "train/options.h"

namespace folio::train {

struct ReportedRun {
  std::string name;  // as it was given
  History history;
  std::vector<Finding> findings = {};  // of diagnose(): the main one first
  bool configured = false;             // whether these four could be read
  RunOptions options = {};
  model::Config config = {};
  std::vector<TensorRule> rules = {};                              // what each tensor is moved by
  std::vector<std::pair<std::string, std::string>> settings = {};  // of config.toml: name, value
  std::vector<std::string> derived = {};  // of them those with the value that follows from others where not given
  std::string data = {};                  // its name
  bool running = false;                   // a process trains in it now
  std::string lacks = {};                 // a sentence where something of it could not be read
};

/// `command` is what wrote it, `version` the program's line of itself.
struct ReportedBy {
  std::string command, version;
};
std::string run_report(std::vector<ReportedRun> const&, ReportedBy const&);
Json run_report_json(std::vector<ReportedRun> const&);

}  // namespace folio::train

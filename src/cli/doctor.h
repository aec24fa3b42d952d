// What folio doctor finds, and what it can have proven.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/backend_choice.h"
#include "core/json.h"

namespace folio::cli {

enum class State { ok, warning, broken };

struct Finding {
  State state;
  std::string name, words;
  Json values = Json::object();
};
using Findings = std::vector<Finding>;

/// Gradients, learning, resuming: a finding each, in less than a minute.
Findings prove(BackendChoice const&);

}  // namespace folio::cli

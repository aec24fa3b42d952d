// What a sweep trains, as SPEC.toml says it:
//
//   data = "input.txt"          any flag of folio train: what all runs have in common
//   config = "base.toml"        the same from a file, beside SPEC; what stands here wins
//   seeds = [1, 2, 3]           each setting once with each of them; left out: the seed that all have in common
//
//   [grid]                      every combination of these values
//   lr = [1e-3, 3e-4]
//   weight-decay = [0.1, 0.01]
//
//   [random]                    so many settings, drawn
//   runs = 20
//   seed = 1                    of the draws
//   lr = { log-uniform = [1e-4, 1e-2] }
//   dropout = { uniform = [0, 0.3] }
//   layers = { int = [2, 8] }
//   decay = { choice = ["matrices", "linear"] }
//
//   [[list]]                    a setting of its own, which may change nothing
//   name = "baseline"
//   [[list]]
//   name = "half the rate"
//   lr = 5e-4
//
//   [halving]                   successive halving (Jamieson, Talwalkar 2016): at `first` steps, and each time that
//   first = 250                 number has grown eta times, the best 1/eta of the settings go on
//   eta = 3
//
// [grid], [random] and [[list]] may stand together: their settings are added up.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/fields.h"

namespace folio::train {

struct Setting {
  enum class Of { grid, random, list };
  std::string name;
  std::vector<std::pair<std::string, std::string>> values;  // a field and its text
  Of of = Of::grid;
};

struct Halving {
  int64_t eta = 3, first = 0;
};

struct SweepSpec {
  std::string config;             // of the key `config`; empty: none
  std::vector<std::string> base;  // the fields that the file sets for all runs
  std::vector<Setting> settings;  // at least one
  std::vector<uint64_t> seeds;    // empty: each run's own
  std::optional<Halving> halving;

  /// The fields that differ between settings, in the order of their first mention.
  std::vector<std::string> varied() const;
};

/// The key `config` alone, which is read before the others are set.
std::string config_of_sweep(std::string_view toml, std::string const& name);

/// Sets what all runs have in common in `base`. Each value of a setting is read once into `probe`, the same fields of
/// another object, so that a wrong one is refused here. Fault::content for what cannot be understood, for an unknown
/// key with the nearest known one, and where nothing is varied; Fault::value for a value out of range.
SweepSpec read_sweep(std::string_view toml, std::string const& name, Fields const& base, Fields const& probe);

}  // namespace folio::train

// One list of fields per options struct. It gives flags, help, environment names, TOML and JSON, so a new option is
// one line, and nothing else has to know it:
//
//   std::vector<Field> fields(Options& o) {
//     return {{"steps", &o.steps, "optimizer steps", {.min = 1}},
//             {"lr", &o.lr, "largest learning rate", {.min = 0}},
//             {"schedule", &o.schedule, "shape of the learning rate", {.choices = {"constant", "linear", "cosine",
//             "step"}}}};
//   }
//
// A name is the flag's (`--min-lr`); in files `min-lr`, in the environment FOLIO_MIN_LR.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace folio {

using Json = nlohmann::ordered_json;

struct Range {  // what a readable value must keep to; checked by set() with Fault::value
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool below_max = false;                 // max itself is refused (a dropout rate is below 1)
  bool above_min = false;                 // min itself is refused (a temperature is above 0)
  std::vector<std::string> choices = {};  // of a text; empty: any
};

struct Field {
  using Value = std::variant<bool*, int64_t*, uint64_t*, double*, std::string*, std::vector<std::string>*>;
  Field(std::string name, Value value, std::string help, Range range = {}, std::string group = "")
      : name(std::move(name)), value(value), help(std::move(help)), range(std::move(range)), group(std::move(group)) {}
  std::string name;  // words joined by '-'
  Value value;       // what it names; outlives the field
  std::string help;  // a phrase, without the default, which is the value when the help is printed
  Range range;
  std::string group;  // heading in --help
};
using Fields = std::vector<Field>;

/// Reads `text` into the field. Unparsable: Fault::usage; out of range or not a choice: Fault::value. `origin` names
/// where the text stood ("--lr", "FOLIO_LR", "run.toml, lr"). A list field appends.
void set(Field const&, std::string_view text, std::string const& origin);
std::string text_of(Field const&);    // as set() reads it back, exactly (floats shortest round-trip)
std::string type_name(Field const&);  // for help: TEXT, N, X, a|b|c; empty for a switch
Field const* find(Fields const&, std::string_view name);
std::string environment_name(std::string_view field);
Fields joined(std::initializer_list<Fields>);  // one list behind the other

Json to_json(Fields const&);
std::string to_toml(Fields const&);  // `version`, then key = value with the help as comment
/// Sets what the text names. A newer `version` than this folio's is refused; none is the first. An unknown key is
/// refused with the nearest known one; returns the names set.
std::vector<std::string> from_toml(Fields const&, std::string_view toml, std::string const& name);

/// The nearest of `known` for "did you mean", or empty where none is near (edit distance ≤ 1 + a third of the length).
std::string nearest(std::string_view given, std::vector<std::string> const& known);

}  // namespace folio

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
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api.h"

namespace folio {

struct Condition {  // of a field: it counts only where another has one of `values`; where those are empty, above 0
  std::string option;
  std::vector<std::string> values = {};
};

struct Range {  // what a readable value must keep to; checked by set() with Fault::value
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool below_max = false;                 // max itself is refused (a dropout rate is below 1)
  bool above_min = false;                 // min itself is refused (a temperature is above 0)
  std::vector<std::string> choices = {};  // of a text; empty: any. "cuda:N" stands for any whole number N
  std::string form = "";                  // for help: FILE, gpt2|char|DIR; empty: by the type
  bool by_flag_only = false;              // the variable of its name means something else
  std::vector<Condition> with = {};       // else its value is not looked at, which idle() tells; files hold it yet
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
FOLIO_API void set(Field const&, std::string_view text, std::string const& origin);
FOLIO_API std::string text_of(Field const&);    // as set() reads it back, exactly (floats shortest round-trip)
FOLIO_API std::string type_name(Field const&);  // for help: TEXT, N, X, a|b|c; empty for a switch
FOLIO_API Field const* find(Fields const&, std::string_view name);  // null where there is none
/// Empty where the field counts beside the others; else what to say to someone who gave it: what stands against it,
/// under what it would count, and what to do. A switch that is off asks for nothing.
FOLIO_API std::string idle(Fields const&, Field const&, std::string const& origin);
FOLIO_API std::string environment_name(std::string_view field);  // FOLIO_MIN_LR
FOLIO_API Fields joined(std::initializer_list<Fields>);          // one list behind the other

/// `version`, then key = value, a line each, with a comment, which is the help where none is given.
FOLIO_API std::string to_toml(Fields const&, std::function<std::string(Field const&)> const& comment = {});
/// Sets what the text names. A newer `version` than this folio's is refused; none is the first. An unknown key is
/// refused with the nearest known one. Returns the names set, and in `lines`, where asked for, the line of each.
FOLIO_API std::vector<std::string> from_toml(Fields const&, std::string_view toml, std::string const& name,
                                             std::vector<int64_t>* lines = nullptr);

/// The nearest of `known` for "did you mean", or empty where none is near (edit distance ≤ 1 + a third of the length).
FOLIO_API std::string nearest(std::string_view given, std::vector<std::string> const& known);

}  // namespace folio

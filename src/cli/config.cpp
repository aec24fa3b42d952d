// folio config show: the values that `folio train` would take from here, and where each of them comes from.
#include <nlohmann/json.hpp>

#include "cli/train_setup.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/fields_json.h"
#include "train/run_directory.h"

namespace folio::cli {
namespace {

struct Command {
  std::vector<std::string> action, run;
  bool origin = false, json = false;
  TrainCommand train;

  Spec spec() {
    return {.name = "config",
            .summary = "the values that a run would have, and where each comes from",
            .details =
                "Takes the flags of folio train. A flag wins over the environment (FOLIO_NAME), that over --set, that "
                "over the file of --config, that over the configuration of RUN, and that over the default. What is "
                "printed is TOML that --config takes.",
            .example =
                "folio config show --layers 8 >deep.toml\n"
                "folio config show runs/first --origin\n"
                "FOLIO_LR=3e-4 folio config show --config deep.toml --origin --json",
            .positionals = {{"show", &action, "what to do: show", 1, 1, {"show"}},
                            {"RUN", &run, "a run, whose configuration is shown", 0, 1}},
            .fields = joined({{{"origin", &origin, "say where each value comes from", {}, "Output"},
                               {"json", &json, "print one JSON object", {}, "Output"}},
                              train.run_fields()}),
            .configurable = true};
  }
};

/// What RUN's configuration sets, before all that may lie over it.
Origins take_run(TrainCommand& c, std::string const& run) {
  check(train::is_run_directory(run), Fault::missing, "{} is no run directory: it has no config.toml and checkpoints",
        run);
  return read_config_of_run(c, run);
}

Json as_json(Fields const& fields, Origins const& origins, bool with_origin) {
  Json out = to_json(fields);
  if (!with_origin) return out;
  for (Field const& field : fields) {
    auto const found = origins.find(field.name);
    Origin const origin = found == origins.end() ? Origin{"default", ""} : found->second;
    Json one = {{"value", out[field.name]}, {"origin", origin.kind}};
    if (!origin.where.empty()) one["where"] = origin.where;
    if (origin.line) one["line"] = origin.line;
    out[field.name] = one;
  }
  return out;
}

}  // namespace

int config(Arguments const& arguments) {
  Command asked, c;
  if (!parse(asked.spec(), arguments)) return 0;
  Origins origins, over;
  if (!asked.run.empty()) origins = take_run(c.train, asked.run[0]);
  parse(c.spec(), arguments, &over);
  over.merge(origins);  // what is in `over` stays
  check_groups(c.train.run, over);
  settle(c.train, over);
  Fields const fields = c.train.run_fields();
  if (c.json) {
    print(dump(as_json(fields, over, c.origin), 2) + '\n');
    return 0;
  }
  print(to_toml(fields, [&](Field const& field) -> std::string {
    if (!c.origin) return "";
    auto const found = over.find(field.name);
    return found == over.end() ? "default" : found->second.text();
  }));
  return 0;
}

}  // namespace folio::cli

// folio bench: how fast this machine is at what folio does.
#include "cli/bench.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backend/info.h"
#include "cli/verbs.h"
#include "cli/version.h"
#include "core/error.h"
#include "core/json.h"
#include "report/table.h"

namespace folio::cli {
namespace {

struct Workload {
  char const* name;
  std::vector<BenchRow> (*run)(BenchOptions const&);
};
constexpr Workload kWorkloads[] = {{"train", bench_train},
                                   {"decode", bench_decode},
                                   {"tokenize", bench_tokenize},
                                   {"ops", bench_ops},
                                   {"limits", bench_limits}};

Fields fields(BenchOptions& o) {
  char const* shape = "Workload";
  Fields const own = {
      {"size", &o.size, "the model", {.form = "baby|124M|355M|774M|1558M"}, shape},
      {"layers", &o.layers, "instead of the size's; 0: the size's", {.min = 0}, shape},
      {"heads", &o.heads, "instead of the size's; 0: the size's", {.min = 0}, shape},
      {"embd", &o.embd, "instead of the size's; 0: the size's", {.min = 0}, shape},
      {"context", &o.context, "tokens a sequence", {.min = 1}, shape},
      {"vocab", &o.vocab, "ids", {.min = 2}, shape},
      {"batch", &o.batch, "sequences", {.min = 1}, shape},
      {"prompt",
       &o.prompt,
       "decode: tokens of the prompt; FOLIO_PROMPT, which is a text, does not set it",
       {.min = 1, .by_flag_only = true},
       shape},
      {"max-new-tokens", &o.new_tokens, "decode: tokens to write", {.min = 2}, shape},
      {"dropout", &o.dropout, "train: at all four sites", {.min = 0, .max = 1, .below_max = true}, shape},
      {"profile", &o.profile, "train: one more step, op by op: the share and the time of each", {}, shape},
      {"statistics", &o.statistics, "train: what statistics add to a step, in turn with steps without them", {}, shape},
      {"repeat", &o.repeat, "counted repetitions, after one that is not; medians are shown", {.min = 1}, shape},
  };
  return joined({own, o.backend.fields(true)});
}

std::string as_table(std::vector<BenchRow> const& rows) {
  bool const limits = std::ranges::any_of(rows, [](BenchRow const& r) { return r.limit_share.has_value(); });
  std::vector<report::Table::Column> columns = {{"workload", false}, {"figure"}, {"unit", false}, {"ms"}};
  if (limits) columns.push_back({"of the limit"});
  report::Table table(columns);
  for (BenchRow const& r : rows) {
    std::vector<std::string> cells = {r.name, fmt::format("{:.{}f}", r.value, r.value < 100 ? 1 : 0), r.unit,
                                      r.seconds > 0 ? fmt::format("{:.3f}", r.seconds * 1e3) : ""};
    if (r.limit_share) cells.push_back(fmt::format("{:.0f} %", 100 * *r.limit_share));
    table.row(cells);
  }
  return table.text();
}

Json as_json(std::vector<BenchRow> const& rows) {
  Json out = Json::array();
  for (BenchRow const& r : rows) {
    out.push_back({{"name", r.name}, {"value", r.value}, {"unit", r.unit}, {"seconds", r.seconds}});
    if (r.limit_share) out.back()["share_of_limit"] = *r.limit_share;
  }
  return out;
}

}  // namespace

int bench(Arguments const& arguments) {
  BenchOptions o;
  std::vector<std::string> names;
  bool json = false;
  std::vector<std::string> known;
  for (Workload const& w : kWorkloads) known.push_back(w.name);
  Spec const spec{.name = "bench",
                  .summary = "how fast this machine is at what folio does",
                  .details =
                      "train: one optimizer step (forward, loss, backward, clip, AdamW). decode: a prompt read, then "
                      "tokens one by one. tokenize: encode, decode, train. ops: each op. limits: what the "
                      "processor can do.",
                  .example =
                      "folio bench train --size 124M --batch 4 --context 256 --profile\n"
                      "folio bench decode --batch 8 --json\nfolio bench limits",
                  .positionals = {{"WORKLOAD", &names, "train, decode, tokenize, ops, limits", 1, 5, known}},
                  .fields = joined({fields(o), {{"json", &json, "print JSON", {}, "Output"}}})};
  Origins given;
  if (!parse(spec, arguments, &given)) return 0;
  refuse_idle(spec.fields, given);
  std::vector<BenchRow> rows;
  for (std::string const& name : names) {
    auto const* const w = std::ranges::find(kWorkloads, name, [](Workload const& x) { return std::string(x.name); });
    for (BenchRow& r : w->run(o)) rows.push_back(std::move(r));
  }
  if (json) {
    print(dump({{"folio", version_line()},
                {"processor", processor().model},
                {"instruction_sets", processor().levels_text()},
                {"level", name_of(level_in_use())},
                {"device", o.backend.device_text()},
                {"threads", o.backend.threads > 0 ? o.backend.threads : default_threads()},
                {"libraries", vendor_libraries()},
                {"rows", as_json(rows)}},
               2) +
          "\n");
  } else {
    std::string const gpu = o.backend.on_gpu() ? o.backend.device_text() + "; " : "";
    print(fmt::format("{}{}, level {}\n", gpu, processor().model, name_of(level_in_use())) + as_table(rows));
  }
  return 0;
}

}  // namespace folio::cli

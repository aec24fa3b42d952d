// folio eval: the loss of a model on a split of prepared data, all of it, in windows that do not overlap.
#include <nlohmann/json.hpp>

#include "cli/data_for_model.h"
#include "cli/loaded_model.h"
#include "cli/resolve_model.h"
#include "cli/run_memory.h"
#include "cli/verbs.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/prepare.h"
#include "data/windows.h"
#include "model/evaluate.h"
#include "report/table.h"

namespace folio::cli {
namespace {

using report::grouped;

struct Options {
  std::vector<std::string> model;
  std::string data, split = "val";
  int64_t batch = 8;
  bool json = false;
  BackendChoice backend;
};

Spec spec_of(Options& o) {
  Fields const own = {{"data",
                       &o.data,
                       "what folio prepare wrote, or a file of plain u16 token ids",
                       {.form = "DATA", .by_flag_only = true},
                       "Data"},
                      {"split", &o.split, "which part of the data", {.choices = {"train", "val"}}, "Data"},
                      {"batch", &o.batch, "windows at once", {.min = 1, .max = 65536}, "Machine"}};
  return {.name = "eval",
          .summary = "loss, perplexity and bits per byte of a model on data",
          .details =
              "Every token of the split but the first is predicted once, in windows as long as the model's "
              "context that do not overlap. Bits per byte compare models of different vocabularies.",
          .example = "folio eval runs/first --data data/shakespeare\nfolio eval MODEL --data DATA --split train --json",
          .positionals = {{"MODEL", &o.model, "a model directory, a run or a checkpoint"}},
          .fields = joined({own, o.backend.fields(), {{"json", &o.json, "print one JSON object", {}, "Output"}}})};
}

struct Evaluation {
  model::EvalResult result;
  int64_t windows = 0;
  std::optional<int64_t> bytes;  // of text that the counted tokens spell
};

Evaluation evaluate(LoadedModel& model, data::Split const& split, int64_t most,
                    std::vector<int32_t> const& bytes_of_id) {
  int64_t const T = model.config().context, B = std::clamp<int64_t>((split.tokens() + T - 2) / T, 1, most);
  data::EvalWindows const windows(split, B, T);
  DType const dtype = model.weights().dtype;
  Ask const ask = ask_for_batch(model.backend(), "the evaluation", B, [&](int64_t batch) -> std::vector<MemoryRole> {
    return {model::Evaluator::plan(model.backend(), model.config(), batch, T, dtype)};
  });
  model::Evaluator evaluator =
      take_room(model.backend(), ask, [&] { return model::Evaluator(model.backend(), model.config(), B, T, dtype); });
  Evaluation e{.result = {}, .windows = windows.windows(), .bytes = {}};
  int64_t bytes = 0;
  bool spelled = !bytes_of_id.empty();
  Progress progress;
  data::HostBatch host;
  e.result = evaluator(model.weights(), [&, number = int64_t{0}](model::EvalBatch& batch) mutable {
    if (number == windows.batches()) return false;
    if (number > 0 && progress.due()) progress.show({fmt::format("{}/{} batches", number, windows.batches())});
    windows.batch(number++, host);
    for (int32_t const id : host.targets) {
      if (id < 0) continue;
      spelled = spelled && static_cast<size_t>(id) < bytes_of_id.size();
      if (spelled) bytes += bytes_of_id[static_cast<size_t>(id)];
    }
    batch = {host.tokens, host.targets, host.token_weights};
    return true;
  });
  progress.finish();
  if (spelled && bytes > 0) e.bytes = bytes;
  return e;
}

void tell(Options const& o, Evaluation const& e, int64_t context) {
  std::string const dtype = name_of(o.backend.compute_type());
  model::EvalResult const& r = e.result;
  Json const bits = e.bytes ? Json(r.bits_per_byte(*e.bytes)) : Json(nullptr);
  if (o.json)
    return print(dump(Json{{"loss", r.loss()},
                           {"perplexity", r.perplexity()},
                           {"bits_per_byte", bits},
                           {"tokens", r.tokens},
                           {"split", o.split},
                           {"bytes", e.bytes ? Json(*e.bytes) : Json(nullptr)},
                           {"windows", e.windows},
                           {"context", context},
                           {"dtype", dtype}},
                      2) +
                 '\n');
  std::string out =
      fmt::format("loss           {:.4f} nats a token\nperplexity     {:.2f}\n", r.loss(), r.perplexity());
  if (e.bytes) out += fmt::format("bits per byte  {:.4f}\n", r.bits_per_byte(*e.bytes));
  print(out + fmt::format("{} tokens of {} in {} windows of {}, computed in {}\n", grouped(r.tokens), o.split,
                          grouped(e.windows), grouped(context), dtype));
  if (!e.bytes) say("bits per byte cannot be told: neither the data nor the model has a tokenizer");
}

}  // namespace

int eval(Arguments const& arguments) {
  Options o;
  if (!parse(spec_of(o), arguments)) return 0;
  check(!o.data.empty(), Fault::usage, "on what data? Give --data with what folio prepare wrote");
  Path const path = resolve_model(o.model[0]);
  model::Config const config = model::ModelDirectory(path).config();
  data::Dataset const data = open_data(o.data, config.vocab);  // all that can be refused, before anything is computed
  data::Split const& split = data.split(o.split);
  auto const tokenizer = tokenizer_of(data, path);
  LoadedModel model(o.model[0], o.backend);
  Evaluation const e =
      evaluate(model, split, o.batch, tokenizer ? data::byte_lengths(*tokenizer) : std::vector<int32_t>{});
  check(e.result.tokens > 0, Fault::content, "no token of the split {} counts: its loss mask leaves none", o.split);
  tell(o, e, model.config().context);
  return 0;
}

}  // namespace folio::cli

// folio lr-find: which learning rate suits a model, its data and its optimizer, before a run.
#include <unistd.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "cli/kind.h"
#include "cli/run_memory.h"
#include "cli/signals.h"
#include "cli/train_setup.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/paths.h"
#include "core/progress.h"
#include "model/checkpoint.h"
#include "report/chart.h"
#include "train/rate_search.h"

namespace folio::cli {
namespace {

using train::FoundRate;
using train::RatePoint;

struct Command {
  std::string out;
  bool json = false;
  train::RateSearch search;
  TrainCommand train;

  Spec spec() {
    return {
        .name = "lr-find",
        .summary = "the learning rate that suits a model and its data, from a short search",
        .details =
            "Takes the flags of folio train, so that those of a run can be pasted; those that a search has no use for, "
            "such as --lr, --steps and --eval-every, change nothing. The rate rises from --from-rate to --to-rate over "
            "a few hundred steps from the initial weights, for several seeds; the weights are thrown away. What is "
            "named is for --lr with a warm-up and a rate that falls afterwards. docs/training.md says how it is "
            "chosen, and how far to trust it.",
        .example =
            "folio lr-find --data input.txt --layers 4 --embd 128\n"
            "folio lr-find --data data/plays --size 124M --out rate.svg\n"
            "folio lr-find --data code.txt --from runs/first --json",
        .fields = joined(
            {fields(search),
             {{"out", &out, "write a drawing, which fits any width, light and dark", {.form = "FILE.svg"}, "Output"},
              {"json", &json, "print one JSON object, with the curves", {}, "Output"}},
             train.run_fields()}),
        .configurable = true};
  }
};

struct Searched {
  FoundRate found;
  std::vector<std::vector<RatePoint>> curves;
};

Searched search(Command const& c, data::Dataset const& data, Path const& from) {
  model::Config const config = c.train.model.config(data.vocab());
  auto const backend = c.train.backend.make();
  train::TrainerOptions options = train::trainer_options(c.train.run, config, config.context);
  options.dtype = c.train.backend.compute_type();
  expect_room(*backend, ask_for_batch(*backend, "the search with steps", c.train.run.batch, [&](int64_t batch) {
    train::RunOptions run = c.train.run;
    run.batch = batch;
    train::TrainerOptions of_batch = train::trainer_options(run, config, config.context);
    of_batch.dtype = options.dtype;
    return train::Trainer::plan(*backend, of_batch);
  }));
  train::RateTrial trial{*backend, options, c.train.run, data.split("train")};
  if (!from.empty())
    trial.fill = [&](train::Trainer& trainer) {
      model::ModelDirectory(from).load(*backend, trainer.weights(), model::ModelDirectory::Positions::any);
    };
  Searched s;
  Progress progress;
  for (int64_t i = 0; i < c.search.seeds; ++i)
    s.curves.push_back(rate_curve(trial, c.search, c.train.run.seed + uint64_t(i), [&](int64_t step) {
      check(!signalled(), Fault::failed, "stopped by a signal: no rate was found yet");
      if (progress.due())
        progress.show({fmt::format("seed {} of {}", i + 1, c.search.seeds),
                       fmt::format("step {} of {}", step, c.search.steps),
                       "rate " + format_rate(rate_of(c.search, step))});
      return false;
    }));
  progress.finish();
  s.found = find_rate(c.search, s.curves);
  return s;
}

Json points(std::vector<RatePoint> const& curve) {
  Json all = Json::array();
  for (RatePoint const p : curve) all.push_back({p.rate, p.loss});
  return all;
}

Json json_of(Searched const& s) {
  Json curves = Json::array();
  for (auto const& curve : s.curves) curves.push_back(points(curve));
  return {{"rate", s.found.rate},   {"why", s.found.why},       {"lowest", s.found.lowest},
          {"risen", s.found.risen}, {"turned", s.found.turned}, {"smoothed", points(s.found.curve)},
          {"curves", curves}};
}

report::LineChart chart_of(Searched const& s) {
  report::LineChart chart{.caption = "loss, nats a token, by learning rate, both log scale",
                          .x_unit = "",
                          .lines = {{.name = "smoothed", .points = {}}},
                          .log_x = true,
                          .log_y = true};
  for (RatePoint const p : s.found.curve) chart.lines[0].points.push_back({p.rate, p.loss});
  for (auto const& curve : s.curves) {
    chart.lines.push_back({.name = "", .points = {}, .background = true});
    for (RatePoint const p : curve) chart.lines.back().points.push_back({p.rate, p.loss});
  }
  return chart;
}

std::string drawing_of(Command const& c, Searched const& s) {
  std::string const rate = report::with_minus(format_rate(s.found.rate));
  std::string why = report::with_minus(s.found.why) + ".";
  why[0] = char(std::toupper(static_cast<unsigned char>(why[0])));
  return report::svg_file(
      {.title = fmt::format("A learning rate of {} suits this model and its data", rate),
       .subtitle = fmt::format("folio lr-find · {} steps · {} seeds · {}", c.search.steps, c.search.seeds,
                               describe_optimizer(c.train.run)),
       .description = why,
       .panels = {svg_panel(chart_of(s))},
       .tables = {},
       .notes = {"To paste: --lr " + format_rate(s.found.rate), why, "Grey: the loss of each step, a line a seed."}});
}

}  // namespace

int lr_find(Arguments const& arguments) {
  Command c;
  Origins given;
  if (!parse(c.spec(), arguments, &given)) return 0;
  validate(c.search);
  settle(c.train, given);
  validate(c.train.run);
  expect_data(c.train);
  catch_signals();
  warn_of_decay(c.train.run);
  // A text is prepared into a folder that never gets its name, and goes when this ends.
  FolderWriter scratch(temporary_folder() / fmt::format("folio-lr-find-{}", ::getpid()));
  Path const from = model_of_from(c.train);
  if (is_text(what_is(c.train.data))) prepare_text(c.train, from, scratch.path());
  data::Dataset const data = data_of(c.train, scratch.path());
  Searched const s = search(c, data, from);
  if (!c.out.empty()) {
    write_file(c.out, drawing_of(c, s));
    say("written: " + c.out);
  }
  Terminal const t = terminal();
  if (!c.json && t.out_is_terminal) print(terminal_chart(chart_of(s), t.utf8, size_t(t.width)));
  if (c.json) print(dump(json_of(s), 2) + "\n");
  else print(wrapped(fmt::format("--lr {}: {}.", format_rate(s.found.rate), s.found.why), 0));
  return 0;
}

}  // namespace folio::cli

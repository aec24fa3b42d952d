// folio plan: what a run will hold in memory, the largest batch that fits, how long a step takes and when the run ends,
// before anything of it is taken.
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/kind.h"
#include "cli/run_memory.h"
#include "cli/train_sampler.h"
#include "cli/train_screen.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/log.h"
#include "core/paths.h"
#include "core/progress.h"
#include "data/batcher.h"
#include "data/windows.h"
#include "model/evaluate.h"
#include "report/chart.h"
#include "report/table.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/step_time.h"

namespace folio::cli {
namespace {

using report::grouped;

constexpr double kSeconds = 4;  // of measuring, beside a first pass and what is begun

struct Command {
  std::vector<std::string> run;
  bool measure = true;
  TrainCommand train;

  Spec spec() {
    return {
        .name = "plan",
        .summary = "memory, step time and end of a run, and the largest batch, before it starts",
        .details =
            "Takes the flags of folio train, or a run, and says what going on with it takes; trains and writes "
            "nothing. "
            "Memory by role is what the run's own layouts ask for. The time of a step is measured with real steps of "
            "fewer blocks for some seconds, in less memory than the run's; --no-measure leaves it out. Without "
            "--data the vocabulary is --vocab, or GPT-2's. Exits with 71 where the run does not fit.",
        .example =
            "folio plan --size 124M --batch 4 --context 256\n"
            "folio plan --data input.txt --out runs/first --batch 64 --fit\n"
            "folio plan runs/first --json",
        .positionals = {{"RUN", &run, "a run, to go on with", 0, 1}},
        .fields =
            joined({train.run_fields(),
                    {{"out",
                      &train.out,
                      "the run directory; of a run that is there, what going on takes",
                      {.form = "RUN"},
                      "Data"},
                     {"measure", &measure, "measure steps of fewer blocks to tell the time of the run's", {}, "Output"},
                     {"json", &train.json, "print one JSON object", {}, "Output"}},
                    train.fit_fields()}),
        .configurable = true};
  }
};

struct Writing {       // of a byte of a checkpoint; 0: the run's folder takes no file
  double seconds = 0;  // by the clock
  double busy = 0;     // of the processor
};

struct Plan {
  model::Config config;
  int64_t from_step = 0, tokens_in_epoch = 0, evaluation_batches = 0;  // the latter two: 0 is not known
  train::MemoryPlan memory;
  Available there;
  bool fits = false;
  int64_t largest = 0;
  std::string fitted, mends, not_measured;
  std::optional<train::StepTimes> times;
  size_t measured_in = 0;  // bytes
  Writing writing;
  size_t checkpoint = 0;  // bytes
  train::RunTime time;
};

// Writes a moment and reads it back for its hash, as a checkpoint is, and removes it.
Writing writing_beside(std::string const& out) try {
  Path folder = out.empty() ? temporary_folder() : Path(out).parent_path();
  constexpr size_t kBytes = size_t{32} << 20;
  std::error_code ignored;
  while (!folder.empty() && !std::filesystem::is_directory(folder, ignored)) folder = folder.parent_path();  // not yet
  if (folder.empty()) folder = ".";
  FolderWriter scratch(folder / fmt::format("folio-plan-{}", ::getpid()));
  auto const begin = std::chrono::steady_clock::now();
  std::clock_t const of_processor = std::clock();
  write_file(scratch.path() / "part", std::string(kBytes, 'x'));
  (void)hash_of_file(scratch.path() / "part");
  double const busy = double(std::clock() - of_processor) / CLOCKS_PER_SEC;
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / double(kBytes),
          busy / double(kBytes)};
} catch (Error const&) {
  return {};
}

// A save in the background holds training up while weights and moments are copied; the rest goes on beside it, and
// takes what it needs of the processor from a run that computes there.
train::SaveTimes save_times(Plan const& p, std::string const& save) {
  auto const bytes = double(p.checkpoint);
  if (save == "foreground") return {.held_up = bytes * p.writing.seconds};
  double const busy = p.memory.device.total > 0 ? 0 : p.writing.busy;
  return {.held_up = bytes * (1 / p.times->copy_rate + busy), .behind = bytes * p.writing.seconds};
}

void measure(Plan& p, TrainCommand const& c, Backend& backend) {
  train::TrainerOptions options = train::trainer_options(c.run, p.config, p.config.context);
  options.dtype = c.backend.compute_type();
  train::TrainerOptions const small = train::measured_options(backend, options);
  train::RunOptions beside = c.run;
  beside.save = "foreground";  // nothing is saved
  std::vector<MemoryRole> roles = train::run_roles(backend, beside, small);
  if (c.run.sample_every > 0) roles.push_back(TrainSampler::plan(backend, small.config, small.dtype));
  p.measured_in = bytes_of(roles);
  if (Available const there = available_memory(backend); p.measured_in > there.bytes) {
    p.not_measured = fmt::format("its steps would take {}, more than can be had", amount_text(roles));
    return;
  }
  auto const sampler = [&](model::Weights const& weights, int64_t tokens) {
    return [writer = std::make_shared<TrainSampler>(backend, weights, tokens)] { (void)writer->write(); };
  };
  p.times = train::measure_step(backend, c.run, options, sampler, kSeconds);
  p.writing = writing_beside(c.out);
  p.time = train::run_time(c.run, p.from_step, *p.times, p.evaluation_batches, save_times(p, c.run.save));
}

void look_at_data(Plan& p, TrainCommand const& c, data::Dataset const& data) {
  int64_t const T = p.config.context;
  p.tokens_in_epoch = data::Batcher(data.split("train"), train::batcher_options(c.run, T)).tokens_in_epoch();
  for (data::Split const& split : data.splits())
    if (split.name() == "train" || split.name() == "val")
      p.evaluation_batches += data::EvalWindows(split, c.run.batch, T, train::evaluation_batches(c.run)).batches();
}

std::string clock_text(double seconds_from_now, char const* form) {
  time_t const at = time(nullptr) + time_t(seconds_from_now);
  tm local{};
  localtime_r(&at, &local);
  char text[64];
  strftime(text, sizeof text, form, &local);
  return text;
}

std::string bytes_text(size_t bytes) { return format_bytes(double(bytes)); }

std::string chart_of(Plan const& p) {
  report::BarChart chart{.caption = "", .bars = {}};
  bool const device = p.memory.device.total > 0;
  auto const bar = [&](MemoryRole const& role, char const* where) {
    chart.bars.push_back({role.name + where, double(role.bytes), bytes_text(role.bytes)});
  };
  for (MemoryRole const& role : p.memory.roles) bar(role, device && train::on_host(role) ? ", in the process" : "");
  if (!device) bar(p.memory.process, "");
  Terminal const t = terminal();
  return terminal_chart(chart, t.utf8, size_t(t.width));
}

std::string memory_text(Plan const& p) {
  bool const device = p.memory.device.total > 0;
  std::string const there = p.there.bytes == UINT64_MAX ? std::string("no limit is known")
                                                        : fmt::format("{} {}", bytes_text(p.there.bytes), p.there.by);
  std::string out =
      labelled("memory", fmt::format("{}{}; {}{}", bytes_text(device ? p.memory.of_roles() : p.memory.total()),
                                     device ? " on the GPU" : "", there, p.fits ? "" : ": it does not fit"));
  out += chart_of(p);
  if (device) out += labelled("", "in the process " + bytes_text(p.memory.total()));
  return out;
}

struct Part {  // of a run's time
  int64_t count;
  char const *one, *many;
  double seconds;
};

std::string counted(int64_t count, char const* one, char const* many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::string step_text(Plan const& p, train::RunOptions const& o) {
  train::StepTimes const& t = *p.times;
  double const tokens = double(o.batch * o.accumulate * p.config.context);
  bool const whole = t.blocks == p.config.layers && t.sequences == o.batch;
  return fmt::format(
      "{}, {} tok/s; from {} of {}, {:.1f} s in {}",
      t.step < 1 ? fmt::format("{:.3g} ms", 1e3 * t.step) : fmt::format("{:.3g} s", t.step),
      format_count(tokens / t.step), counted(t.steps, "step", "steps"),
      whole ? "the whole model"
            : fmt::format("{} of {} blocks and {} of {} sequences", t.blocks, p.config.layers, t.sequences, o.batch),
      t.seconds, bytes_text(p.measured_in));
}

std::string time_text(Plan const& p, TrainCommand const& c) {
  if (!p.times) return p.not_measured.empty() ? "" : labelled("time", "not measured: " + p.not_measured);
  std::string const step = labelled("step", step_text(p, c.run));
  train::RunTime const& r = p.time;
  if (r.steps == 0) return step + labelled("end", fmt::format("the run is at step {}, its last", p.from_step));
  bool const evaluates = p.evaluation_batches > 0, saves = p.writing.seconds > 0;
  std::string parts;
  for (Part const& part : {Part{r.steps, "step", "steps", r.in_steps},
                           {r.statistics, "with statistics", "with statistics", r.in_statistics},
                           {evaluates ? r.evaluations : 0, "evaluation", "evaluations", r.in_evaluations},
                           {r.samples, "sample", "samples", r.in_samples},
                           {saves ? r.saves : 0, "save at most", "saves at most", r.in_saves}})
    if (part.count > 0)
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", counted(part.count, part.one, part.many),
                           format_duration(part.seconds));
  if (!evaluates) parts += ", without evaluations: how long they are the data tell";
  return step + labelled("end", fmt::format("{}, {} from now: {}", clock_text(r.total(), "%a %d %b %H:%M"),
                                            format_duration(r.total()), parts));
}

std::string text_of(Plan const& p, TrainCommand const& c) {
  train::RunOptions const& o = c.run;
  std::string out = labelled("model", fmt::format("{}: {} parameters", model::describe(p.config),
                                                  grouped(model::count_parameters(p.config).total())));
  out += labelled("computes in", c.backend.description());
  int64_t const tokens = o.batch * o.accumulate * p.config.context;
  out += labelled("batch", batch_text(o, p.config.context));
  if (p.tokens_in_epoch > 0)
    out +=
        labelled("data", fmt::format("{} tokens an epoch; {} steps are {:.2f} epochs", grouped(p.tokens_in_epoch),
                                     grouped(o.steps), double(o.steps) * double(tokens) / double(p.tokens_in_epoch)));
  if (!p.fitted.empty()) out += labelled("fit", p.fitted);
  out += memory_text(p);
  if (!p.mends.empty()) out += labelled("mend", p.mends);
  out += labelled("largest", p.largest > 0 ? fmt::format("--batch {} fits, all else as it is", p.largest)
                                           : std::string("no batch fits, not even of one sequence"));
  return out + time_text(p, c);
}

Json json_of(Plan const& p, TrainCommand const& c) {
  Json roles = Json::object();
  for (MemoryRole const& role : p.memory.roles) roles[role.name] = role.bytes;
  bool const device = p.memory.device.total > 0;
  Json json = {{"parameters", model::count_parameters(p.config).total()},
               {"dtype", name_of(c.backend.compute_type())},
               {"batch", c.run.batch},
               {"accumulate", c.run.accumulate},
               {"context", p.config.context},
               {"recompute", c.run.recompute},
               {"memory",
                {{"roles", roles},
                 {"process", p.memory.process.bytes},
                 {"planned", device ? p.memory.of_roles() : p.memory.total()},
                 {"available", p.there.bytes == UINT64_MAX ? Json() : Json(p.there.bytes)},
                 {"available_by", p.there.by},
                 {"on_device", device}}},
               {"fits", p.fits},
               {"mends", p.mends.empty() ? Json() : Json(p.mends)},
               {"largest_batch", p.largest},
               {"fitted", p.fitted.empty() ? Json() : Json(p.fitted)},
               {"step", nullptr}};
  if (!p.times) return json;
  double const tokens = double(c.run.batch * c.run.accumulate * p.config.context);
  json["step"] = {{"seconds", p.times->step}, {"tokens_per_second", tokens / p.times->step}};
  json["measured"] = {{"steps", p.times->steps},
                      {"blocks", p.times->blocks},
                      {"sequences", p.times->sequences},
                      {"seconds", p.times->seconds},
                      {"bytes", p.measured_in}};
  json["run"] = {{"steps", p.time.steps},
                 {"evaluations", p.time.evaluations},
                 {"samples", p.time.samples},
                 {"saves", p.time.saves},
                 {"seconds", p.time.total()},
                 {"seconds_in_statistics", p.time.in_statistics},
                 {"seconds_in_evaluations", p.time.in_evaluations},
                 {"seconds_in_samples", p.time.in_samples},
                 {"seconds_in_saves", p.time.in_saves},
                 {"end", clock_text(p.time.total(), "%FT%T%z")}};
  return json;
}

int64_t last_step(Path const& run) {
  auto const steps = train::checkpoint_steps(run);
  return steps.empty() ? 0 : steps.back();
}

Plan plan_run(Command& command, Origins const& given) {
  TrainCommand& c = command.train;
  Plan p;
  std::optional<FolderWriter> scratch;  // of a text that is not prepared
  bool const is_there = train::is_run_directory(c.out);
  std::optional<data::Dataset> data;
  if (is_there) {
    settle_resumed(c, given);
    p.from_step = last_step(c.out);
    check(p.from_step <= c.run.steps, Fault::value,
          "--steps {} lies behind the checkpoint of step {}: give more steps, or start a new run with another --out",
          c.run.steps, p.from_step);
    data.emplace(data_of(c, c.out));
  } else {
    settle(c, given);
    validate(c.run);
    if (!c.data.empty()) {
      expect_data(c);
      if (is_text(what_is(c.data))) {
        scratch.emplace(temporary_folder() / fmt::format("folio-plan-data-{}", ::getpid()));
        prepare_text(c, model_of_from(c), scratch->path());
      }
      data.emplace(data_of(c, scratch ? scratch->path() : ""));
    }
  }
  p.config = c.model.config(data ? data->vocab() : 0);
  (void)tensor_rules(c.run, p.config);
  std::unique_ptr<text::Tokenizer> tokenizer;  // as the run holds it
  if (data && data->tokenizer_directory()) tokenizer = text::load_tokenizer(data->tokenizer_directory()->string());
  size_t const before = train::memory_before();
  auto const backend = c.backend.make();
  DType const dtype = c.backend.compute_type();
  if (c.fit != "no") {
    p.fitted = fit(c, p.config, *backend, ladder_of(c, is_there), before);
    p.config.context = c.model.context > 0 ? c.model.context : p.config.context;
  }
  p.memory = plan_of(c.run, p.config, dtype, *backend, before);
  p.there = available_memory(*backend);
  p.fits = fits(p.memory, p.there);
  if (!p.fits) p.mends = mends_of(c.run, p.config, dtype, *backend, before, is_there);
  p.largest = largest_batch(c.run, p.config, dtype, *backend, before);
  for (MemoryRole const& role : p.memory.roles)
    if (role.name == "weights" || role.name == "optimizer state") p.checkpoint += role.bytes;
  if (data) look_at_data(p, c, *data);
  else p.evaluation_batches = 2 * train::evaluation_batches(c.run);  // of two splits that are long enough
  if (command.measure) measure(p, c, *backend);
  return p;
}

}  // namespace

int plan(Arguments const& arguments) {
  Command c;
  Origins given;
  if (!parse(c.spec(), with_values_of_lone_flags(arguments), &given)) return 0;
  if (!c.run.empty()) {
    check(c.train.out.empty() || c.train.out == c.run[0], Fault::usage, "two runs, {} and --out {}: give one", c.run[0],
          c.train.out);
    c.train.out = c.run[0];
    check(train::is_run_directory(c.train.out), Fault::missing,
          "{} is no run: give a run directory, or the flags of folio train", c.train.out);
  }
  Plan const p = plan_run(c, given);
  print(c.train.json ? dump(json_of(p, c.train), 2) + "\n" : text_of(p, c.train));
  return p.fits ? 0 : static_cast<int>(Fault::memory);
}

}  // namespace folio::cli

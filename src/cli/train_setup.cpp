#include "cli/train_setup.h"

#include <algorithm>
#include <optional>

#include "cli/data_for_model.h"
#include "cli/kind.h"
#include "cli/resolve_model.h"
#include "cli/run_memory.h"
#include "cli/signals.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/batcher.h"
#include "data/prepare.h"
#include "model/checkpoint.h"

namespace folio::cli {

Fields TrainCommand::run_fields() {
  Fields const own = {
      {"data",
       &data,
       "prepared data, or a text, which is prepared first",
       {.form = "DATA|FILE", .by_flag_only = true},
       "Data"},
      {"tokenizer",
       &tokenizer,
       "for a text: gpt2, char, a directory, or auto (the model's of --from, else by the size of the text)",
       {.form = "auto|gpt2|char|DIR"},
       "Data"},
      {"from",
       &from,
       "start from this model's weights (fine-tuning); --context cuts or extends its positions",
       {.form = "MODEL"},
       "Data"},
  };
  return joined({own, model.fields(), fields(run), backend.fields(true)});
}

Fields TrainCommand::fit_fields() {
  return {
      {"fit",
       &fit,
       "where memory will not do: saves without a snapshot, a smaller micro-batch, accumulated, then recomputation, "
       "with as many tokens a step; context: a shorter one too",
       {.choices = {"no", "yes", "context"}},
       "Machine"}};
}

Fields TrainCommand::call_fields() {
  Fields const own = {
      {"out", &out, "the run directory, new or to be resumed", {.form = "RUN"}, "Data"},
      {"resume",
       &resume,
       "continue the run in --out; auto: if there is one, else start it",
       {.choices = {"no", "yes", "auto"}},
       "Data"},
      {"stop-after",
       &stop_after,
       "stop after this many steps of this call, as if by a signal; 0: never",
       {.min = 0},
       "Intervals"},
      {"time-limit",
       &time_limit,
       "save and stop before so much time has gone by since the call began, by the longest step, evaluation and save "
       "so far; exit 75",
       {.form = "30m|8h|…"},
       "Intervals"},
      {"replay",
       &replay,
       "take the step in this file again and say where its first value appears that is not finite; trains nothing",
       {.form = "FILE"},
       "Data"},
      {"show-groups", &show_groups, "print each tensor's name, shape, size, rate and decay, and end", {}, "Output"},
      {"json", &json, "print the result as JSON", {}, "Output"}};
  return joined({own, fit_fields()});
}

namespace {

std::string absolute(std::string const& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

// `base`, spelled out, with the flags that were given laid over it. A size brings its numbers, but for those that were
// given beside it, and a rate for all sites those of the sites.
model::ModelOptions laid_over(model::Config const& base, model::ModelOptions given_options, Origins const& given) {
  model::ModelOptions o = model::ModelOptions::of(base);
  if (given.contains("size")) o.layers = o.heads = o.channels = o.context = 0;
  if (given.contains("dropout"))
    o.embedding_dropout = o.attention_dropout = o.attention_residual_dropout = o.mlp_residual_dropout = -1;
  Fields const to = o.fields(), from = given_options.fields();
  for (Field const& field : to)
    if (given.contains(field.name)) set(field, text_of(*find(from, field.name)), "--" + field.name);
  return o;
}

std::string given_model_flags(model::ModelOptions options, Origins const& given) {
  std::string flags;
  for (Field const& field : options.fields())
    if (given.contains(field.name)) flags += (flags.empty() ? "--" : ", --") + field.name + " " + text_of(field);
  return flags;
}

// What a run of this shape has where these flags were given.
std::string flags_of_run(model::Config const& shape, Origins given, bool vocab_known) {
  model::ModelOptions const run = model::ModelOptions::of(shape);
  auto const spelled = [&](std::string const& name, std::initializer_list<char const*> parts) {
    if (!given.contains(name)) return;
    for (char const* part : parts) given[part] = given[name];
    given.erase(name);
  };
  if (run.size.empty()) spelled("size", {"layers", "heads", "embd", "context"});
  if (!shape.dropout.all_equal())
    spelled("dropout",
            {"embedding-dropout", "attention-dropout", "attention-residual-dropout", "mlp-residual-dropout"});
  bool const of_data = !vocab_known && given.erase("vocab") > 0;
  std::string const flags = given_model_flags(run, given);
  return flags + (!of_data ? "" : flags.empty() ? "vocabulary of its data" : " and the vocabulary of its data");
}

model::Config without_dropout(model::Config c) {
  c.dropout = {};
  return c;
}

// What --fit may have changed of a run: its command, given again, says what it was before.
bool fitted(TrainCommand const& now, std::string const& name) {
  static constexpr std::string_view kNames[] = {"batch", "accumulate", "eval-batches", "recompute"};
  return now.fit != "no" &&
         (std::ranges::find(kNames, name) != std::end(kNames) || (now.fit == "context" && name == "context"));
}

// A run that is resumed keeps what it was begun with; what was given now and may change replaces it.
void take_over(TrainCommand& now, Origins given) {
  bool const batch_given = given.contains("batch") || given.contains("accumulate");
  std::erase_if(given, [&](auto const& one) { return fitted(now, one.first); });
  TrainCommand kept = now;
  kept.model = {}, kept.run = {}, kept.backend = {};
  read_config_of_run(kept, now.out);
  now.data = absolute(now.data), now.from = absolute(now.from);
  Fields const old_fields = kept.run_fields(), new_fields = now.run_fields(), model_fields = now.model.fields();
  model::Config const shape = kept.model.config();
  check(laid_over(shape, now.model, given).config() == shape, Fault::value,
        "{} differs from the run's {}: a resumed run keeps its shape; leave the flags away, or start a new run with "
        "another --out",
        given_model_flags(now.model, given), flags_of_run(shape, given, kept.model.vocab > 0));
  for (auto const& [name, origin] : given) {
    Field const *was = find(old_fields, name), *is = find(new_fields, name);
    if (!was || !is || find(model_fields, name) || text_of(*was) == text_of(*is)) continue;
    check(train::may_change(*is), Fault::value,
          "--{} {} differs from the run's {}: a resumed run keeps its shape, data and seed; leave the flag away, or "
          "start a new run with another --out",
          name, text_of(*is), text_of(*was));
    set(*was, text_of(*is), "--" + name);
  }
  int64_t const sequences = now.run.batch * now.run.accumulate, had = kept.run.batch * kept.run.accumulate;
  check(
      now.fit != "yes" || !batch_given || sequences == had, Fault::value,
      "--batch {} --accumulate {} are {} sequences a step, the run's are {}: a resumed run keeps them; leave the flags "
      "away, or start a new run with another --out",
      now.run.batch, now.run.accumulate, sequences, had);
  now.data = kept.data, now.tokenizer = kept.tokenizer, now.from = kept.from;
  now.model = kept.model, now.run = kept.run, now.backend = kept.backend;
}

// The shape that a new run has; with --from the model's.
model::Config shape_of(Path const& from, TrainCommand const& c, Origins const& given) {
  model::Config const base = model::ModelDirectory(from).config();
  model::ModelOptions wanted = laid_over(base, c.model, given);
  model::Config shape = without_dropout(wanted.config());
  if (given.contains("context") && c.model.context > 0) shape.context = base.context;  // cut, or extended by new ones
  check(shape == without_dropout(base), Fault::value,
        "{} contradicts --from {}: the model brings its shape, of which --context alone may differ; leave the other "
        "flags away",
        given_model_flags(c.model, given), c.from);
  if (!given.contains("dropout")) {  // a model's file says how it was trained; here the flags say
    wanted = laid_over(without_dropout(base), c.model, given);
  }
  return wanted.config();
}

// `from`: where the model of --from lies; empty: there is none.
void settle_shape(TrainCommand& c, Path const& from, Origins const& given) {
  if (!from.empty()) c.model = model::ModelOptions::of(shape_of(from, c, given));
}

}  // namespace

Path model_of_from(TrainCommand const& c) { return c.from.empty() ? Path() : verified_model(c.from); }

void prepare_text(TrainCommand const& c, Path const& from, Path const& folder) {
  data::PrepareOptions options;
  options.tokenizer = c.tokenizer == "auto" ? "" : c.tokenizer;
  if (c.tokenizer == "auto" && !from.empty() && text::has_tokenizer(from)) options.tokenizer = from.string();
  Progress progress;
  data::prepare({c.data}, folder / "data", options, [&](data::PrepareProgress const& p) {
    check(!signalled(), Fault::failed, "stopped by a signal: nothing was written");
    if (progress.due()) progress.show({fmt::format("{} {}", p.doing, format_bytes(double(p.bytes)))});
  });
}

void expect_data(TrainCommand const& c) {
  check(!c.data.empty(), Fault::usage, "what to train on? Give --data with a text or prepared data");
  Kind const kind = what_is(c.data);
  check(kind != Kind::missing, Fault::missing, "--data {} does not exist", c.data);
  check(kind != Kind::model && kind != Kind::run && kind != Kind::checkpoint, Fault::content,
        "--data {} is {}: give a text or prepared data, and --from {} to start from it", c.data, words_for(kind).noun,
        c.data);
}

namespace {

OpenedRun new_run(TrainCommand& c, Origins const& given) {
  settle_rates(c.run, given);
  refuse_idle(c.run_fields(), given);
  validate(c.run);
  c.backend.dtype = name_of(c.backend.compute_type());  // a resumed run computes as it was begun, wherever it goes on
  (void)c.backend.device_text();                        // refused before a text is prepared where it is not there
  expect_data(c);
  std::string const named = c.data;
  c.data = absolute(c.data), c.from = absolute(c.from);
  Path const from = model_of_from(c);
  // Before a text is prepared: does the shape hold? Without --from, the vocabulary is not known yet.
  settle_shape(c, from, given);
  model::Config shape = c.model.config();
  auto directory = train::RunDirectory::create(c.out, [&](Path const& folder) {
    if (is_text(what_is(c.data))) prepare_text(c, from, folder);
    data::Dataset const data = data_of(c, folder);
    if (!from.empty()) {
      (void)tokenizer_of(data, from, named);
    } else {
      int64_t const vocab = c.model.vocab;  // 0 stays: the data's, whatever text this configuration is used with
      shape = c.model.config(data.vocab());
      c.model = model::ModelOptions::of(shape);
      c.model.vocab = vocab;
    }
    check(data.vocab() <= shape.vocab, Fault::value,
          "the data have a vocabulary of {}, the model of --from {} one of {}: prepare them with the model's tokenizer",
          data.vocab(), c.from, shape.vocab);
    (void)tensor_rules(c.run, shape);
    fit_as_told(c, shape, data, false);
    if (c.fit == "context") shape = c.model.config(data.vocab());
    data::Batcher(data.split("train"), {.batch = 1, .context = shape.context});  // is there a window at all?
    return to_toml(c.run_fields());
  });
  return {.directory = std::move(directory), .is_new = true, .from = from, .config = {}};
}

}  // namespace

void settle_resumed(TrainCommand& c, Origins const& given) {
  take_over(c, given);
  refuse_idle(c.run_fields(), given);
  validate(c.run);
}

void settle_rates(train::RunOptions& run, Origins const& given) {
  train::ScheduleOptions& s = run.schedule;  // defaults that fit a short run and a low rate
  if (!given.contains("warmup")) s.warmup = std::min(s.warmup, run.steps / 10);
  if (!given.contains("min-lr")) s.min_lr = std::min(s.min_lr, s.lr / 10);
  if (!given.contains("momentum") && run.optimizer == "muon") run.momentum = train::kMuonMomentum;
  if (!given.contains("weight-decay") && train::decay_is_coupled(run)) run.weight_decay = train::kCoupledDecay;
}

void warn_of_decay(train::RunOptions const& run) {
  std::string const strong = strong_decay(run);
  if (!strong.empty()) say(Level::warning, fmt::format("{}; usual is {}", strong, train::kCoupledDecay));
}

void settle(TrainCommand& c, Origins const& given) {
  settle_rates(c.run, given);
  refuse_idle(c.run_fields(), given);
  settle_shape(c, model_of_from(c), given);
}

void check_groups(train::RunOptions const& run, Origins const& origins) {
  auto const found = origins.find("group");
  if (found == origins.end()) return;
  try {
    for (std::string const& text : run.groups) (void)train::group_from(text);
  } catch (Error const& e) {
    bool const in_file = found->second.line > 0;
    fail(in_file && e.fault == Fault::usage ? Fault::content : e.fault, "{}: {}", found->second.text(), e.what());
  }
}

Origins read_config(TrainCommand& c, Path const& file, char const* kind) {
  std::vector<int64_t> lines;
  auto const names = from_toml(c.run_fields(), read_file(file, uint64_t{1} << 20), file.string(), &lines);
  Origins origins;
  for (size_t i = 0; i < names.size(); ++i) origins[names[i]] = {kind, file.string(), lines[i]};
  check_groups(c.run, origins);
  return origins;
}

Origins read_config_of_run(TrainCommand& c, Path const& run) {
  Path const file = run / "config.toml";
  std::string const text = read_file(file, uint64_t{1} << 20);
  check(text.ends_with('\n'), Fault::content, "{} is damaged: {}", file.string(),
        text.empty() ? "it is empty" : "its last line has no end");
  Origins const origins = read_config(c, file, "run");
  char const* const last = "threads";  // of those that every folio has written
  check(origins.contains(last), Fault::content, "{} is damaged: it ends before `{}`, which a run's own always has",
        file.string(), last);
  return origins;
}

data::Dataset data_of(TrainCommand const& c, Path const& run) {
  std::error_code error;
  bool const own = !run.empty() && std::filesystem::exists(run / "data", error);
  Path const path = own ? run / "data" : Path(c.data);
  return data::Dataset(path, c.model.vocab > 0 ? std::optional(c.model.vocab) : std::nullopt);
}

OpenedRun open_run(TrainCommand& c, Origins const& given) {
  if (c.resume == "no" || (c.resume == "auto" && !train::is_run_directory(c.out))) return new_run(c, given);
  auto directory = train::RunDirectory::open(c.out);
  for (std::string const& note : directory.notes()) say(note);
  settle_resumed(c, given);
  if (c.fit != "no") {
    data::Dataset const data = data_of(c, c.out);
    fit_as_told(c, c.model.config(data.vocab()), data, true);
  }
  auto const steps = train::checkpoint_steps(c.out);
  check(!steps.empty() || c.resume == "auto", Fault::missing,
        "{} has no checkpoint to resume from: `--resume auto` starts it again from its first step", c.out);
  return {.directory = std::move(directory),
          .resumes = !steps.empty(),
          .from = steps.empty() ? model_of_from(c) : Path(),
          .config = to_toml(c.run_fields())};
}

std::vector<std::string> variables_of_train() {
  TrainCommand any;
  std::vector<std::string> names;
  for (Field const& field : joined({any.run_fields(), any.call_fields()}))
    if (std::string const name = variable_of(field); !name.empty()) names.push_back(name);
  return names;
}

}  // namespace folio::cli

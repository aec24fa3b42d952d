// folio train: from a text or prepared data to a run directory; and on from a checkpoint.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/backend_choice.h"
#include "cli/kind.h"
#include "cli/resolve_model.h"
#include "cli/signals.h"
#include "cli/train_screen.h"
#include "cli/verbs.h"
#include "core/json.h"
#include "core/log.h"
#include "data/prepare.h"
#include "model/sizes.h"
#include "text/tokenizer.h"
#include "train/loop.h"

namespace folio::cli {
namespace {

struct TrainCommand {
  std::string data, out, tokenizer = "auto", from, resume = "no";
  int64_t stop_after = 0;
  bool json = false;
  model::ModelOptions model;
  train::RunOptions run;
  BackendChoice backend;

  Fields run_fields();   // what config.toml holds
  Fields call_fields();  // of this call alone
};

Fields TrainCommand::run_fields() {
  Fields all = {
      {"data", &data, "prepared data, or a text, which is prepared first", {}, "Data"},
      {"tokenizer", &tokenizer, "for a text: gpt2, char, a directory, or auto (by the size of the text)", {}, "Data"},
      {"from", &from, "start from this model's weights (fine-tuning)", {}, "Data"},
  };
  for (Fields const& more : {model.fields(), fields(run), backend.fields()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}
Fields TrainCommand::call_fields() {
  return {{"out", &out, "the run directory, new or to be resumed", {}, "Data"},
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
          {"json", &json, "print the result as JSON", {}, "Output"}};
}

// `--resume` may stand alone.
Arguments with_resume_value(Arguments arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] != "--resume") continue;
    bool const has_value = i + 1 < arguments.size() &&
                           (arguments[i + 1] == "auto" || arguments[i + 1] == "yes" || arguments[i + 1] == "no");
    arguments[i] = "--resume=" + (has_value ? arguments[i + 1] : "yes");
    if (has_value) arguments.erase(arguments.begin() + int64_t(i) + 1);
  }
  return arguments;
}

// A run that is resumed keeps what it was begun with; what was given now and may change replaces it and is returned.
Json take_over(TrainCommand& now, std::vector<std::string> const& given, Path const& config) {
  TrainCommand kept = now;
  kept.model = {}, kept.run = {}, kept.backend = {};
  Fields const old_fields = kept.run_fields(), new_fields = now.run_fields();
  from_toml(old_fields, read_file(config, 1 << 20), config.string());
  Json changes = Json::object();
  for (std::string const& name : given) {
    Field const *was = find(old_fields, name), *is = find(new_fields, name);
    if (!was || !is || text_of(*was) == text_of(*is)) continue;
    check(train::may_change(*is), Fault::value,
          "--{} {} differs from the run's {}: a resumed run keeps its shape, data and seed; leave the flag away, or "
          "start "
          "a new run with another --out",
          name, text_of(*is), text_of(*was));
    changes[name] = {{"was", text_of(*was)}, {"is", text_of(*is)}};
    set(*was, text_of(*is), "--" + name);
  }
  std::string const out = now.out, resume = now.resume;
  int64_t const stop_after = now.stop_after;
  bool const json = now.json;
  now = kept;
  now.out = out, now.resume = resume, now.stop_after = stop_after, now.json = json;
  return changes;
}

// The data of a run: what it prepared itself from a text, else what it was given.
Path data_of(TrainCommand const& c, Path const& run) {
  std::error_code error;
  return std::filesystem::exists(run / "data", error) ? run / "data" : Path(c.data);
}

model::Config starting_shape(TrainCommand const& c, std::vector<std::string> const& given, int64_t data_vocab) {
  if (c.from.empty()) return c.model.config(data_vocab);
  for (char const* flag : {"size", "layers", "heads", "embd", "context", "vocab", "bias", "untied"})
    check(std::ranges::find(given, flag) == given.end(), Fault::value,
          "--{} contradicts --from {}: the model brings its shape; leave the flag away", flag, c.from);
  model::Config config = model::ModelDirectory(resolve_model(c.from)).config();
  check(
      data_vocab <= config.vocab, Fault::value,
      "the data have a vocabulary of {}, the model of --from {} one of {}: prepare the data with the model's tokenizer",
      data_vocab, c.from, config.vocab);
  model::ModelOptions o = model::ModelOptions::of(config);
  o.dropout = c.model.dropout;
  o.embedding_dropout = c.model.embedding_dropout, o.attention_dropout = c.model.attention_dropout;
  o.attention_residual_dropout = c.model.attention_residual_dropout,
  o.mlp_residual_dropout = c.model.mlp_residual_dropout;
  return o.config(data_vocab);
}

// All that can be refused is refused here, before the run has its name: nothing half-made is left behind.
train::RunDirectory new_run(TrainCommand& c, std::vector<std::string> const& given) {
  validate(c.run);
  check(!c.data.empty(), Fault::usage, "what to train on? Give --data with a text or prepared data");
  Kind const kind = what_is(c.data);
  check(kind != Kind::missing, Fault::missing, "--data {} does not exist", c.data);
  check(kind != Kind::model && kind != Kind::run && kind != Kind::checkpoint, Fault::content,
        "--data {} is {}: give a text or prepared data, and --from {} to start from it", c.data, words_for(kind).noun,
        c.data);
  c.data = std::filesystem::absolute(c.data).lexically_normal().string();
  return train::RunDirectory::create(c.out, [&](Path const& folder) {
    if (kind == Kind::text || kind == Kind::texts || kind == Kind::bytes) {
      data::PrepareOptions options;
      options.tokenizer = c.tokenizer == "auto" ? "" : c.tokenizer;
      data::prepare({c.data}, folder / "data", options);
    }
    data::Dataset const data(data_of(c, folder));
    model::Config const config = starting_shape(c, given, data.vocab());
    c.model = model::ModelOptions::of(config);
    data::Batcher(data.split("train"), {.batch = 1, .context = config.context});  // is there a window at all?
    return to_toml(c.run_fields());
  });
}

struct Opened {  // a run that is ready to go on
  train::RunDirectory directory;
  Json changes = Json::object();
  std::optional<int64_t> step = {};  // of the checkpoint to continue from
};

Opened open_run(TrainCommand& c, std::vector<std::string> const& given) {
  if (c.resume == "no" || (c.resume == "auto" && !train::is_run_directory(c.out))) return {new_run(c, given)};
  auto directory = train::RunDirectory::open(c.out);
  for (std::string const& note : directory.notes()) say(note);
  Json changes = take_over(c, given, directory.config());
  validate(c.run);
  auto const steps = train::checkpoint_steps(c.out);
  check(!steps.empty() || c.resume == "auto", Fault::missing,
        "{} has no checkpoint to resume from: `--resume auto` starts it again from its first step", c.out);
  if (!changes.empty()) write_file(directory.config(), to_toml(c.run_fields()));
  return {std::move(directory), changes, steps.empty() ? std::nullopt : std::optional(steps.back())};
}

int report(TrainCommand const& c, train::Loop const& loop, train::Outcome outcome) {
  train::RunState const& state = loop.state();
  bool const finished = outcome == train::Outcome::finished;
  if (c.json) {
    Json json = {{"run", c.out},
                 {"step", state.step},
                 {"finished", finished},
                 {"loss", state.step_state.loss},
                 {"seconds", state.seconds}};
    if (state.best) json["best"] = {{"step", state.best->step}, {"val", state.best->val}};
    print(dump(json, 2) + "\n");
  } else {
    print(curve_of(Path(c.out) / "metrics.jsonl"));
  }
  std::string const best =
      state.best ? fmt::format("; best {:.4f} at step {}", state.best->val, state.best->step) : std::string();
  if (finished) {
    say(fmt::format("finished: {} steps in {}{}; next: folio generate {} --prompt TEXT", state.step,
                    format_duration(state.seconds), best, c.out));
    return 0;
  }
  say(fmt::format("stopped after step {} of {}, checkpoint saved{}; go on with: folio train --out {} --resume",
                  state.step, c.run.steps, best, c.out));
  return static_cast<int>(Fault::stopped);
}

int train_in(TrainCommand const& c, Opened& opened) {
  data::Dataset const data(data_of(c, c.out));
  model::Config const config = c.model.config(data.vocab());
  auto const backend = c.backend.make();
  train::Trainer trainer(*backend, train::trainer_options(c.run, config, config.context));
  model::ModelInfo info{.config = config, .tokenizer = data.tokenizer_name()};
  std::vector<Attachment> attachments;
  if (data.tokenizer_directory()) {
    auto const tokenizer = text::load_tokenizer(data.tokenizer_directory()->string());
    attachments = tokenizer->files();
    if (tokenizer->end_of_text()) info.end_of_text = *tokenizer->end_of_text();
  }
  auto const made = what_bits_depend_on(c.backend);
  train::Loop loop({*backend, trainer, data, opened.directory, c.run, info, attachments, made});
  TrainScreen screen(c.run.steps, false);
  say(opening_lines(config, c.run, loop.tokens_in_epoch(), trainer.arenas(), loop.evaluation_bytes()));
  if (opened.step) {
    loop.resume(train::load_checkpoint(opened.directory.checkpoint(*opened.step), *backend, trainer));
    screen.begin_at(loop.state());
    say(fmt::format("resumed from step {} of {}", loop.state().step, c.run.steps));
    if (!opened.changes.empty()) loop.note("change", {{"options", opened.changes}});
  } else if (!c.from.empty()) {
    model::ModelDirectory(resolve_model(c.from)).load(*backend, trainer.weights());
    say(fmt::format("weights from {}", c.from));
  }

  catch_signals();
  train::Outcome const outcome =
      loop.run(screen, [&](int64_t steps) { return signalled() || (c.stop_after > 0 && steps >= c.stop_after); });
  screen.finish();
  return report(c, loop, outcome);
}

}  // namespace

int train(Arguments const& arguments) {
  TrainCommand c;
  Fields all = c.run_fields();
  for (Field const& more : c.call_fields()) all.push_back(more);
  Spec const spec{.name = "train",
                  .summary = "train a GPT-2 on a text or prepared data",
                  .details =
                      "What decays is chosen with --decay: matrices (the default, as in nanoGPT and llm.c) or linear "
                      "(not the embeddings). Warm-up: step i of W has the rate lr · (i + 1)/W. Ctrl-C saves and exits "
                      "with 75; --resume continues bit for bit.",
                  .example =
                      "folio train --data input.txt --out runs/first\n"
                      "folio train --data data/plays --out runs/deep --layers 8 --steps 20000\n"
                      "folio train --out runs/first --resume --steps 10000",
                  .fields = all,
                  .configurable = true};
  std::vector<std::string> given;
  if (!parse(spec, with_resume_value(arguments), &given)) return 0;
  check(!c.out.empty(), Fault::usage, "where to? Give --out with the name of the run directory");
  Opened opened = open_run(c, given);
  return train_in(c, opened);
}

}  // namespace folio::cli

// folio train: from a text or prepared data to a run directory; and on from a checkpoint.
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/duration.h"
#include "cli/interruption.h"
#include "cli/run_memory.h"
#include "cli/signals.h"
#include "cli/train_replay.h"
#include "cli/train_sampler.h"
#include "cli/train_screen.h"
#include "cli/train_setup.h"
#include "cli/verbs.h"
#include "core/json.h"
#include "core/log.h"
#include "data/prepare.h"
#include "text/tokenizer.h"
#include "train/loop.h"
#include "train/tensorboard.h"

namespace folio::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

int report(TrainCommand const& c, train::Loop const& loop, train::Outcome outcome, train::MemoryPlan const& memory) {
  train::RunState const& state = loop.state();
  bool const finished = outcome != train::Outcome::stopped, early = outcome == train::Outcome::out_of_patience;
  if (c.json) {
    Json json = {{"run", c.out},
                 {"step", state.step},
                 {"finished", finished},
                 {"stopped_early", early},
                 {"loss", state.step_state.loss},
                 {"seconds", state.seconds},
                 {"memory", {{"planned", memory.total()}, {"peak", int64_t(train::peak_memory())}}}};
    for (MemoryRole const& role : memory.roles) json["memory"]["roles"][role.name] = role.bytes;
    if (memory.device.total > 0)
      json["memory"]["on_device"] = {{"planned", memory.of_roles()}, {"of", memory.device.total}};
    if (!state.rollbacks.empty()) json["rollbacks"] = state.rollbacks.size();
    if (state.best) json["best"] = {{"step", state.best->step}, {"val", state.best->val}};
    print(dump(json, 2) + "\n");
  } else {
    print(curve_of(loop.history()));
  }
  std::string const best =
      state.best ? fmt::format("; best {:.4f} at step {}", state.best->val, state.best->step) : std::string();
  if (early) {
    std::string const checkpoint =
        state.best ? ", " + (Path(c.out) / fmt::format("checkpoints/step-{:08}", state.best->step)).string() : "";
    say(
        fmt::format("stopped early after step {} of {}, {} {} without improvement{}{}; next: folio generate {} "
                    "--prompt TEXT",
                    state.step, c.run.steps, state.patience.waited,
                    state.patience.waited == 1 ? "evaluation" : "evaluations", best, checkpoint, shell_quoted(c.out)));
    return 0;
  }
  if (finished) {
    say(fmt::format("finished: {} steps in {}{}; next: folio generate {} --prompt TEXT", state.step,
                    format_duration(state.seconds), best, shell_quoted(c.out)));
    return 0;
  }
  say(fmt::format("stopped after step {} of {}, checkpoint saved{}; go on with: folio train --out {} --resume",
                  state.step, c.run.steps, best, shell_quoted(c.out)));
  return static_cast<int>(Fault::stopped);
}

// A new run whose memory, say, is not to be had leaves nothing behind.
class Unfinished {
 public:
  Unfinished(Path path, bool is_new) : path_(std::move(path)), remove_(is_new) {}
  ~Unfinished() {
    std::error_code ignored;
    if (remove_) std::filesystem::remove_all(path_, ignored);
  }
  Unfinished(Unfinished const&) = delete;
  void keep() { remove_ = false; }

 private:
  Path path_;
  bool remove_;
};

// What --from and --context do to the positions.
std::string of_positions(int64_t had, int64_t has) {
  if (has < had) return fmt::format("; of its {} positions the first {}", had, has);
  return has > had ? fmt::format("; positions {} to {} are new", had + 1, has) : "";
}

constexpr double kSecondsToClose = 0.2;  // what the end of a call takes behind the last save

// A call that makes nothing would be made again and again by who queues the rest of a run.
[[noreturn]] void refuse_limit(TrainCommand const& c, int64_t step, bool evaluating, double gone, double next) {
  if (evaluating)
    fail(Fault::value,
         "--time-limit {}: the evaluation after step {} is not done in it, and nothing else was done: it was cut short "
         "after {:.1f} s, for a save and the end may take {:.1f} s; give a longer limit, or fewer --eval-batches",
         c.time_limit, step, gone, next);
  fail(Fault::value,
       "--time-limit {}: no step fits into it: {:.1f} s are gone since the call began, and a step, the saves "
       "behind it and the end may take {:.1f} s; give a longer limit",
       c.time_limit, gone, next);
}

int train_in(TrainCommand const& c, OpenedRun& opened, Clock::time_point began, double limit) {
  Unfinished unfinished(c.out, opened.is_new);
  data::Dataset const data = data_of(c, c.out);
  model::Config const config = c.model.config(data.vocab());
  model::ModelInfo info{.config = config, .tokenizer = data.tokenizer_name()};
  std::vector<Attachment> attachments;
  std::vector<int32_t> byte_lengths;
  std::unique_ptr<text::Tokenizer> tokenizer;
  if (data.tokenizer_directory()) {
    tokenizer = text::load_tokenizer(data.tokenizer_directory()->string());
    attachments = tokenizer->files();
    byte_lengths = data::byte_lengths(*tokenizer);
    if (tokenizer->end_of_text()) info.end_of_text = *tokenizer->end_of_text();
  }
  size_t const memory_before = train::memory_before();
  auto const backend = c.backend.make();
  train::TrainerOptions options = train::trainer_options(c.run, config, config.context);
  options.dtype = c.backend.compute_type();
  std::optional<model::ModelDirectory> from;
  if (!opened.resumes && !opened.from.empty()) from.emplace(opened.from);
  // Positions that the model lacks begin as a new model's.
  options.initialise = !opened.resumes && (!from || from->config().context < config.context);
  train::MemoryPlan const memory = plan_of(c.run, config, options.dtype, *backend, memory_before);
  say(opening_lines(config, c.run, c.backend.description(),
                    data::Batcher(data.split("train"), batcher_options(c.run, config.context)).tokens_in_epoch(),
                    memory));
  warn_of_decay(c.run);
  expect_fit(c.run, config, options.dtype, *backend, memory, opened.resumes);
  train::Trainer trainer(*backend, options);
  auto const made = what_bits_depend_on(c.backend);
  std::optional<TrainSampler> sampler;
  if (c.run.sample_every > 0) {
    check(
        tokenizer != nullptr, Fault::value,
        "--sample-every {}: the data bring no tokenizer to read a prompt with; leave the flag away, or prepare a text",
        c.run.sample_every);
    sampler.emplace(*backend, trainer.weights(), *tokenizer, c.run);
  }
  train::RunParts parts{*backend, trainer, data, opened.directory, c.run, info, attachments, byte_lengths, made};
  parts.from_model = !c.from.empty();
  if (sampler) parts.write = [&] { return sampler->write(); };
  Path const board_folder = opened.directory.path() / "tensorboard";
  check(!c.run.tensorboard || !exists(board_folder) || is_directory(board_folder), Fault::exists,
        "{} is a file: --tensorboard needs a folder there; move it away", board_folder.string());
  train::Loop loop(parts);
  TrainScreen screen(c.run.steps, c.out);
  Interrupter interrupter(*backend);
  train::Loop::Ask const ask = [&](train::Pace const& pace) -> train::Asked {
    if (!pace.evaluating) interrupter.before_step(loop.state().step + 1);
    double const gone = seconds_since(began);
    double const next = pace.next + kSecondsToClose;
    bool const late = gone + next > limit;
    bool const must_measure = !pace.has_saved && gone > limit / 2 && pace.steps > 0;  // how long a save takes
    if (late && !pace.anything && !signalled()) refuse_limit(c, loop.state().step, pace.evaluating, gone, next);
    train::Asked const asked = {.stop = signalled() ? "signal"
                                        : !pace.evaluating && c.stop_after > 0 && pace.steps >= c.stop_after
                                            ? "stop-after"
                                        : late ? "time-limit"
                                               : nullptr,
                                .save = save_asked_for() || must_measure};
    if (pace.anything || asked.stop) unfinished.keep();
    return asked;
  };
  if (opened.resumes) {
    loop.resume(ask);
    screen.begin_at(loop.state());
    say(fmt::format("resumed from step {} of {}", loop.state().step, c.run.steps));
  } else if (from) {
    from->load(*backend, trainer.weights(), model::ModelDirectory::Positions::any);
    say("weights from " + c.from + of_positions(from->config().context, config.context));
  }

  (void)train::memory_before();  // what filling the weights left over, before the first step takes its own
  std::vector<train::Watcher*> watching = {&screen};
  std::optional<train::TensorBoard> board;
  if (c.run.tensorboard) watching.push_back(&board.emplace(board_folder, loop.state().step + 1));
  train::Watchers watchers(watching);
  // A call that was refused has changed nothing of the run: only now are its options the run's.
  Path const config_file = opened.directory.config();
  if (!opened.config.empty() && opened.config != read_file(config_file, 1 << 20))
    write_file(config_file, opened.config);
  train::Outcome const outcome = loop.run(watchers, ask);
  screen.finish();
  return report(c, loop, outcome, memory);
}

}  // namespace

int train(Arguments const& arguments) {
  Clock::time_point const began = Clock::now();
  TrainCommand c;
  Spec const spec{.name = "train",
                  .summary = "train a GPT-2 on a text or prepared data",
                  .details =
                      "What decays is chosen with --decay: matrices (the default, as in nanoGPT and llm.c) or linear "
                      "(not the embeddings); --group gives tensors a rate and a decay of their own, --show-groups "
                      "shows them. Before a run, folio plan tells its memory and its end, and folio schedule draws "
                      "the learning rate. Ctrl-C saves and exits with 75, SIGUSR1 saves and goes on; --resume "
                      "continues bit for bit. A step whose loss or gradient norm is not finite is never taken; "
                      "--on-nonfinite and --on-spike say what then.",
                  .example =
                      "folio train --data input.txt --out runs/first\n"
                      "folio train --data data/plays --out runs/deep --layers 8 --steps 20000\n"
                      "folio train --out runs/first --resume --steps 10000",
                  .fields = joined({c.run_fields(), c.call_fields()}),
                  .configurable = true};
  Origins given;
  if (!parse(spec, with_values_of_lone_flags(arguments), &given)) return 0;
  check_groups(c.run, given);
  if (c.show_groups) return show_groups(c, given);
  if (!c.replay.empty()) return replay_step(c, given);
  check(!c.out.empty(), Fault::usage, "where to? Give --out with the name of the run directory");
  double const limit = c.time_limit.empty() ? INFINITY : seconds_from(c.time_limit, "time-limit");
  catch_signals();
  catch_save_signal();
  OpenedRun opened = open_run(c, given);
  return train_in(c, opened, began, limit);
}

}  // namespace folio::cli

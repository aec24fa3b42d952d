#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/log.h"
#include "data/manifest.h"
#include "train/broken_step.h"
#include "train/step_file.h"

namespace folio::train {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// What the run reads, as far as a moment can tell: the sizes of the splits, the tokenizer, and the manifest, which
// holds the hashes of the shards.
std::string fingerprint(data::Dataset const& data) {
  std::string text = fmt::format("tokenizer {}", data.tokenizer_fingerprint());
  for (data::Split const& split : data.splits()) text += fmt::format(", {} {}", split.name(), split.tokens());
  Path const manifest = data.path() / data::kManifestFile;
  std::error_code error;
  if (std::filesystem::exists(manifest, error)) text += ", manifest " + hash_of_file(manifest);
  return text;
}

// name → was, is, of the names that both have.
Json differences(std::map<std::string, std::string> const& before, std::map<std::string, std::string> const& now) {
  Json all = Json::object();
  for (auto const& [name, is] : now) {
    auto const was = before.find(name);
    if (was != before.end() && was->second != is) all[name] = {{"was", was->second}, {"is", is}};
  }
  return all;
}

}  // namespace

Loop::Loop(RunParts const& parts)
    : p_(parts),
      batcher_(parts.data.split("train"), batcher_options(parts.options, parts.trainer.options().length)),
      evaluator_(parts.backend, parts.trainer.options().config, parts.options.batch, parts.trainer.options().length,
                 parts.trainer.options().dtype),
      saver_(parts.backend, parts.trainer, parts.directory, {.keep = parts.options.keep}, parts.info, parts.tokenizer),
      diagnosis_({.options = parts.options, .config = parts.trainer.options().config, .from_model = parts.from_model}) {
  if (p_.options.stats_every > 0) statistics_.emplace(p_.backend, p_.trainer);
  state_.step_state = p_.trainer.state();  // holds the seed before the first step
  state_.made = p_.made;
  state_.options = changeable(p_.options);
  state_.data_fingerprint = fingerprint(p_.data);
}

void Loop::resume(RunState const& state) {
  std::string const data_now = fingerprint(p_.data);
  check(state.data_fingerprint == data_now, Fault::content,
        "{} holds other data than the run began with ({}, then {}): give the run its data back, or start a new one",
        p_.data.path().string(), data_now, state.data_fingerprint);
  state_ = state;
  if (state.best && std::filesystem::is_directory(p_.directory.checkpoint(state.best->step)))
    p_.directory.set_best(*state.best);  // a run that was killed between checkpoint and record
  batcher_.restore(state.data);
  if (statistics_ && state.active) statistics_->restore(*state.active, "state.json");
  else if (statistics_) statistics_->begin_at(state.step);
  std::error_code error;
  uint64_t const logged = std::filesystem::file_size(p_.directory.metrics(), error);
  check(!error && logged >= state.metrics_bytes, Fault::content,
        "{} has lost lines: {} bytes were there when the checkpoint was saved; put the file back, or start a new run",
        p_.directory.metrics().string(), state.metrics_bytes);
  check_metrics_version(p_.directory.metrics());
  check_metrics_lines(p_.directory.metrics(), state.metrics_bytes);
  log_ = std::make_unique<AppendFile>(p_.directory.metrics(), state.metrics_bytes);
  log_bytes_ = state.metrics_bytes;
  diagnosis_.set_history(read_history(p_.directory.metrics()));
  saved_step_ = evaluated_step_ = state.step;
  if (auto const was = state.made.find("dtype"); was != state.made.end() && was->second != p_.made.at("dtype")) {
    state_.step_state.loss_scale = p_.trainer.options().loss_scale;  // of another type: the scaler begins
    state_.step_state.clean_steps = 0;
    p_.trainer.set_state(state_.step_state);
  }
  note("resume", {{"step", state.step}});
  note_changes(state);
}

void Loop::note_changes(RunState const& before) {
  state_.options = changeable(p_.options);
  state_.made = p_.made;
  Json const options = differences(before.options, state_.options), made = differences(before.made, state_.made);
  for (auto const& [what, values] : made.items())
    say(Level::warning, fmt::format("{} was {} and is now {}: the run goes on, but not with the same bits", what,
                                    values["was"].get<std::string>(), values["is"].get<std::string>()));
  Json changes = Json::object();
  if (!options.empty()) changes["options"] = options;
  if (!made.empty()) changes["made"] = made;
  if (!changes.empty()) note("change", changes);
}

Outcome Loop::run(Watcher& watcher, std::function<char const*(int64_t)> const& stop) {
  if (!log_) {
    log_ = std::make_unique<AppendFile>(p_.directory.metrics(), 0);
    log(metrics_header());
    History history;
    history.data = facts_of(p_.data);
    log(to_json(*history.data));
    diagnosis_.set_history(std::move(history));
  }
  before_ = state_.seconds;
  started_ = now();
  int64_t const first = state_.step;
  if (state_.step == 0 && evaluated_step_ < 0) evaluate(watcher);
  while (state_.step < p_.options.steps) {
    take_saves(watcher);
    if (p_.options.patience > 0 && state_.patience.waited >= p_.options.patience)
      return end_early(Outcome::out_of_patience, "patience", watcher);
    if (char const* const why = stop(state_.step - first)) return end_early(Outcome::stopped, why, watcher);
    step(watcher);
    if (p_.write && p_.options.sample_every > 0 && state_.step % p_.options.sample_every == 0) sample(watcher);
    bool const last = state_.step == p_.options.steps;
    bool best = false;
    bool const evaluates = last || state_.step % p_.options.eval_every == 0;
    if (evaluates) best = evaluate(watcher);
    if (evaluates || diagnosis_.due(state_.step)) diagnose(watcher);
    if (last || best || state_.step % p_.options.checkpoint_every == 0) save();
  }
  finish_saves(watcher);
  return Outcome::finished;
}

Outcome Loop::end_early(Outcome outcome, char const* why, Watcher& watcher) {
  note("stop", {{"step", state_.step}, {"why", why}});
  if (saved_step_ != state_.step) save();
  finish_saves(watcher);
  return outcome;
}

void Loop::step(Watcher& watcher) {
  double const begin = now();
  batcher_.next(batch_);
  double const rate = rate_at(p_.options.schedule, state_.step_state.accepted, p_.options.steps);
  bool const with_statistics = statistics_ && (state_.step + 1) % p_.options.stats_every == 0;
  if (with_statistics) statistics_->ask();
  StepState const before = state_.step_state;
  p_.trainer.step(batch_, rate);
  StepState const s = state_.step_state = p_.trainer.state();
  state_.step = s.attempted;
  StepReport const report{.step = state_.step,
                          .loss = s.loss,
                          .rate = rate,
                          .norm = s.norm,
                          .clipped = s.norm * clip_factor(s.norm, p_.trainer.options().decide.clip),
                          .loss_scale = p_.trainer.options().dtype == DType::f16 ? before.loss_scale : 0,
                          .accepted = s.accept != 0,
                          .seconds = seconds(),
                          .tokens_per_second = double(batch_.tokens.size()) / (now() - begin),
                          .memory_bytes = peak_memory()};
  log(to_json(report));
  diagnosis_.add(report);
  watcher.stepped(report);
  if (with_statistics) take_statistics(before.loss_scale, watcher);
  if (s.loss_scale < before.loss_scale) return watcher.overflowed(report, s.loss_scale);  // the scaler's way, no fault
  state_.refused_in_a_row = s.accept ? 0 : state_.refused_in_a_row + 1;
  if (s.accept) return;
  watcher.refused(report, state_.refused_in_a_row);
  if (state_.refused_in_a_row == 1) look_into(rate, before);
  diagnose(watcher);
  char const* const of_f16 = report.loss_scale > 0 ? ", or in bf16: values above 65,504 are infinite in f16" : "";
  check(state_.refused_in_a_row < kMostRefused, Fault::diverged,
        "the loss or the gradient norm was not finite in {} steps in a row, up to step {}: the run has diverged; start "
        "again from an earlier checkpoint or with a lower --lr, a longer --warmup or a smaller --clip{}",
        state_.refused_in_a_row, state_.step, of_f16);
}

void Loop::take_statistics(double loss_scale, Watcher& watcher) {
  Statistics const statistics = statistics_->take(state_.step, loss_scale);
  log(to_json(statistics));
  diagnosis_.add(statistics);
  watcher.measured(statistics);
}

void Loop::sample(Watcher& watcher) {
  Written const written = p_.write();
  Sample const sample{.step = state_.step, .prompt = written.prompt, .text = written.text};
  log(to_json(sample));
  watcher.sampled(sample);
}

bool Loop::evaluate(Watcher& watcher) {
  EvalReport report{.step = state_.step, .val_bits_per_byte = NAN};
  report.train = loss_of("train", nullptr);
  report.val = p_.data.has("val") ? loss_of("val", &report.val_bits_per_byte) : NAN;
  double const judged = p_.data.has("val") ? report.val : report.train;
  // Step 0 has no checkpoint, so it is never the best.
  report.best = state_.step > 0 && std::isfinite(judged) && (!state_.best || judged < state_.best->val);
  if (report.best) state_.best = Best{state_.step, judged};
  take_in(state_.patience, judged, p_.options.min_improvement);
  report.seconds = seconds();
  evaluated_step_ = state_.step;
  log(to_json(report));
  diagnosis_.add(report);
  watcher.evaluated(report);
  return report.best;
}

double Loop::loss_of(std::string const& name, double* bits_per_byte) {
  data::Split const& split = p_.data.split(name);
  data::EvalWindows const windows(split, p_.options.batch, p_.trainer.options().length, evaluation_batches(p_.options));
  int64_t number = 0, bytes = 0;
  model::EvalResult const result = evaluator_(p_.trainer.weights(), [&](model::EvalBatch& batch) {
    if (number == windows.batches()) return false;
    windows.batch(number++, evaluation_batch_);
    for (int32_t id : evaluation_batch_.targets)
      if (id >= 0 && size_t(id) < p_.byte_lengths.size()) bytes += p_.byte_lengths[size_t(id)];
    batch = {evaluation_batch_.tokens, evaluation_batch_.targets, evaluation_batch_.token_weights};
    return true;
  });
  if (bits_per_byte && bytes > 0) *bits_per_byte = result.bits_per_byte(bytes);
  return result.loss();
}

// The first one of a run is kept: that is where it broke, and a file has the size of the model.
void Loop::look_into(double rate, StepState const& before) {
  BrokenStep const found = take_again(p_.backend, p_.trainer, batch_, rate, before);
  Broken broken{.step = state_.step, .evidence = in_words(found, numbers_of(batch_))};
  std::string const file = p_.directory.broken_step(state_.step);
  if (!file.empty()) {
    save_step(p_.directory.path() / file, p_.backend, p_.trainer,
              {p_.options, p_.trainer.options().config, p_.trainer.options().dtype, batch_, rate, before});
    broken.file = file;
  }
  log(to_json(broken));
  diagnosis_.add(broken);
}

void Loop::diagnose(Watcher& watcher) {
  auto const finding = diagnosis_.changed();
  if (!finding) return;
  log(to_json(*finding));
  watcher.diagnosed(*finding);
}

void Loop::save() {
  state_.metrics_bytes = log_bytes_;
  state_.seconds = seconds();
  state_.data = batcher_.state();
  state_.active = statistics_ ? std::optional(statistics_->active()) : std::nullopt;
  saver_.save(state_, *log_);
  saved_step_ = state_.step;
}

void Loop::take_saves(Watcher& watcher) {
  for (SaveReport const& report : saver_.reports()) {
    log(to_json(report));
    watcher.saved(report);
  }
}

void Loop::finish_saves(Watcher& watcher) {
  saver_.finish();
  take_saves(watcher);
}

void Loop::note(std::string const& type, Json fields) {
  Json line = {{"type", type}};
  line.update(fields);
  log(line);
}

void Loop::log(Json const& json) {
  std::string const line = dump(json);
  log_->write_line(line);
  log_bytes_ += line.size() + 1;
}

double Loop::seconds() const { return before_ + now() - started_; }

}  // namespace folio::train

#include "train/loop.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "data/manifest.h"
#include "train/broken_step.h"
#include "train/step_file.h"

namespace folio::train {
namespace {

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

// What a first save may take: at the speed of a slow disk, and a second.
double seconds_of_a_save(Trainer const& trainer) {
  constexpr double kSlow = 1e8;  // bytes a second
  double bytes = 0;
  size_t i = 0;
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    Moments const& moments = trainer.moments()[i++];
    bytes += double(w.master.bytes() + moments.m.bytes() + moments.v.bytes());
  });
  return 1 + bytes / kSlow;
}

template <class F>
auto timed(double& longest, F what) {
  double const begin = now();
  auto const result = what();
  longest = std::max(longest, now() - begin);
  return result;
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
      saver_(parts.backend, parts.trainer, parts.directory, save_options(parts.options), parts.info, parts.tokenizer),
      diagnosis_({.options = parts.options, .config = parts.trainer.options().config, .from_model = parts.from_model}) {
  if (p_.options.stats_every > 0) statistics_.emplace(p_.backend, p_.trainer);
  state_.step_state = p_.trainer.state();  // holds the seed before the first step
  state_.made = p_.made;
  state_.options = changeable(p_.options);
  state_.kept = kept(p_.options, p_.trainer.options().config);
  state_.data_fingerprint = fingerprint(p_.data);
  state_.evaluation_due = true;  // before the first step
  state_.longest.save = seconds_of_a_save(p_.trainer);
}

uint64_t Loop::logged_until(uint64_t saved) const {
  Path const& path = p_.directory.metrics();
  std::error_code error;
  uint64_t const there = std::filesystem::exists(path, error) ? std::filesystem::file_size(path, error) : 0;
  check(!error, Fault::io, "{}: {}", path.string(), error.message());
  uint64_t const kept = there >= saved ? saved : whole_lines(path);
  if (there < saved)
    say(Level::warning,
        fmt::format("{} has lost lines: {} bytes were there when the checkpoint was saved, {} are; the run goes on, "
                    "and its curves lack what is lost",
                    path.string(), saved, there));
  check_metrics_version(path);
  check_metrics_lines(path, kept);
  return kept;
}

void Loop::resume(Ask const& ask) {
  RunState loaded = load_newest(p_.directory, p_.backend, p_.trainer,
                                {.expect = [this](RunState const& before) { expect_to_go_on(before); }});
  loaded.metrics_bytes = logged_until(loaded.metrics_bytes);
  ask_ = &ask;
  ask_first(loaded);
  auto const back = loaded.metrics_bytes > 0 ? after_rollbacks(loaded) : std::nullopt;
  RunState const& state = back ? *back : loaded;
  p_.directory.restore_best(state.best);  // a run may have been killed between checkpoint and record
  if (!back) rotate_again(state);         // a run that goes back has rotated, for what it may have to go back to
  if (state.metrics_bytes == 0) {
    begin_log();
  } else {
    log_ = std::make_unique<AppendFile>(p_.directory.metrics(), state.metrics_bytes);
    log_bytes_ = state.metrics_bytes;
  }
  go_on_from(state);
  if (state_.longest.save == 0) state_.longest.save = seconds_of_a_save(p_.trainer);  // of an older folio
  note("resume", {{"step", state.step}});
  note_changes(state);
}

// As run() will, by what the checkpoint knows of the run.
void Loop::ask_first(RunState const& loaded) {
  bool const patient = p_.options.patience == 0 || loaded.patience.waited < p_.options.patience;
  if (!loaded.evaluation_due && (!patient || loaded.step >= p_.options.steps)) return;
  RunState const fresh = std::exchange(state_, loaded);
  if (state_.longest.save == 0) state_.longest.save = fresh.longest.save;
  (void)(state_.evaluation_due ? asked(seconds_to_end_of_batch(), true) : asked(seconds_to_end(), false));
  state_ = fresh;
}

void Loop::rotate_again(RunState const& newest) {
  try {
    rotate(p_.directory, save_options(p_.options), newest);
  } catch (Error const& e) {
    if (e.fault != Fault::io) throw;
    say(Level::warning, fmt::format("{}; the next save tries again", e.what()));
  }
}

void Loop::expect_to_go_on(RunState const& before) const {
  check(before.step <= p_.options.steps, Fault::value,
        "--steps {} lies behind the checkpoint of step {}: give more steps, or start a new run with another --out",
        p_.options.steps, before.step);
  std::string const data_now = fingerprint(p_.data);
  check(before.data_fingerprint == data_now, Fault::content,
        "{} holds other data than the run began with ({}, then {}): give the run its data back, or start a new one",
        p_.data.path().string(), data_now, before.data_fingerprint);
  Json const changed = differences(before.kept, state_.kept);
  std::string all;
  for (auto const& [name, values] : changed.items())
    all += fmt::format("{}{} is {} and was {}", all.empty() ? "" : ", ", name, values["is"].get<std::string>(),
                       values["was"].get<std::string>());
  check(all.empty(), Fault::content,
        "{} has other values than the run of the checkpoint of step {}: {}; a run keeps its shape, batch, seed and "
        "optimizer: put what was back into the file, or start a new run with another --out",
        p_.directory.config().string(), before.step, all);
}

void Loop::note_changes(RunState const& before) {
  Json const options = differences(before.options, state_.options), made = differences(before.made, state_.made);
  for (auto const& [what, values] : made.items())
    say(Level::warning, fmt::format("{} was {} and is now {}: the run goes on, but not with the same bits", what,
                                    values["was"].get<std::string>(), values["is"].get<std::string>()));
  Json changes = Json::object();
  if (!options.empty()) changes["options"] = options;
  if (!made.empty()) changes["made"] = made;
  if (!changes.empty()) note("change", changes);
}

Outcome Loop::run(Watcher& watcher, Ask const& ask) {
  if (!log_) begin_log();
  before_ = state_.seconds;
  started_ = now();
  ask_ = &ask;
  bool stepped = state_.evaluation_due;  // and what comes after it is still to be done
  for (;;) {
    if (stepped && !finish_step(watcher)) return end_early(Outcome::stopped, cut_, watcher);
    if (state_.step >= p_.options.steps) break;
    take_saves(watcher);
    if (p_.options.patience > 0 && state_.patience.waited >= p_.options.patience)
      return end_early(Outcome::out_of_patience, "patience", watcher);
    Asked const now_asked = asked(seconds_to_end(), false);
    if (now_asked.stop) return end_early(Outcome::stopped, now_asked.stop, watcher);
    if (std::exchange(save_asked_, false)) save_as_asked(watcher);
    ++taken_;
    stepped = timed(here_.step, [&] { return step(watcher); });
    if (!stepped) {  // it has gone back
      stepped = state_.evaluation_due;
      continue;
    }
    if (p_.write && p_.options.sample_every > 0 && state_.step % p_.options.sample_every == 0)
      timed(here_.sample, [&] { return sample(watcher), true; });
    state_.evaluation_due = state_.step == p_.options.steps || state_.step % p_.options.eval_every == 0;
  }
  finish_saves(watcher);
  return Outcome::finished;
}

void Loop::begin_log() {
  log_ = std::make_unique<AppendFile>(p_.directory.metrics(), 0);
  log(metrics_header());
  DataFacts const facts = facts_of(p_.data);
  log(to_json(facts));
  diagnosis_.begin(facts);
}

Asked Loop::asked(double next, bool evaluating) {
  Asked const asked = (*ask_)({.steps = taken_,
                               .next = next,
                               .has_saved = here_.save > 0,
                               .evaluating = evaluating,
                               .anything = taken_ + evaluations_ > 0});
  save_asked_ |= asked.save;
  return asked;
}

bool Loop::finish_step(Watcher& watcher) {
  bool const again = saved_step_ == state_.step;  // without its evaluation
  bool const evaluates = state_.evaluation_due;
  if (evaluates) {
    double seconds = here_.evaluation;
    if (!timed(seconds, [&] { return evaluate(watcher); })) return false;
    here_.evaluation = seconds;
  }
  if (state_.step > 0 && (evaluates || diagnosis_.due(state_.step))) diagnose(watcher);
  if (due() || again) save();
  return true;
}

bool Loop::due() const {
  if (state_.step == 0) return false;
  bool const last = state_.step == p_.options.steps, best = state_.best && state_.best->step == state_.step;
  // What is not finite may lie in the weights, and would take the place of a checkpoint that is sound.
  return last || best || (state_.step % p_.options.checkpoint_every == 0 && state_.refused_in_a_row == 0);
}

Outcome Loop::end_early(Outcome outcome, char const* why, Watcher& watcher) {
  note("stop", {{"step", state_.step}, {"why", why}});
  if (saved_step_ != state_.step) save();
  finish_saves(watcher);
  return outcome;
}

bool Loop::step(Watcher& watcher) {
  double const begin = now();
  batcher_.next(batch_);
  double const rate = rate_at(p_.options.schedule, state_.step_state.accepted, p_.options.steps);
  bool const with_statistics = statistics_ && (state_.step + 1) % p_.options.stats_every == 0;
  if (with_statistics) statistics_->ask();
  StepState const before = state_.step_state;
  bool const verified = p_.options.verify_step > 0 && (state_.step + 1) % p_.options.verify_step == 0;
  verified ? p_.trainer.verified_step(batch_, rate) : p_.trainer.step(batch_, rate);
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
  return judge(report, rate, before, watcher);
}

void Loop::take_statistics(double loss_scale, Watcher& watcher) {
  Statistics const statistics = statistics_->take(state_.step, loss_scale);
  log(to_json(statistics));
  diagnosis_.add(statistics);
  watcher.measured(statistics);
}

void Loop::sample(Watcher& watcher) {
  if (state_.refused_in_a_row > 0) return;
  Written written;
  try {
    written = p_.write();
  } catch (Error const& e) {
    if (e.fault != Fault::content) throw;  // broken weights: the next step is not finite, and its policy decides
    return say(Level::warning, fmt::format("no sample behind step {}: {}", state_.step, e.what()));
  }
  Sample const sample{.step = state_.step, .prompt = written.prompt, .text = written.text};
  log(to_json(sample));
  watcher.sampled(sample);
}

bool Loop::evaluate(Watcher& watcher) {
  EvalReport report{.step = state_.step, .val_bits_per_byte = NAN};
  cut_ = nullptr;
  batch_began_ = 0;
  report.train = loss_of("train", nullptr);
  report.val = p_.data.has("val") && !cut_ ? loss_of("val", &report.val_bits_per_byte) : NAN;
  if (cut_) return false;
  double const judged = p_.data.has("val") ? report.val : report.train;
  // Step 0 has no checkpoint, so it is never the best.
  report.best = state_.step > 0 && std::isfinite(judged) && (!state_.best || judged < state_.best->val);
  if (report.best) state_.best = Best{state_.step, judged};
  take_in(state_.patience, judged, p_.options.min_improvement);
  report.seconds = seconds();
  state_.evaluation_due = false;
  ++evaluations_;
  log(to_json(report));
  diagnosis_.add(report);
  watcher.evaluated(report);
  return true;
}

double Loop::loss_of(std::string const& name, double* bits_per_byte) {
  data::Split const& split = p_.data.split(name);
  data::EvalWindows const windows(split, p_.options.batch, p_.trainer.options().length, evaluation_batches(p_.options));
  int64_t number = 0, bytes = 0;
  model::EvalResult const result = evaluator_(p_.trainer.weights(), [&](model::EvalBatch& batch) {
    if (number == windows.batches() || (cut_ = asked(seconds_to_end_of_batch(), true).stop)) return false;
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
std::string Loop::look_into(double rate, StepState const& before) {
  BrokenStep const found = take_again(p_.backend, p_.trainer, batch_, rate, before);
  Broken broken{.step = state_.step, .evidence = in_words(found, numbers_of(batch_))};
  std::string const file = p_.directory.broken_step(state_.step);
  if (!file.empty()) try {
      save_step(p_.directory.path() / file, p_.backend, p_.trainer,
                {p_.options, p_.trainer.options().config, p_.trainer.options().dtype, batch_, rate, before});
      broken.file = file;
    } catch (Error const& e) {
      if (e.fault != Fault::io) throw;
      say(Level::warning,
          fmt::format("{}; step {} cannot be taken again by --replay, and the run goes on", e.what(), state_.step));
    }
  log(to_json(broken));
  diagnosis_.add(broken);
  return found.first && found.first->op.empty() ? found.first->tensor : "";
}

void Loop::save_as_asked(Watcher& watcher) {
  if (saved_step_ != state_.step) save();
  saver_.wait();
  take_saves(watcher);
  if (Path const at = p_.directory.checkpoint(state_.step); is_directory(at))
    say(fmt::format("step {}: saved {}, as asked", state_.step, at.string()));
}

// With a save in the background, one may be under way when the last one is to begin. How long an evaluation takes that
// an earlier call has made holds no call up that has made nothing: it begins, and is cut short where it does not fit.
double Loop::seconds_to_end() const {
  Longest const known = longest();
  int64_t const next = state_.step + 1;
  double seconds = known.step + 2 * known.save;
  bool const evaluates = next == p_.options.steps || next % p_.options.eval_every == 0;
  if (evaluates) seconds += taken_ > 0 ? known.evaluation : here_.evaluation;
  if (p_.write && p_.options.sample_every > 0 && next % p_.options.sample_every == 0) seconds += known.sample;
  return seconds;
}

double Loop::seconds_to_end_of_batch() {
  double const began = std::exchange(batch_began_, now());
  if (began > 0) longest_batch_ = std::max(longest_batch_, batch_began_ - began);
  return longest_batch_ + 2 * longest().save;
}

// Of this call; where it has made none yet, of the last.
Longest Loop::longest() const {
  auto const either = [](double here, double before) { return here > 0 ? here : before; };
  Longest const& before = state_.longest;
  return {.step = either(here_.step, before.step),
          .evaluation = either(here_.evaluation, before.evaluation),
          .sample = either(here_.sample, before.sample),
          .save = either(here_.save, before.save)};
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
  state_.longest = longest();
  state_.due = due();
  state_.data = batcher_.state();
  state_.active = statistics_ ? std::optional(statistics_->active()) : std::nullopt;
  saver_.save(state_, *log_);
  saved_step_ = state_.step;
}

void Loop::take_saves(Watcher& watcher) {
  auto const reports = saver_.reports();
  for (SaveReport const& report : reports) {
    here_.save = std::max(here_.save, report.seconds);
    watcher.saved(report);
    log(to_json(report));
  }
  if (reports.empty() || reports.back().saved) return;
  SaveReport const& last = reports.back();
  if (state_.best && state_.best->step == last.step) state_.best = read_best(p_.directory.path());  // what there is
  check(last.failed_in_a_row < kMostFailedSaves, last.fault, "{}. So failed {} saves in a row, and the run ends",
        in_words(last), last.failed_in_a_row);
}

void Loop::finish_saves(Watcher& watcher) {
  saver_.finish(state_.step);
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

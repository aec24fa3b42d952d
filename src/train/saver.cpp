#include "train/saver.h"

#include <utility>

#include "core/clock.h"
#include "core/log.h"

namespace folio::train {

void rotate(RunDirectory& run, SaveOptions const& options, RunState const& state) {
  // While steps are refused, what is not finite may lie in the weights: an older checkpoint may be the last sound one.
  if (state.refused_in_a_row > 0) return;
  run.rotate(options.keep, options.keep_every, state.best,
             [&](int64_t step) { return was_due(run, step, options.every); });
}

Saver::Saver(Backend& backend, Trainer& trainer, RunDirectory& directory, SaveOptions const& options,
             model::ModelInfo const& info, std::vector<Attachment> const& tokenizer)
    : backend_(backend),
      trainer_(trainer),
      directory_(directory),
      options_(options),
      info_(info),
      tokenizer_(tokenizer) {
  if (options.background) snapshot_.emplace(backend, trainer.weights(), trainer.moments());
}

Saver::~Saver() {
  wait();
  for (SaveReport const& report : reports_)
    if (!report.error.empty()) say(Level::warning, in_words(report));
}

void Saver::save(RunState const& state, AppendFile& log) {
  double const begin = now();
  wait();
  state_ = state, log_ = &log;
  written_ = false;
  best_due_ = best_due_ || (state.best && state.best->step == state.step);
  if (snapshot_) snapshot_->take();
  start();
  waited_ = now() - begin;
}

void Saver::start() {
  pending_ = true, ended_ = false;
  if (snapshot_) try {
      writer_ = std::jthread([this] { write(); });
      return;
    } catch (std::system_error const&) {  // no thread is to be had: then it is written here
    }
  write();
}

void Saver::write() {
  double const begin = now();
  report_ = {.step = state_.step, .path = directory_.checkpoint(state_.step)};
  if (written_ || attempt([this] { write_checkpoint(); })) {
    attempt([this] { record_best(); });
    attempt([this] { rotate(directory_, options_, state_); });  // it may make the room that best.json lacked
  }
  report_.saved = written_;
  report_.seconds = now() - begin;
  ended_ = true;
}

bool Saver::attempt(std::function<void()> const& what) {
  try {
    what();
    return true;
  } catch (std::exception const& e) {
    if (!report_.error.empty()) return false;
    auto const* const known = dynamic_cast<Error const*>(&e);
    report_.fault = known ? known->fault : Fault::failed;
    report_.error = e.what();
    return false;
  }
}

void Saver::record_best() {
  if (best_due_ && is_directory(directory_.checkpoint(state_.best->step))) directory_.set_best(*state_.best);
  best_due_ = false;
}

void Saver::write_checkpoint() {
  log_->sync();
  TrainedTensors const tensors =
      snapshot_ ? TrainedTensors{model::TensorSource::host(), snapshot_->weights(), snapshot_->moments()}
                : TrainedTensors{backend_, trainer_.weights(), trainer_.moments()};
  save_checkpoint(report_.path, tensors, info_, tokenizer_, state_);
  written_ = true;
}

void Saver::wait() {
  if (!pending_) return;
  if (writer_.joinable()) writer_.join();
  pending_ = false;
  report_.waited = waited_;
  report_.failed_in_a_row = failed_in_a_row_ = report_.saved ? 0 : failed_in_a_row_ + 1;
  for (int64_t const step : checkpoint_steps(directory_.path()))
    if (step != report_.step) report_.standing = directory_.checkpoint(step);
  reports_.push_back(report_);
}

void Saver::finish(int64_t step) {
  wait();
  if (report_.error.empty() || report_.step != step) return;
  double const begin = now();
  pending_ = true;
  write();
  waited_ = now() - begin;
  wait();
  check(report_.error.empty(), report_.fault, "{}. It was tried twice", in_words(report_));
}

std::vector<SaveReport> Saver::reports() {
  if (ended_) wait();
  return std::exchange(reports_, {});
}

MemoryRole Saver::plan(SaveOptions const& options, std::vector<MemoryRole> const& trainer) {
  MemoryRole snapshot{kRole, 0};
  if (!options.background) return snapshot;
  for (MemoryRole const& role : trainer)
    if (role.name == "weights" || role.name == "first moments" || role.name == "second moments")
      snapshot.bytes += role.bytes;
  return snapshot;
}

std::string in_words(SaveReport const& r) {
  if (r.saved) return fmt::format("the checkpoint of step {} is saved, but what follows failed: {}", r.step, r.error);
  return fmt::format("no checkpoint of step {} was saved: {}; {}", r.step, r.error,
                     r.standing.empty() ? "the run has none yet" : "the newest is " + r.standing.string());
}

}  // namespace folio::train

#include "train/saver.h"

#include <utility>

#include "core/clock.h"
#include "core/log.h"

namespace folio::train {
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
  try {
    if (!written_) write_checkpoint();
    if (best_due_ && is_directory(directory_.checkpoint(state_.best->step))) directory_.set_best(*state_.best);
    best_due_ = false;
    // While steps are refused, what is not finite may lie in the weights: an older checkpoint may be the last sound
    // one.
    if (state_.refused_in_a_row == 0)
      directory_.rotate(options_.keep, options_.keep_every, state_.best,
                        [&](int64_t step) { return was_due(directory_, step, options_.every); });
  } catch (std::exception const& e) {
    auto const* const known = dynamic_cast<Error const*>(&e);
    report_.fault = known ? known->fault : Fault::failed;
    report_.error = e.what();
  }
  report_.saved = written_;
  report_.seconds = now() - begin;
  ended_ = true;
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

#include "train/saver.h"

#include <chrono>
#include <utility>

namespace folio::train {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Saver::Saver(Backend& backend, Trainer& trainer, RunDirectory& directory, SaveOptions const& options,
             model::ModelInfo const& info, std::vector<Attachment> const& tokenizer)
    : backend_(backend),
      trainer_(trainer),
      directory_(directory),
      options_(options),
      info_(info),
      tokenizer_(tokenizer) {}

void Saver::save(RunState const& state, AppendFile& log) {
  state_ = state, log_ = &log;
  double const begin = now();
  write();
  double const seconds = now() - begin;
  reports_.push_back(
      {.step = state.step, .path = directory_.checkpoint(state.step), .seconds = seconds, .waited = seconds});
}

void Saver::write() {
  log_->sync();
  save_checkpoint(directory_.checkpoint(state_.step), backend_, trainer_, info_, tokenizer_, state_);
  if (state_.best && state_.best->step == state_.step) directory_.set_best(*state_.best);
  directory_.rotate(options_.keep);
}

std::vector<SaveReport> Saver::reports() { return std::exchange(reports_, {}); }

}  // namespace folio::train

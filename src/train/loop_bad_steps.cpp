// What the loop does about bad steps: see train/bad_steps.h.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "train/loop.h"

namespace folio::train {

bool Loop::judge(StepReport const& report, double rate, StepState const& before, Watcher& watcher) {
  StepState const& s = state_.step_state;
  if (overflowed(report)) {  // the scaler's way, no fault; a loss is not scaled, so one that is not finite is
    watcher.overflowed(report, s.loss_scale);
    return true;
  }
  if (!std::isfinite(s.loss) || !std::isfinite(s.norm)) return not_finite(report, rate, before, watcher);
  if (s.accept) state_.refused_in_a_row = 0;
  if (s.spike_score <= p_.options.spike_score) return true;
  Spike const spike{.step = report.step, .score = s.spike_score, .accepted = s.accept != 0};
  log(to_json(spike));
  watcher.spiked(report, spike);
  return s.accept || p_.options.on_spike != "rollback" || !roll_back("spike", watcher);
}

bool Loop::not_finite(StepReport const& report, double rate, StepState const& before, Watcher& watcher) {
  std::string const& policy = p_.options.on_nonfinite;
  ++state_.refused_in_a_row;
  if (policy == "skip") watcher.refused(report, state_.refused_in_a_row);
  if (state_.refused_in_a_row == 1) broken_weight_ = look_into(rate, before);
  diagnose(watcher);
  if (policy == "rollback" && roll_back("not-finite", watcher)) return false;
  char const* const of_f16 = report.loss_scale > 0 ? ", or in bf16: values above 65,504 are infinite in f16" : "";
  check(policy != "abort", Fault::diverged,
        "the loss or the gradient norm of step {} is not finite, and --on-nonfinite abort ends the run; go on from its "
        "newest checkpoint with --resume and another --on-nonfinite, a lower --lr or a smaller --clip{}",
        state_.step, of_f16);
  if (state_.refused_in_a_row < kMostRefused) return true;
  std::string const in_a_row =
      fmt::format("the loss or the gradient norm was not finite in {} steps in a row, up to step {}",
                  state_.refused_in_a_row, state_.step);
  bool const back = where_to().has_value();
  check(broken_weight_.empty(), Fault::diverged,
        "{}: {} holds values that are not finite, and no later step mends a weight; {}", in_a_row, broken_weight_,
        back ? "go back to a checkpoint before that with --resume --on-nonfinite rollback"
             : "no checkpoint was due before that, to go back to: start again with a smaller --checkpoint-every, or "
               "from an older model (--from)");
  fail(Fault::diverged,
       "{}: the run has diverged; {}start again with a lower --lr, a longer --warmup or a smaller --clip{}", in_a_row,
       back ? "go back to an earlier checkpoint with --resume --on-nonfinite rollback, or " : "", of_f16);
}

bool Loop::was_due(int64_t step) const { return train::was_due(p_.directory, step, p_.options.checkpoint_every); }

std::optional<RunState> Loop::load_due(int64_t at_most) {
  return load_earlier(p_.directory, p_.backend, p_.trainer,
                      {.among = [&](int64_t step) { return step <= at_most && was_due(step); }});
}

// A checkpoint that was asked for is not there in a run that nobody stops, which must go back to the same ones.
std::optional<Retreat> Loop::where_to() {
  saver_.wait();
  auto due = checkpoint_steps(p_.directory.path());
  std::erase_if(due, [&](int64_t step) { return !was_due(step); });
  return retreat_from(state_.step, state_.rollbacks, due);
}

bool Loop::roll_back(char const* why, Watcher& watcher) {
  auto const retreat = where_to();
  auto const nowhere = [&] {
    say(Level::warning, fmt::format("step {}: there is no whole checkpoint that was due for the run to go back to; the "
                                    "step was not taken, and the run goes on with the next",
                                    state_.step));
    return false;
  };
  if (!retreat) return nowhere();
  if (retreat->in_a_row > kMostRollbacks)
    fail(Fault::diverged,
         "step {} failed at about the place where {} rollbacks had gone back from before, the last to step {}: passing "
         "over data does not help. {}",
         state_.step, kMostRollbacks, state_.rollbacks.back().to,
         broken_weight_.empty() || why != std::string_view("not-finite")
             ? "Give a lower --lr or a smaller --clip, or --on-spike warn and --on-nonfinite skip, and look at the data"
             : broken_weight_ +
                   " holds values that are not finite in that checkpoint: begin a run with an older model (--from)");
  auto const loaded = load_due(retreat->to);
  if (!loaded) return nowhere();
  RunState earlier = *loaded;
  for (int64_t i = passed_over_besides(retreat->in_a_row); i > 0; --i) batcher_.next(batch_);
  Rollback const rollback{.step = state_.step,
                          .to = earlier.step,
                          .why = why,
                          .in_a_row = retreat->in_a_row,
                          .skipped = state_.step - earlier.step + passed_over_besides(retreat->in_a_row),
                          .data = batcher_.state()};
  log(to_json(rollback));
  log_->sync();  // from here on a run that is killed does the same
  earlier.rollbacks = state_.rollbacks;
  earlier.rollbacks.push_back(rollback);
  earlier.data = rollback.data;
  p_.directory.forget_after(earlier.step, earlier.best);
  go_on_from(earlier);
  watcher.rolled_back(rollback);
  return true;
}

std::optional<RunState> Loop::after_rollbacks(RunState state) {
  auto const has = [&](data::Batcher::State const& position) { return batcher_.has(position); };
  auto const behind = [&] { return rollback_behind(p_.directory.metrics(), state.metrics_bytes, state.step, has); };
  auto logged = behind();
  if (!logged) return {};
  int64_t const to = logged->all.back().to;
  if (to < state.step) {  // killed before its newer checkpoints were removed
    auto const earlier = load_due(to);
    state = earlier.value_or(state);
    logged = behind();
    if (state.step != to)
      say(Level::warning, fmt::format("the run had gone back to its checkpoint of step {}, which is gone: it goes on "
                                      "from step {}",
                                      to, state.step));
    if (!earlier) return {};
  }
  if (!logged || logged->all.back().to != state.step) {  // an earlier one, as it is
    p_.directory.forget_after(state.step, state.best);
    return state;
  }
  state.rollbacks.insert(state.rollbacks.end(), logged->all.begin(), logged->all.end());
  state.data = logged->all.back().data;
  state.metrics_bytes = logged->metrics_bytes;
  p_.directory.forget_after(state.step, state.best);
  return state;
}

void Loop::go_on_from(RunState const& state) {
  auto const was = state.made.find("dtype");
  bool const of_another_type = was != state.made.end() && was->second != p_.made.at("dtype");
  state_ = state;
  // A better one took its place, which the run has gone back over.
  if (state.best && !is_directory(p_.directory.checkpoint(state.best->step))) state_.best.reset();
  state_.options = changeable(p_.options), state_.made = p_.made;
  state_.kept = kept(p_.options, p_.trainer.options().config);
  batcher_.restore(state.data);
  if (statistics_ && state.active) statistics_->restore(*state.active, "state.json");
  else if (statistics_) statistics_->begin_at(state.step);
  diagnosis_.read_again(p_.directory.metrics());
  saved_step_ = state.step;
  if (!of_another_type) return;
  state_.step_state.loss_scale = p_.trainer.options().loss_scale;  // the scaler begins
  state_.step_state.clean_steps = 0;
  p_.trainer.set_state(state_.step_state);
}

}  // namespace folio::train

#include "cli/resume_proof.h"

#include <stdlib.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/child.h"
#include "cli/kind.h"
#include "cli/signals.h"
#include "core/json.h"
#include "core/progress.h"
#include "train/history.h"

namespace folio::cli {
namespace {

using Clock = std::chrono::steady_clock;

enum class How { asked, killed, killed_within };

// What is done to the runs, each at a step of its own.
struct Plan {
  char const* name;
  std::vector<How> kinds;
};
Plan const kPlans[] = {
    {"the same run again", {}},
    {"asked to stop", {How::asked}},
    {"killed", {How::killed}},
    {"killed between two micro-batches", {How::killed_within}},
    {"all three, one after the other", {How::asked, How::killed, How::killed_within}},
};

struct Logged {
  int64_t step = 0;         // the last that is logged
  double step_seconds = 0;  // of the steps so far, a step's
};

Logged logged_in(Path const& run) {
  std::error_code error;
  if (!std::filesystem::exists(run / "metrics.jsonl", error)) return {};
  auto const steps = train::read_history(run / "metrics.jsonl").steps;
  if (steps.empty()) return {};
  auto const& last = steps.back();
  return {last.step, last.seconds / double(steps.size())};
}

class Rounds {
 public:
  Rounds(TrainCommand c, int64_t steps, Path folder) : c_(std::move(c)), steps_(steps), folder_(std::move(folder)) {
    c_.run.accumulate = std::max<int64_t>(2, c_.run.accumulate);
    c_.run.checkpoint_every = std::max<int64_t>(1, steps_ / 4);
    c_.run.eval_every = std::min(c_.run.eval_every, std::max<int64_t>(1, steps_ / 2));
    if (c_.run.stats_every > 0) c_.run.stats_every = std::min(c_.run.stats_every, std::max<int64_t>(1, steps_ / 3));
    if (is_text(what_is(c_.data))) {
      prepare_text(c_, model_of_from(c_), folder_);
      c_.data = (folder_ / "data").string();
    }
    c_.data = std::filesystem::absolute(c_.data).lexically_normal().string();
    write_file(config(), to_toml(c_.run_fields()));
  }

  // Trains a run to its last step with these interruptions; says where they met it.
  std::string train(std::string const& name, std::vector<How> const& kinds) {
    Path const run = folder_ / name;
    std::string where;
    for (size_t i = 0; i < kinds.size(); ++i) {
      int64_t const at = std::max<int64_t>(1, int64_t(i + 1) * steps_ / int64_t(kinds.size() + 1));
      where += (i ? "; " : "") + interrupted(run, kinds[i], at);
    }
    auto const child = begin(run);
    int const code = end_of(*child);
    auto const saved = train::checkpoint_steps(run);
    check((code == 0 || code == int(Fault::stopped)) && !saved.empty() && saved.back() == steps_, Fault::failed,
          "the run {} ended with {} before step {}: {}", run.string(), code, steps_, last_line(log_of(run)));
    return where;
  }

 private:
  Path config() const { return folder_ / "config.toml"; }
  static Path log_of(Path const& run) { return run.string() + ".log"; }

  std::unique_ptr<Child> begin(Path const& run) {
    auto const saved = train::checkpoint_steps(run);
    int64_t const left = steps_ - (saved.empty() ? 0 : saved.back());
    std::vector<std::string> words = {"train", "--out", run.string(), "--quiet", "--resume", "auto"};
    if (!train::is_run_directory(run)) words.insert(words.end(), {"--config", config().string()});
    if (c_.backend.threads > 0) words.insert(words.end(), {"--threads", std::to_string(c_.backend.threads)});
    words.insert(words.end(), {"--stop-after", std::to_string(left)});
    return std::make_unique<Child>(words, variables_of_train(), log_of(run));
  }

  // Waits until step `at` is logged, and interrupts.
  std::string interrupted(Path const& run, How how, int64_t at) {
    auto const child = begin(run);
    Logged logged;
    std::optional<int> code;
    for (;;) {
      stop_if_asked();
      code = child->ended();
      logged = logged_in(run);
      if (code || logged.step >= at) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (!code && how == How::killed_within)
      std::this_thread::sleep_for(std::chrono::duration<double>(0.5 * logged.step_seconds));
    if (!code) code = child->ended();
    check(!code.has_value(), Fault::failed,
          "the run {} ended with {} before it could be interrupted at step {} of {}: give more --verify-steps, or a "
          "larger "
          "model; it said: {}",
          run.string(), code.value_or(0), at, steps_, last_line(log_of(run)));
    child->signal(how == How::asked ? SIGTERM : SIGKILL);
    int const ended = end_of(*child);
    int const expected = how == How::asked ? int(Fault::stopped) : 128 + SIGKILL;
    check(ended == expected, Fault::failed, "the run {} ended with {} where {} was expected: {}", run.string(), ended,
          expected, last_line(log_of(run)));
    logged = logged_in(run);
    auto const saved = train::checkpoint_steps(run);
    int64_t const from = saved.empty() ? 0 : saved.back();
    return fmt::format("{} step {}, on from {}", how == How::killed_within ? "within the step after" : "after",
                       logged.step, from);
  }

  static void stop_if_asked() { check(!signalled(), Fault::stopped, "stopped by a signal"); }

  static int end_of(Child& child) {
    for (;;) {
      if (auto const code = child.ended()) return *code;
      stop_if_asked();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  TrainCommand c_;
  int64_t steps_;
  Path folder_;
};

}  // namespace

ProofFolder::ProofFolder(Path const& path) : path_(path), remove_(path.empty()) {
  if (!remove_) {
    std::error_code error;
    check(!std::filesystem::exists(path, error), Fault::exists, "{} exists already: give a new folder", path.string());
    make_folders(path);
    return;
  }
  std::string name = (std::filesystem::temp_directory_path() / "folio-proof-XXXXXX").string();
  check(::mkdtemp(name.data()) != nullptr, Fault::io, "no temporary folder can be made in {}: {}; give --out",
        std::filesystem::temp_directory_path().string(), std::strerror(errno));
  path_ = name;
}

ProofFolder::~ProofFolder() {
  std::error_code ignored;
  if (remove_) std::filesystem::remove_all(path_, ignored);
}

std::vector<ResumeRound> prove_resume(TrainCommand c, int64_t steps, Path const& folder,
                                      std::function<void(ResumeRound const&)> const& told) {
  Rounds rounds(std::move(c), steps, folder);
  rounds.train("whole", {});
  std::vector<ResumeRound> all;
  for (Plan const& plan : kPlans) {
    std::string const name = fmt::format("round-{}", all.size() + 1);
    ResumeRound round{.name = plan.name, .where = rounds.train(name, plan.kinds), .result = {}};
    round.result = train::compare_runs(folder / "whole", folder / name);
    told(round);
    all.push_back(std::move(round));
  }
  return all;
}

std::string text_of(ResumeRound const& round) {
  auto const& r = round.result;
  std::string const what =
      r.same() ? fmt::format("the same bits at step {}: {} weights, {} moments, the state, {} lines of the log", r.step,
                             r.weights, r.moments, r.lines)
               : "differs: " + r.difference;
  return fmt::format("{}{}: {}", round.name, round.where.empty() ? "" : " (" + round.where + ")", what);
}

}  // namespace folio::cli

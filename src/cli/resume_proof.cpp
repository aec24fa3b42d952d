#include "cli/resume_proof.h"

#include <stdlib.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "cli/child.h"
#include "cli/interruption.h"
#include "cli/kind.h"
#include "cli/signals.h"
#include "core/paths.h"
#include "core/progress.h"
#include "train/history.h"

namespace folio::cli {
namespace {

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

class Rounds {
 public:
  Rounds(TrainCommand c, int64_t steps, Path folder) : c_(std::move(c)), steps_(steps), folder_(std::move(folder)) {
    c_.run.accumulate = std::max<int64_t>(2, c_.run.accumulate);
    // Twice before half of the steps: when the second begins to be written, the first is durable.
    c_.run.checkpoint_every = std::max<int64_t>(1, steps_ / 4);
    c_.run.keep = 2, c_.run.keep_every = 0;
    c_.run.eval_every = std::min(c_.run.eval_every, std::max<int64_t>(1, steps_ / 2));
    if (c_.run.stats_every > 0) c_.run.stats_every = std::min(c_.run.stats_every, std::max<int64_t>(1, steps_ / 3));
    if (is_text(what_is(c_.data))) {
      prepare_text(c_, model_of_from(c_), folder_);
      c_.data = (folder_ / "data").string();
    }
    c_.data = std::filesystem::absolute(c_.data).lexically_normal().string();
    write_file(config(), to_toml(c_.run_fields()));
  }

  // Of a run at once: the two newest, one more that was due, the best, and one that is being written.
  static constexpr int64_t kCheckpoints = 5;

  /// Bytes that the checkpoints of so many runs take at most.
  size_t room(int64_t runs) const {
    model::Config const config = c_.model.config(data_of(c_, folder_).vocab());
    size_t const bytes = 3 * size_of(wide(c_.backend.compute_type()));  // of a weight and its moments
    return size_t(runs * kCheckpoints * model::count_parameters(config).total()) * bytes;
  }

  // Trains a run to its last step with these interruptions; says where they met it.
  std::string train(std::string const& name, std::vector<How> const& kinds) {
    Path const run = folder_ / name;
    std::string where;
    int64_t from = 0;
    for (size_t i = 0; i < kinds.size(); ++i) {
      int64_t const at = 1 + int64_t(i + 1) * steps_ / int64_t(kinds.size() + 1);
      from = interrupted(run, kinds[i], at);
      where += fmt::format("{}{} step {}, on from {}", i ? "; " : "", words_of(kinds[i]), at, from);
    }
    auto const child = begin(run, {});
    int const code = end_of(*child);
    auto const saved = train::checkpoint_steps(run);
    check((code == 0 || code == int(Fault::stopped)) && !saved.empty() && saved.back() == steps_, Fault::failed,
          "the run {} ended with {} before step {}: {}", run.string(), code, steps_, last_line(log_of(run)));
    int64_t const resumed = last_resumed(run);
    check(resumed == from, Fault::failed, "the run {} went on from step {}, where step {} was its newest checkpoint",
          run.string(), resumed, from);
    return where;
  }

 private:
  Path config() const { return folder_ / "config.toml"; }
  static Path log_of(Path const& run) { return run.string() + ".log"; }

  static char const* words_of(How how) {
    return how == How::asked ? "in" : how == How::killed ? "before" : "behind micro-batch 1 of";
  }

  static int64_t last_resumed(Path const& run) {  // 0: never
    int64_t step = 0;
    for (train::Note const& note : train::history_of(run).notes)
      if (note.type == "resume") step = note.step;
    return step;
  }

  std::unique_ptr<Child> begin(Path const& run, std::map<std::string, std::string> const& set) {
    auto const saved = train::checkpoint_steps(run);
    int64_t const left = steps_ - (saved.empty() ? 0 : saved.back());
    std::vector<std::string> words = {"train", "--out", run.string(), "--quiet", "--resume", "auto"};
    if (!train::is_run_directory(run)) words.insert(words.end(), {"--config", config().string()});
    if (c_.backend.threads > 0) words.insert(words.end(), {"--threads", std::to_string(c_.backend.threads)});
    words.insert(words.end(), {"--stop-after", std::to_string(left)});
    return std::make_unique<Child>(words, variables_of_train(), log_of(run), set);
  }

  // Interrupts the run at step `at`, by which a save has been waited for; the step of the checkpoint that stands then.
  int64_t interrupted(Path const& run, How how, int64_t at) {
    Interruption const what{
        .signal = how == How::asked ? SIGTERM : SIGKILL, .step = at, .micro_batch = how == How::killed ? 0 : 1};
    auto const child = begin(run, {{Interruption::kVariable, what.text()}});
    int const ended = end_of(*child), expected = how == How::asked ? int(Fault::stopped) : 128 + SIGKILL;
    check(ended == expected, Fault::failed, "the run {} ended with {} where {} was expected: {}", run.string(), ended,
          expected, last_line(log_of(run)));
    auto const saved = train::checkpoint_steps(run);
    int64_t const from = saved.empty() ? 0 : saved.back();
    check(how == How::asked ? from == at : 0 < from && from < at, Fault::failed,
          "the run {} was interrupted at step {}, and its newest checkpoint is that of step {}: it shows no resuming",
          run.string(), at, from);
    return from;
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
  std::string name = (temporary_folder() / "folio-proof-XXXXXX").string();
  check(::mkdtemp(name.data()) != nullptr, Fault::io, "no temporary folder can be made in {}: {}; give --out",
        temporary_folder().string(), std::strerror(errno));
  path_ = name;
}

ProofFolder::~ProofFolder() {
  std::error_code ignored;
  if (remove_) std::filesystem::remove_all(path_, ignored);
}

std::vector<ResumeRound> prove_resume(TrainCommand c, int64_t steps, ProofFolder const& folder,
                                      std::function<void(std::string const&)> const& told) {
  Path const at = folder.path();
  Rounds rounds(std::move(c), steps, at);
  int64_t const runs = 1 + int64_t(std::size(kPlans));
  size_t const room = rounds.room(folder.kept() ? runs : 2);
  std::error_code error;
  uintmax_t const free = std::filesystem::space(at, error).available;
  check(error || room <= free, Fault::io,
        "the checkpoints of the runs take up to {}, and {} are free where {} lies: give --out with a folder that has "
        "more, or a smaller model",
        format_bytes(double(room)), format_bytes(double(free)), at.string());
  told(fmt::format("{} runs of {} steps, one after the other, in {}: up to {} of checkpoints at a time", runs, steps,
                   at.string(), format_bytes(double(room))));
  rounds.train("whole", {});
  std::vector<ResumeRound> all;
  for (Plan const& plan : kPlans) {
    std::string const name = fmt::format("round-{}", all.size() + 1);
    ResumeRound round{.name = plan.name, .where = rounds.train(name, plan.kinds), .result = {}};
    round.result = train::compare_runs(at / "whole", at / name);
    if (round.result.same() && !folder.kept()) folio::remove_all(at / name);
    told(text_of(round));
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

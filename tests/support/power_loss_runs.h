// A whole run whose calls were recorded, broken off behind each of them, with what a kill and what a loss of power may
// leave: an old or the new checkpoint loads, never one older than the newest that was durable; the log reaches as far
// as the checkpoint says; best.json names one that is whole. power_loss_test takes some of the calls, the long one
// each.
#pragma once

#include <set>

#include "core/hash.h"
#include "tests/support/failing_calls.h"
#include "tests/support/power_loss.h"
#include "tests/support/runs.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

namespace folio::test {

class PowerLoss : public testing::Test {
 protected:
  PowerLoss() { write_file(text, speeches()); }

  std::vector<std::string> command(Path const& out, std::string const& form) const {
    return small_run(text, out, 5, form);
  }

  // Every `every`th call; `chances` states by chance behind each; from each `goes_on`th the program goes on to the end.
  void break_off(std::string const& form, size_t every, int chances, size_t goes_on) {
    FOLIO_NEEDS_FAILING_CALLS();
    Path const below = folder / "disk";
    std::filesystem::create_directory(below);
    auto set = failing(below, {});
    set["FOLIO_TRACE"] = (folder / "trace").string(), set["FOLIO_TRACE_DATA"] = "1";
    Ended const ended = run(command(below / "run", form), {.set = set});
    ASSERT_EQ(ended.code, 0) << ended.err;
    auto const calls = read_trace(folder / "trace", true);
    Disk disk(below);
    for (TracedCall const& call : calls) disk.play(call);
    ASSERT_TRUE(disk.seen() == tree_seen(below)) << "the trace is the run";
    ASSERT_GT(calls.size(), 200u);
    whole_ = folder / "whole";
    std::filesystem::rename(below / "run", whole_);

    Disk played(below);
    std::mt19937 random(20261122);
    std::set<std::string> met;
    size_t states = 0;
    for (size_t n = 0; n < calls.size(); ++n) {
      played.play(calls[n]);
      take_in(calls[n]);
      if (n % every != 0) continue;
      std::vector<Tree> trees = {played.seen(), played.sure(), played.names_before_data()};
      for (size_t lost = 0; lost < std::min<size_t>(played.unsure(), 20); ++lost) trees.push_back(played.without(lost));
      for (int i = 0; i < chances; ++i) trees.push_back(played.by_chance(random));
      for (size_t i = 0; i < trees.size(); ++i) {
        if (!met.insert(hash_of(trees[i])).second) continue;
        SCOPED_TRACE(
            fmt::format("state {} behind call {} of {}: {} {}", i, n, calls.size(), calls[n].op, calls[n].path));
        make_tree(at_, trees[i]);
        if (++states % goes_on == 0) expect_goes_on(form);
        else expect_loads();
        if (HasFailure()) return;
      }
    }
    std::printf(
        "  %zu calls, %zu different states: %d loaded a checkpoint, %d were before the first; %d went on to the end\n",
        calls.size(), states, loaded_, before_first_, went_on_);
    EXPECT_GT(loaded_, 10 * went_on_);
    EXPECT_EQ(durable_, 5);
  }

 private:
  static std::string hash_of(Tree const& tree) {
    Hasher hasher;
    for (auto const& [path, content] : tree) {
      hasher.add(path), hasher.add(content ? std::to_string(content->size()) : "/");
      if (content) hasher.add(*content);
    }
    return hasher.hex();
  }
  static Tree tree_seen(Path const& at) {
    Tree tree;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(at))
      tree[entry.path().lexically_relative(at).string()] =
          entry.is_directory() ? std::nullopt : std::optional(read_file(entry.path()));
    return tree;
  }

  // Which checkpoint has its name, and which is durable.
  void take_in(TracedCall const& call) {
    std::string const name = Path(call.path).filename().string();
    if (call.op == "rename" && name.starts_with("step-")) named_ = std::stol(name.substr(5));
    if (call.op == "sync" && name == "checkpoints") durable_ = named_;
  }

  void expect_loads() {
    Path const at = at_ / "run";
    if (durable_ == 0 && (!train::is_run_directory(at) || train::checkpoint_steps(at).empty())) {
      ++before_first_;
      return;
    }
    auto directory = train::RunDirectory::open(at);
    train::RunState const state = train::load_newest(directory, *backend_, trainer());
    EXPECT_GE(state.step, durable_);
    EXPECT_LE(state.step, named_);
    EXPECT_GE(std::filesystem::file_size(directory.metrics()), state.metrics_bytes);
    train::check_metrics_lines(directory.metrics(), state.metrics_bytes);
    if (auto const best = train::read_best(at)) {
      EXPECT_EQ(model::damage_of(train::checkpoint_path(at, best->step)), "");
    }
    ++loaded_;
  }

  void expect_goes_on(std::string const& form) {
    Ended const ended = run(command(at_ / "run", form));
    ASSERT_EQ(ended.code, 0) << ended.err;
    expect_same_run(whole_, at_ / "run");
    EXPECT_EQ(read_file(whole_ / "best.json"), read_file(at_ / "run" / "best.json"));
    EXPECT_FALSE(left_behind(at_ / "run"));
    ++went_on_;
  }

  train::Trainer& trainer() {  // of the run's shape
    if (!trainer_) {
      model::ModelDirectory const last(last_checkpoint(whole_));
      trainer_ = std::make_unique<train::Trainer>(
          *backend_, train::TrainerOptions{
                         .config = last.config(), .length = 16, .optimizer = {}, .decide = {}, .classifier = {}});
    }
    return *trainer_;
  }

  ScratchFolder folder{in_memory()};
  Path text = folder / "text.txt", at_ = folder / "left", whole_;
  std::unique_ptr<Backend> backend_ = make_reference_backend();
  std::unique_ptr<train::Trainer> trainer_;
  int64_t named_ = 0, durable_ = 0;
  int loaded_ = 0, before_first_ = 0, went_on_ = 0;
};

}  // namespace folio::test

// Every call of a run that changes a file made to fail in turn, with a full disk and with a broken one: the program
// says so and goes on to the same end, or exits with 74; what has a name is whole, and the run can be taken up again.
// And two processes on one run. train_faults_test tries some of the calls, train_faults_long_test each.
#pragma once

#include <sstream>

#include "model/checkpoint.h"
#include "tests/support/failing_calls.h"
#include "tests/support/runs.h"

namespace folio::test {

/// Whether all the calls that failed may fail without a word: those of the lock, which holds without its text and whose
/// file the next run takes over.
inline bool may_pass(std::string const& failed) {
  std::istringstream lines(failed);
  for (std::string line; std::getline(lines, line);)
    if (line.find("/lock\t") == std::string::npos) return false;
  return true;
}

class TrainFaults : public testing::Test {
 protected:
  TrainFaults() { write_file(text, speeches()); }

  std::vector<std::string> command(std::string const& form = "background") const {
    return small_run(text, at, 4, form);
  }

  void expect_whole_things_only() const {
    std::error_code error;
    for (auto const& entry : std::filesystem::directory_iterator(at / "checkpoints", error))
      if (!is_temporary(entry.path())) {
        EXPECT_EQ(model::damage_of(entry.path()), "") << entry.path();
      }
  }

  // Calls first, first + every, …, with saves of this form.
  void fail_each(std::string const& form, long first, long every) {
    FOLIO_NEEDS_FAILING_CALLS();
    Path const below = at.parent_path();
    std::filesystem::create_directory(below);
    ASSERT_EQ(run(command(form), {.set = failing(below, {}, folder / "count")}).code, 0);
    Path const whole = folder / "whole";
    std::filesystem::rename(at, whole);
    long const calls = std::stol(read_file(folder / "count"));
    ASSERT_GT(calls, 100);
    int ended_it = 0, said = 0, let_pass = 0;
    for (Failure const& failure : failures(calls, first, every)) {
      std::filesystem::remove_all(below);
      std::filesystem::create_directory(below);
      std::filesystem::remove(folder / "failed");
      Ended const ended = run(command(form), {.set = failing(below, failure, "", folder / "failed")});
      std::string const which = fmt::format("{} of {}: {}", failure.text(), calls, ended.err);
      ASSERT_TRUE(ended.code == 74 || ended.code == 0) << ended.code << ", " << which;
      bool const told = ended.err.find(std::strerror(failure.error)) != std::string::npos;
      (ended.code == 74 ? ended_it : told ? said : let_pass)++;
      ASSERT_TRUE(told || ended.code == 0) << which;
      std::string const failed = read_file(folder / "failed");
      ASSERT_TRUE(told || may_pass(failed)) << which << failed;
      if (told) {
        ASSERT_NE(ended.err.find(below.string()), std::string::npos) << "the path is named: " << which;
      }
      expect_whole_things_only();
      if (ended.code == 0) expect_same_run(whole, at);
      bool const left = left_behind(below);
      Ended const again = run(command(form));
      ASSERT_EQ(again.code, 0) << again.err << " after " << which;
      if (left) {
        EXPECT_NE(again.err.find("cleared away"), std::string::npos) << again.err << " after " << which;
      }
      EXPECT_FALSE(left_behind(below)) << which;
      expect_same_run(whole, at);
      if (HasFailure()) return;
    }
    EXPECT_GT(ended_it, 0);
    EXPECT_GT(said, 0);
    std::printf("  %ld calls: %d failures ended the run, %d were said and the run went on, %d were let pass\n", calls,
                ended_it, said, let_pass);
  }

  // Both at the same moment: one trains, the other is told by whom the run is used.
  void start_two(int rounds) {
    std::filesystem::create_directory(at.parent_path());
    ASSERT_EQ(run(command()).code, 0);
    std::vector<std::string> const go_on = {"train", "--out", at.string(), "--resume", "--steps", "1000000"};
    for (int round = 0; round < rounds; ++round) {
      Child a(go_on, folder / "a"), b(go_on, folder / "b");
      std::string const pids[] = {std::to_string(a.pid()), std::to_string(b.pid())};
      while (!a.ended() && !b.ended()) ::usleep(1000);
      bool const b_first = b.ended();
      Ended const loser = (b_first ? b : a).wait();
      Child& winner = b_first ? a : b;
      ASSERT_EQ(loser.code, 73) << loser.err;
      char host[256] = "";
      ::gethostname(host, sizeof host - 1);
      EXPECT_NE(loser.err.find("process " + pids[b_first ? 0 : 1] + " on " + host), std::string::npos) << loser.err;
      winner.signal(SIGKILL);
      EXPECT_EQ(winner.wait().signal, SIGKILL);
      // The number of the process that was killed may belong to another by now: that must not keep anyone out.
      if (std::filesystem::exists(at / "lock"))
        write_file(at / "lock", fmt::format("process {} on {} since yesterday", ::getpid(), host));
      expect_whole_things_only();
      Ended const taken_over = run(std::vector<std::string>{"train", "--out", at.string(), "--resume", "--steps",
                                                            "1000000", "--stop-after", "1"});
      ASSERT_EQ(taken_over.code, 75) << taken_over.err;
      EXPECT_NE(taken_over.err.find("taken over"), std::string::npos) << taken_over.err;
    }
  }

  ScratchFolder folder;
  Path text = folder / "text.txt", at = folder / "disk" / "run";
};

}  // namespace folio::test

// A run that is killed (SIGKILL) or asked to stop (SIGTERM) at random moments, inside saves too, and taken up again
// each time, ends as the run that nothing interrupted. kill_test does it a few times, kill_long_test sixty.
#pragma once

#include <chrono>
#include <random>
#include <thread>

#include "model/checkpoint.h"
#include "tests/support/runs.h"

namespace folio::test {

class Killing : public testing::Test {
 protected:
  Killing() { write_file(folder / "text.txt", speeches()); }

  std::vector<std::string> command(std::string const& out) const {
    return {"train",
            "--data",
            (folder / "text.txt").string(),
            "--out",
            (folder / out).string(),
            "--resume",
            "auto",
            "--layers",
            "2",
            "--heads",
            "2",
            "--embd",
            "32",
            "--context",
            "32",
            "--batch",
            "4",
            "--steps",
            "40",
            "--warmup",
            "5",
            "--dropout",
            "0.1",
            "--lr",
            "3e-3",
            "--eval-every",
            "10",
            "--eval-batches",
            "4",
            "--checkpoint-every",
            "1"};
  }

  // Interrupts runs until `moments` interruptions have met a living process.
  void interrupt(int moments, unsigned seed) {
    using clock = std::chrono::steady_clock;
    auto const begin = clock::now();
    ASSERT_EQ(run(command("whole")).code, 0);
    double const whole = std::chrono::duration<double>(clock::now() - begin).count();
    std::printf("seed %u; the whole run takes %.2f s\n", seed, whole);
    std::mt19937 random(seed);
    int runs = 0;
    for (int met = 0; met < moments; ++runs) {
      std::string const name = "run" + std::to_string(runs);
      for (bool finished = false; !finished;) {
        bool const kill = random() % 2;
        double const moment = met < moments ? 0.9 * whole * double(random()) / double(std::mt19937::max()) : 1e9;
        expect_clean_up_ = left_behind(name);
        Child child(command(name), folder / "err");
        auto const until = clock::now() + std::chrono::duration<double>(std::min(moment, 600.0));
        while (!child.ended() && clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        bool const alive = !child.ended();
        if (alive) child.signal(kill ? SIGKILL : SIGTERM);
        Ended const ended = child.wait();
        finished = ended.code == 0;
        expect_orderly(name, ended, alive && kill);
        if (HasFailure()) return;
        if (!alive) continue;
        ++met;
        std::printf("  %2d: %s after %.3f s, %s\n", met, kill ? "SIGKILL" : "SIGTERM", moment, where(name).c_str());
      }
      expect_same_run(folder / "whole", folder / name);
      EXPECT_EQ(read_file(folder / "whole" / "best.json"), read_file(folder / name / "best.json"));
      if (HasFailure()) return;
    }
    std::printf("%d interruptions in %d runs, %d of them inside a save: all runs ended as the whole one\n", moments,
                runs, in_saves_);
  }

 private:
  bool left_behind(std::string const& name) const {
    for (Path const& at : {folder.path(), folder / name, folder / name / "checkpoints"}) {
      std::error_code error;
      for (auto const& entry : std::filesystem::directory_iterator(at, error))
        if (is_temporary(entry.path())) return true;
    }
    return false;
  }

  void expect_orderly(std::string const& name, Ended const& ended, bool killed) {
    if (killed ? ended.signal != SIGKILL : ended.signal != SIGTERM) {  // SIGTERM: before the program asks to be told
      bool const stopped_early = ended.code == 1 && ended.err.find("stopped by a signal") != std::string::npos;
      EXPECT_TRUE(ended.code == 0 || ended.code == 75 || stopped_early) << ended.code << ": " << ended.err;
      if (expect_clean_up_) {
        EXPECT_NE(ended.err.find("cleared away"), std::string::npos) << ended.err;
      }
      EXPECT_FALSE(left_behind(name)) << ended.err;
    }
    std::error_code error;  // what has a checkpoint's name is whole
    for (auto const& entry : std::filesystem::directory_iterator(folder / name / "checkpoints", error))
      if (!is_temporary(entry.path())) {
        EXPECT_EQ(model::damage_of(entry.path()), "") << entry.path();
      }
  }

  std::string where(std::string const& name) {
    if (!std::filesystem::exists(folder / name)) return "before the run was there";
    bool const in_save = left_behind(name);
    in_saves_ += in_save;
    std::error_code error;
    bool const any = !std::filesystem::is_empty(folder / name / "checkpoints", error);
    std::string const step = any ? Path(last_checkpoint(folder / name)).filename().string() : "no checkpoint";
    return step + (in_save ? ", inside a save" : "");
  }

 protected:
  ScratchFolder folder;

 private:
  bool expect_clean_up_ = false;
  int in_saves_ = 0;
};

}  // namespace folio::test

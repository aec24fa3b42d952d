// A run that is killed (SIGKILL) again and again, with saves in the background, and taken up each time ends as the run
// that nothing interrupted, and never goes back further than the newest checkpoint that was durable. Kills come from
// outside at random moments, and from inside instead of a call that is part of a save, of a rotation or of an update of
// best.json; the trace of the calls (tests/preload) says what each met. Some rounds are stopped politely (SIGTERM).
// kill_test does a few rounds, kill_long_test two hundred.
#pragma once

#include <chrono>
#include <random>
#include <set>
#include <thread>

#include "model/checkpoint.h"
#include "tests/support/failing_calls.h"
#include "tests/support/power_loss.h"
#include "tests/support/runs.h"

namespace folio::test {

class Killing : public testing::Test {
 protected:
  static constexpr int64_t kSteps = 15, kPeriod = 3;

  // 256 · 40,000 + 786,432 + … parameters, of which a small step touches few tokens.
  Killing() {
    std::string ids;
    uint32_t x = 7;
    for (int i = 0; i < 20'000; ++i) {
      uint32_t const id = i % 4 ? 17 * uint32_t(i % 40) : (x = x * 1664525 + 1013904223) >> 20;
      ids += {char(id & 255), char(id >> 8)};
    }
    write_file(folder / "ids.bin", ids);
    std::filesystem::create_directory(below);
  }

  std::vector<std::string> command(std::string const& out) const {
    return {"train",
            "--data",
            (folder / "ids.bin").string(),
            "--vocab",
            "40000",
            "--out",
            (below / out).string(),
            "--resume",
            "auto",
            "--layers",
            "1",
            "--heads",
            "4",
            "--embd",
            "256",
            "--context",
            "8",
            "--batch",
            "2",
            "--steps",
            std::to_string(kSteps),
            "--warmup",
            "3",
            "--dropout",
            "0.1",
            "--lr",
            "3e-3",
            "--stats-every",
            "0",
            "--eval-every",
            std::to_string(kPeriod),
            "--eval-batches",
            "1",
            "--checkpoint-every",
            std::to_string(kPeriod),
            "--save",
            "background"};
  }

  // Until so many kills have met a living process.
  void kill(int rounds, unsigned seed) {
    FOLIO_NEEDS_FAILING_CALLS();
    using clock = std::chrono::steady_clock;
    auto const begin = clock::now();
    ASSERT_EQ(run(command("whole")).code, 0);
    double const whole = std::chrono::duration<double>(clock::now() - begin).count();
    std::printf("seed %u; the whole run takes %.2f s\n", seed, whole);
    std::mt19937 random(seed);
    for (int n = 0; kills_ < rounds; ++n) {
      std::string const name = fmt::format("run{}", n);
      durable_ = reached_ = 0, left_ = false;
      for (bool finished = false; !finished;) {
        std::filesystem::remove(trace_);
        auto set = failing(below, {});
        set["FOLIO_TRACE"] = trace_.string();
        double moment = 1e9;
        bool polite = false;
        switch (kills_ < rounds ? random() % 6 : 6) {
          case 0:
          case 1:
            moment = 0.9 * whole * double(random()) / double(std::mt19937::max());
            polite = random() % 8 == 0;
            break;
          case 2:
          case 3:
            set["FOLIO_KILL_OF"] = "/checkpoints/", set["FOLIO_KILL_CALL"] = std::to_string(1 + random() % 200);
            break;
          case 4:
            set["FOLIO_KILL_OF"] = "best.json", set["FOLIO_KILL_CALL"] = std::to_string(1 + random() % 6);
            break;
          case 5:  // of a rotation: the doomed folder's name, then its files
            set["FOLIO_KILL_OF"] = random() % 4 ? "unlink\t" : "rmdir\t";
            set["FOLIO_KILL_CALL"] = std::to_string(1 + random() % 8);
            break;
          default:
            break;
        }
        Child child(command(name), folder / "err", set);
        auto const until = clock::now() + std::chrono::duration<double>(std::min(moment, 600.0));
        while (!child.ended() && clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (!child.ended()) child.signal(polite ? SIGTERM : SIGKILL);
        Ended const ended = child.wait();
        finished = ended.code == 0;
        expect_orderly(name, ended);
        if (HasFailure()) return;
      }
      expect_same_run(below / "whole", below / name);
      EXPECT_EQ(read_file(below / "whole" / "best.json"), read_file(below / name / "best.json"));
      if (HasFailure()) return;
      std::filesystem::remove_all(below / name);
    }
    std::printf(
        "%d kills: %d in a save, %d in a rotation, %d in an update of best.json, %d elsewhere; all runs ended as the "
        "whole one; at most %ld steps were lost\n",
        kills_, in_save_, in_rotation_, in_best_, kills_ - in_save_ - in_rotation_ - in_best_, long(most_lost_));
    EXPECT_GE(in_save_ + in_rotation_ + in_best_, rounds / 4);
  }

 private:
  // What the trace of a call says that was under way when it ended.
  struct Met {
    bool save = false, rotation = false, best = false;
    int64_t durable = 0;  // newest checkpoint whose name was synced
  };
  static Met met(std::vector<TracedCall> const& calls) {
    Met m;
    int64_t named = 0;
    std::string doomed;
    for (TracedCall const& call : calls) {
      Path const path = call.path;
      std::string const name = path.filename().string();
      bool const of_checkpoint = path.parent_path().filename() == "checkpoints";
      if (call.op == "mkdir" && name.starts_with(".step-")) m.save = true;
      if (call.op == "rename" && of_checkpoint && name.starts_with("step-")) named = std::stol(name.substr(5));
      if (call.op == "rename" && of_checkpoint && name.starts_with(".step-")) m.rotation = true, doomed = name;
      if (call.op == "rmdir" && name == doomed) m.rotation = false;
      if (call.op == "sync" && name == "checkpoints" && !m.rotation) m.save = false, m.durable = named;
      if (call.op == "create" && name.starts_with(".best.json")) m.best = true;
      if (call.op == "rename" && name == "best.json") m.best = false;
    }
    return m;
  }

  int64_t last_logged(std::string const& name) const {
    std::error_code error;
    if (!std::filesystem::exists(below / name / "metrics.jsonl", error)) return 0;
    int64_t last = 0;
    std::istringstream in(read_file(below / name / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("{\"type\":\"step\",\"step\":")) last = std::stol(line.substr(line.find(":", 15) + 1));
    return last;
  }

  void expect_orderly(std::string const& name, Ended const& ended) {
    // Where it began: at what was durable, or at a newer one that had its name.
    size_t const at = ended.err.find("resumed from step ");
    if (at != std::string::npos) {
      int64_t const from = std::stol(ended.err.substr(at + 18));
      EXPECT_GE(from, durable_) << ended.err;
      int64_t const lost = reached_ - from;
      EXPECT_LE(lost, 2 * kPeriod) << "a save lasts a period at most, or the next one waits";
      most_lost_ = std::max(most_lost_, lost);
    }
    if (durable_ > 0 && (ended.code == 0 || ended.code == 75)) {
      EXPECT_NE(at, std::string::npos) << "step " << durable_ << " was durable, and the run began anew: " << ended.err;
    }
    EXPECT_GE(last_logged(name), durable_) << "the log of a run that goes on reaches its checkpoint: " << ended.err;
    Met const m = std::filesystem::exists(trace_) ? met(read_trace(trace_, false)) : Met{};
    durable_ = std::max(durable_, m.durable);
    reached_ = last_logged(name);
    if (ended.signal == SIGKILL) {
      ++kills_;
      (m.rotation ? in_rotation_ : m.best ? in_best_ : m.save ? in_save_ : kills_elsewhere_)++;
      std::printf("  %3d: after step %ld, step %ld durable%s\n", kills_, long(reached_), long(durable_),
                  m.rotation ? ", in a rotation"
                  : m.best   ? ", in an update of best.json"
                  : m.save   ? ", in a save"
                             : "");
    } else if (ended.signal != SIGTERM) {  // SIGTERM: before the program asks to be told
      bool const stopped_early = ended.code == 1 && ended.err.find("stopped by a signal") != std::string::npos;
      EXPECT_TRUE(ended.code == 0 || ended.code == 75 || stopped_early) << ended.code << ": " << ended.err;
      if (!stopped_early) {
        EXPECT_FALSE(left_behind(below)) << ended.err;
      }
      if (left_ && !stopped_early) {
        EXPECT_NE(ended.err.find("cleared away"), std::string::npos) << ended.err;
      }
    }
    left_ = left_behind(below);
    std::error_code error;  // what has a checkpoint's name is whole
    for (auto const& entry : std::filesystem::directory_iterator(below / name / "checkpoints", error))
      if (!is_temporary(entry.path())) {
        EXPECT_EQ(model::damage_of(entry.path()), "") << entry.path();
      }
  }

 protected:
  ScratchFolder folder{in_memory()};
  Path below = folder / "disk";

 private:
  Path trace_ = folder / "trace";
  int64_t durable_ = 0, reached_ = 0, most_lost_ = 0;
  bool left_ = false;
  int kills_ = 0, in_save_ = 0, in_rotation_ = 0, in_best_ = 0, kills_elsewhere_ = 0;
};

}  // namespace folio::test

// How a run is asked to save or to stop from outside: SIGUSR1 and --time-limit.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/runs.h"
#include "train/checkpoint.h"
#include "train/history.h"
#include "train/run_directory.h"

namespace folio {
namespace {

using test::Ended;
using test::run;

class Stop : public testing::Test {
 protected:
  Stop() { write_file(folder / "text.txt", test::speeches()); }
  std::string at(std::string const& name) const { return (folder / name).string(); }
  std::vector<std::string> train(std::string const& out, std::vector<std::string> const& more) const {
    auto words = test::words_of(
        "train --layers 1 --heads 1 --embd 16 --context 16 --batch 2 --steps 100000000 --warmup 2 "
        "--eval-every 1000000 --stats-every 0 --eval-batches 1",
        {"--data", at("text.txt"), "--out", at(out)});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  template <class Done>
  static bool within(double seconds, Done done) {
    auto const end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  static std::pair<Ended, double> timed(std::vector<std::string> const& words) {  // seconds
    auto const begin = std::chrono::steady_clock::now();
    Ended const ended = run(words);
    return {ended, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  }
  std::pair<Ended, double> go_on(std::vector<std::string> const& more) const {
    std::vector<std::string> words = {"train", "--out", at("run"), "--resume"};
    words.insert(words.end(), more.begin(), more.end());
    return timed(words);
  }
  void long_text() const {  // an evaluation of all of it takes far longer than a test waits
    std::string const text = test::speeches();
    std::string all;
    for (int i = 0; i < 400; ++i) all += text;
    write_file(folder / "text.txt", all);
  }
  bool evaluation_due(int64_t step) const {
    Path const state = train::checkpoint_path(folder / "run", step) / "state.json";
    return train::run_state_from(read_json(state), "state.json").evaluation_due;
  }
  test::ScratchFolder folder;
};

TEST_F(Stop, SigusrOneSavesAndTheRunGoesOn) {
  test::Child child(train("run", {}), folder / "err");
  auto const err = [&] { return read_file(folder / "err"); };
  auto const steps = [&] {
    std::error_code error;
    return std::filesystem::file_size(folder / "run" / "metrics.jsonl", error) + 1 > 2000;
  };
  ASSERT_TRUE(within(60, steps)) << err();
  EXPECT_TRUE(train::checkpoint_steps(folder / "run").empty());
  child.signal(SIGUSR1);
  ASSERT_TRUE(within(60, [&] { return err().find(", as asked") != std::string::npos; })) << err();
  auto const saved = train::checkpoint_steps(folder / "run");
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_NE(err().find(fmt::format("step {}: saved ", saved[0])), std::string::npos) << err();
  EXPECT_FALSE(child.ended());
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait().code, 75);
  EXPECT_GT(train::checkpoint_steps(folder / "run").back(), saved[0]);
}

TEST_F(Stop, ATimeLimitSavesAndStopsBeforeIt) {
  auto const [ended, took] = timed(train("run", {"--time-limit", "8s"}));
  EXPECT_EQ(ended.code, 75) << ended.err;
  EXPECT_LT(took, 8) << "a hundred million steps were asked for";
  train::History const h = train::read_history(folder / "run" / "metrics.jsonl");
  ASSERT_FALSE(h.notes.empty());
  EXPECT_EQ(h.notes.back().type, "stop");
  EXPECT_EQ(h.notes.back().why, "time-limit");
  auto const saved = train::checkpoint_steps(folder / "run");
  ASSERT_FALSE(saved.empty());
  EXPECT_EQ(saved.back(), h.notes.back().step);
  EXPECT_GT(saved.back(), 0);
  EXPECT_EQ(go_on({"--stop-after", "3"}).first.code, 75) << "it goes on";
}

TEST_F(Stop, ATimeLimitInWhichNothingIsMadeIsRefused) {
  Ended const begun = run(train("run", {"--time-limit", "0.001s"}));
  EXPECT_EQ(begun.code, 78) << begun.err;
  EXPECT_NE(begun.err.find("--time-limit 0.001s: the evaluation after step 0 is not done in it"), std::string::npos)
      << begun.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  ASSERT_EQ(run(train("run", {"--stop-after", "3"})).code, 75);
  Ended const resumed = go_on({"--time-limit", "0.001s"}).first;
  EXPECT_EQ(resumed.code, 78) << resumed.err;
  EXPECT_NE(resumed.err.find("--time-limit 0.001s: no step fits into it"), std::string::npos) << resumed.err;
  EXPECT_EQ(train::checkpoint_steps(folder / "run"), std::vector<int64_t>{3});
  EXPECT_EQ(go_on({"--stop-after", "3"}).first.code, 75);
}

TEST_F(Stop, ATimeLimitOfAResumedRunIsKeptThroughAnEvaluationThatIsLonger) {
  long_text();
  ASSERT_EQ(run(train("run", {"--stop-after", "10"})).code, 75);
  std::vector<std::string> const limited = {"--eval-every", "50", "--eval-batches", "all", "--time-limit", "6s"};
  {
    auto const [ended, took] = go_on(limited);
    EXPECT_EQ(ended.code, 75) << ended.err;
    EXPECT_LT(took, 6);
    ASSERT_EQ(train::checkpoint_steps(folder / "run").back(), 50);
    EXPECT_TRUE(evaluation_due(50));
  }
  {
    auto const [ended, took] = go_on(limited);
    EXPECT_EQ(ended.code, 78) << ended.err;
    EXPECT_LT(took, 6);
    EXPECT_NE(ended.err.find("the evaluation after step 50 is not done in it"), std::string::npos) << ended.err;
  }
  EXPECT_EQ(go_on({"--eval-batches", "1", "--stop-after", "3"}).first.code, 75);
  train::History const h = train::read_history(folder / "run" / "metrics.jsonl");
  EXPECT_EQ(h.evals.back().step, 50);
  EXPECT_EQ(h.steps.back().step, 53);
}

TEST_F(Stop, SignalsEndAnEvaluationBetweenItsBatches) {
  long_text();
  ::signal(SIGHUP, SIG_DFL);  // what this process ignores, its children would too
  ASSERT_EQ(run(train("run", {"--stop-after", "10"})).code, 75);
  for (int const signal : {SIGHUP, SIGTERM}) {
    write_file(folder / "err", "");
    test::Child child({"train", "--out", at("run"), "--resume", "--eval-every", "20", "--eval-batches", "all"},
                      folder / "err");
    auto const evaluates = [&] {  // the second time it begins with it
      return read_file(folder / "err").find("resumed from step") != std::string::npos &&
             read_file(folder / "run" / "metrics.jsonl").find("\"step\":20,") != std::string::npos;
    };
    ASSERT_TRUE(within(60, evaluates)) << read_file(folder / "err");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    child.signal(signal);
    ASSERT_TRUE(within(10, [&] { return child.ended(); })) << "all of a long text takes longer";
    EXPECT_EQ(child.wait().code, 75);
    EXPECT_EQ(train::checkpoint_steps(folder / "run").back(), 20);
    EXPECT_TRUE(evaluation_due(20));
  }
}

// The first asks a run to end that writes a long sample; another soon behind it is the same wish.
TEST_F(Stop, ASecondSignalEndsTheProgramAtOnce) {
  test::Child child(train("run", {"--checkpoint-every", "1", "--sample-every", "5", "--sample-tokens", "1000000"}),
                    folder / "err");
  auto const writes = [&] {
    std::error_code error;
    Path const log = folder / "run" / "metrics.jsonl";
    return std::filesystem::exists(log, error) && read_file(log).find("\"step\":5,") != std::string::npos &&
           std::filesystem::exists(folder / "run" / "checkpoints" / "step-00000004");
  };
  ASSERT_TRUE(within(60, writes)) << read_file(folder / "err");
  child.signal(SIGTERM);
  child.signal(SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  ASSERT_FALSE(child.ended());
  child.signal(SIGTERM);
  ASSERT_TRUE(within(2, [&] { return child.ended(); }));
  EXPECT_EQ(child.wait().code, 1);
  Ended const resumed = go_on({"--sample-every", "0", "--stop-after", "1"}).first;
  EXPECT_EQ(resumed.code, 75) << resumed.err;
  EXPECT_NE(resumed.err.find("resumed from step 4"), std::string::npos) << resumed.err;
}

TEST_F(Stop, WhatIsNoDurationIsSaidSo) {
  for (auto const& [text, said] :
       std::vector<std::pair<std::string, std::string>>{{"30", "--time-limit 30: of what? Give 30s, 30m or 30h"},
                                                        {"8x", "--time-limit 8x: no duration"},
                                                        {"m", "no duration"},
                                                        {"1m1h", "no duration"},
                                                        {"1h1h", "no duration"},
                                                        {"-5m", "no duration"},
                                                        {"0s", "no duration"},
                                                        {"nanh", "no duration"},
                                                        {"1e9d", "no duration"},
                                                        {"30m ", "no duration"}}) {
    Ended const ended = run(train("none", {"--time-limit=" + text}));
    EXPECT_EQ(ended.code, 2) << text << ": " << ended.err;
    EXPECT_NE(ended.err.find(said), std::string::npos) << text << ": " << ended.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "none"));
  }
}

}  // namespace
}  // namespace folio

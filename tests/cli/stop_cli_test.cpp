// How a run is asked to save or to stop from outside: SIGUSR1 and --time-limit.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/runs.h"
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
    std::vector<std::string> words = {"train",
                                      "--data",
                                      at("text.txt"),
                                      "--out",
                                      at(out),
                                      "--layers",
                                      "1",
                                      "--heads",
                                      "1",
                                      "--embd",
                                      "16",
                                      "--context",
                                      "16",
                                      "--batch",
                                      "2",
                                      "--steps",
                                      "100000000",
                                      "--warmup",
                                      "2",
                                      "--eval-every",
                                      "1000000",
                                      "--stats-every",
                                      "0",
                                      "--eval-batches",
                                      "1"};
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
  for (char const* limit : {"5s", "0.001s"}) {
    std::string const name = fmt::format("run-{}", limit);
    auto const begin = std::chrono::steady_clock::now();
    Ended const ended = run(train(name, {"--time-limit", limit}));
    double const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_EQ(ended.code, 75) << ended.err;
    EXPECT_LT(took, 30) << "a hundred million steps were asked for";
    train::History const h = train::read_history(folder / name / "metrics.jsonl");
    ASSERT_FALSE(h.notes.empty());
    EXPECT_EQ(h.notes.back().type, "stop");
    EXPECT_EQ(h.notes.back().why, "time-limit");
    auto const saved = train::checkpoint_steps(folder / name);
    ASSERT_FALSE(saved.empty());
    EXPECT_EQ(saved.back(), h.notes.back().step);
    EXPECT_TRUE(saved.back() == 0 || std::string(limit) == "5s") << saved.back();
    EXPECT_EQ(run({"train", "--out", at(name), "--resume", "--stop-after", "3"}).code, 75) << "it goes on";
  }
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

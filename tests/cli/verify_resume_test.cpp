// folio verify-resume and folio doctor --prove as a user calls them.
#include <chrono>
#include <map>

#include "tests/support/runs.h"

namespace folio::test {
namespace {

class VerifyResume : public testing::Test {
 protected:
  VerifyResume() { write_file(text, speeches()); }
  std::vector<std::string> command(std::vector<std::string> const& more = {}) const {
    std::vector<std::string> words = {
        "verify-resume", "--data", text.string(), "--layers", "1",         "--heads", "1",         "--embd", "16",
        "--context",     "16",     "--batch",     "4",        "--dropout", "0.1",     "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ScratchFolder folder;
  Path const text = folder / "text.txt";
};

TEST_F(VerifyResume, ShowsEachInterruptionAndThatNothingDiffers) {
  Ended const ended = run(command({"--out", (folder / "proof").string(), "--json"}));
  ASSERT_EQ(ended.code, 0) << ended.err;
  Json const result = parse_json(ended.out, "result");
  EXPECT_TRUE(result["exact"].get<bool>());
  ASSERT_EQ(result["rounds"].size(), 5u);
  for (Json const& round : result["rounds"]) {
    EXPECT_TRUE(round["same"].get<bool>());
    EXPECT_EQ(round["step"], 12);
    EXPECT_EQ(round["weights"], 16);
    EXPECT_EQ(round["moments"], 32);
    EXPECT_GE(round["log_lines"].get<int>(), 12);
  }
  EXPECT_EQ(result["rounds"][0]["where"], "");
  EXPECT_NE(ended.err.find("up to "), std::string::npos) << "the room, beforehand: " << ended.err;
  EXPECT_EQ(result["rounds"][1]["where"], "in step 7, on from 7");
  EXPECT_EQ(result["rounds"][2]["where"].get<std::string>().find("before step 7, on from "), 0u) << ended.err;
  EXPECT_EQ(result["rounds"][3]["where"].get<std::string>().find("behind micro-batch 1 of step 7, on from "), 0u);
  for (char const* stopped : {"round-2", "round-3", "round-4", "round-5"}) {
    auto const resumed = lines_of(folder / "proof" / stopped, "resume");
    ASSERT_FALSE(resumed.empty()) << stopped;
    EXPECT_GT(resumed.back()["step"].get<int64_t>(), 0) << stopped;
  }
  expect_same_run(folder / "proof" / "whole", folder / "proof" / "round-5");
  EXPECT_EQ(run(command({"--out", (folder / "proof").string()})).code, 73);
}

TEST_F(VerifyResume, LeavesNothingBehindAndRefusesWhatCannotBe) {
  Ended const ended = run(command(), {.set = {{"TMPDIR", folder.path().string()}, {"FOLIO_TIME_LIMIT", "1s"}}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("resuming is exact here: 6 runs of 12 steps"), std::string::npos) << ended.out;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // the text
  Ended const shortest = run(command({"--verify-steps", "4", "--save", "foreground"}));
  EXPECT_EQ(shortest.code, 0) << shortest.err;
  EXPECT_EQ(run({"verify-resume", "--layers", "1"}).code, 2);
  EXPECT_EQ(run(command({"--steps", "2"})).code, 78);
  Ended const nowhere = run(command(), {.set = {{"TMPDIR", (folder / "nowhere").string()}}});
  EXPECT_EQ(nowhere.code, 74);
  EXPECT_NE(nowhere.err.find("is no folder: set TMPDIR to one that can be written"), std::string::npos) << nowhere.err;
}

TEST(Doctor, ProvesInLessThanAMinute) {
  auto const begin = std::chrono::steady_clock::now();
  Ended const ended = run({"doctor", "--prove", "--json"});
  double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("  %.1f s\n", seconds);
  EXPECT_LT(seconds, 60);
  std::map<std::string, std::string> states;
  Json const result = parse_json(ended.out, "doctor");
  for (Json const& check : result["checks"])
    states[check["name"].get<std::string>()] = check["state"].get<std::string>();
  for (char const* name : {"gradient", "cpu in f32", "learns", "resumes"})
    EXPECT_EQ(states[name], "ok") << name << ": " << ended.out;
}

// What the proofs' interruptions rest on.
TEST_F(VerifyResume, ARunIsInterruptedWhereTheVariableSays) {
  auto const interrupted = [&](std::string const& out, std::string const& where) {
    std::vector<std::string> words = command({"--out", (folder / out).string(), "--steps", "9", "--warmup", "0",
                                              "--accumulate", "3", "--checkpoint-every", "2", "--save", "foreground"});
    words[0] = "train";
    return run(words, {.set = {{"FOLIO_INTERRUPT", where}}});
  };
  EXPECT_EQ(interrupted("within", "9:6:2").signal, SIGKILL);
  EXPECT_EQ(lines_of(folder / "within", "step").size(), 5u);
  EXPECT_EQ(interrupted("before", "9:6:0").signal, SIGKILL);
  EXPECT_EQ(lines_of(folder / "before", "step").size(), 5u);
  EXPECT_EQ(interrupted("asked", "15:6:1").code, 75);
  EXPECT_EQ(lines_of(folder / "asked", "step").size(), 6u);
  EXPECT_EQ(interrupted("never", "9:6:4").code, 0) << "a step has three";
  EXPECT_EQ(interrupted("other", "9:6").code, 78);
}

}  // namespace
}  // namespace folio::test

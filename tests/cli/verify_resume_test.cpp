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
  EXPECT_NE(ended.err.find("killed between two micro-batches (within the step after step"), std::string::npos)
      << ended.err;
  for (char const* stopped : {"round-2", "round-5"})  // a killed run may have had no checkpoint yet, this one has
    EXPECT_NE(read_file(folder / "proof" / stopped / "metrics.jsonl").find("\"type\":\"resume\""), std::string::npos)
        << stopped;
  expect_same_run(folder / "proof" / "whole", folder / "proof" / "round-5");
  EXPECT_EQ(run(command({"--out", (folder / "proof").string()})).code, 73);
}

TEST_F(VerifyResume, LeavesNothingBehindAndRefusesWhatCannotBe) {
  Ended const ended = run(command(), {.set = {{"TMPDIR", folder.path().string()}}});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("resuming is exact here: 6 runs of 12 steps"), std::string::npos) << ended.out;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // the text
  EXPECT_EQ(run({"verify-resume", "--layers", "1"}).code, 2);
  EXPECT_EQ(run(command({"--steps", "2"})).code, 78);
}

TEST(Doctor, ProvesInLessThanAMinute) {
  auto const begin = std::chrono::steady_clock::now();
  Ended const ended = run({"doctor", "--prove", "--json"});
  double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("  %.1f s\n", seconds);
  std::map<std::string, std::string> states;
  Json const result = parse_json(ended.out, "doctor");
  for (Json const& check : result["checks"])
    states[check["name"].get<std::string>()] = check["state"].get<std::string>();
  for (char const* name : {"gradient", "cpu in f32", "learns", "resumes"})
    EXPECT_EQ(states[name], "ok") << name << ": " << ended.out;
}

}  // namespace
}  // namespace folio::test

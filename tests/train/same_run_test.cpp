// compare_runs names what differs between two runs, and leaves the clock aside.
#include "train/same_run.h"

#include "core/file.h"
#include "tests/support/runs.h"
#include "train/run_directory.h"

namespace folio::test {
namespace {

class SameRun : public testing::Test {
 protected:
  SameRun() {
    write_file(folder / "text.txt", speeches());
    Ended const ended = run({"train",
                             "--data",
                             (folder / "text.txt").string(),
                             "--out",
                             a.string(),
                             "--layers",
                             "1",
                             "--heads",
                             "1",
                             "--embd",
                             "8",
                             "--context",
                             "8",
                             "--batch",
                             "2",
                             "--steps",
                             "8",
                             "--eval-every",
                             "4",
                             "--eval-batches",
                             "2",
                             "--threads",
                             "1"});
    EXPECT_EQ(ended.code, 0) << ended.err;
    std::filesystem::copy(a, b, std::filesystem::copy_options::recursive);
    checkpoint = last_checkpoint(b);
  }
  void flip(Path const& file, size_t from_end) {
    std::string content = read_file(file);
    content[content.size() - from_end] ^= 1;
    write_file(file, content);
  }
  void replace(Path const& file, std::string const& from, std::string const& to) {
    std::string content = read_file(file);
    size_t const at = content.rfind(from);
    ASSERT_NE(at, content.npos) << from;
    write_file(file, content.replace(at, from.size(), to));
  }
  std::string difference() const { return train::compare_runs(a, b).difference; }

  ScratchFolder folder;
  Path const a = folder / "a", b = folder / "b";
  Path checkpoint;
};

TEST_F(SameRun, OfItsCopyEverythingIsTheSame) {
  auto const result = train::compare_runs(a, b);
  EXPECT_TRUE(result.same()) << result.difference;
  EXPECT_EQ(result.step, 8);
  EXPECT_EQ(result.weights, 16u);
  EXPECT_EQ(result.moments, 32u);
  EXPECT_GE(result.lines, 11u);  // 8 steps and 3 evaluations at least
}

TEST_F(SameRun, OneBitOfAWeightIsNamed) {
  flip(checkpoint / "model.safetensors", 1);
  EXPECT_NE(difference().find("of model.safetensors"), std::string::npos) << difference();
}

TEST_F(SameRun, OneBitOfAMomentIsNamed) {
  flip(checkpoint / "optimizer.safetensors", 2);
  EXPECT_NE(difference().find("of optimizer.safetensors"), std::string::npos) << difference();
}

TEST_F(SameRun, ACounterIsNamedAndTheClockIsNot) {
  replace(checkpoint / "state.json", "\"seconds\"", "\"seconds\": \"0\", \"clock\"");
  EXPECT_NE(difference(), "");  // a key more
  write_file(checkpoint / "state.json", read_file(Path(last_checkpoint(a)) / "state.json"));
  replace(checkpoint / "state.json", "\"position\": ", "\"position\": 1");
  EXPECT_EQ(difference(), "data of state.json");
}

TEST_F(SameRun, ALineOfTheLogIsNamedAndItsClockIsNot) {
  replace(b / "metrics.jsonl", "\"seconds\":", "\"seconds\":1");
  write_file(b / "metrics.jsonl",
             read_file(b / "metrics.jsonl") + "{\"type\":\"stop\",\"step\":8,\"why\":\"signal\"}\n");
  EXPECT_EQ(difference(), "");
  replace(b / "metrics.jsonl", "\"loss\":", "\"loss\":1");
  EXPECT_NE(difference().find("a line of metrics.jsonl"), std::string::npos) << difference();
}

TEST_F(SameRun, AnotherStepIsNamed) {
  std::filesystem::remove_all(checkpoint);
  EXPECT_NE(difference().find("step of the newest checkpoint"), std::string::npos) << difference();
}

}  // namespace
}  // namespace folio::test

// Every call of a verb that writes a folder or replaces a file made to fail in turn: it says so and exits with 74, no
// half of a folder has the name, and a file that was there is as it was. Then the verb alone does its work.
#include "tests/support/failing_calls.h"
#include "tests/support/runs.h"

namespace folio::test {
namespace {

struct Writing {
  char const* name;
  std::vector<std::string> words;  // without --out, whose value is `out`
  char const* out;
  bool replaces;  // a file of that name
};

Writing const kWritings[] = {
    {"prepare", {"prepare", "text.txt", "--tokenizer", "char"}, "made/data", false},
    {"tokenizer_train", {"tokenizer", "train", "text.txt", "--vocab", "270"}, "made/tokenizer", false},
    {"export", {"export", "run", "--dtype", "bf16"}, "model", false},
    {"score", {"score", "run", "--text", "short.txt"}, "page.html", true},
    {"tokenize", {"tokenize", "text.txt", "--tokenizer", "run/checkpoints/step-00000002"}, "ids.bin", true},
    {"tokenize_anew", {"tokenize", "text.txt", "--tokenizer", "run/checkpoints/step-00000002"}, "ids.bin", false},
};

void PrintTo(Writing const& w, std::ostream* out) { *out << w.name; }

class OutputFaults : public testing::TestWithParam<Writing> {
 protected:
  void SetUp() override {
    FOLIO_NEEDS_FAILING_CALLS();
    write_file(folder / "text.txt", speeches());
    write_file(folder / "short.txt", "First Lord:\nthe king is my love");
    ASSERT_EQ(with({"train", "--data",    "text.txt", "--out",   "run", "--layers", "1", "--heads",  "1", "--embd",
                    "8",     "--context", "16",       "--batch", "2",   "--steps",  "2", "--warmup", "0", "--quiet"})
                  .code,
              0);
  }
  Ended with(std::vector<std::string> words, std::map<std::string, std::string> const& set = {}) const {
    return run(std::move(words), {.set = set, .folder = folder.path().string()});
  }
  Ended write(std::map<std::string, std::string> const& set = {}) const {
    auto words = GetParam().words;
    words.insert(words.end(), {"--out", (below / GetParam().out).string()});
    return with(std::move(words), set);
  }
  void begin_anew() const {
    std::filesystem::remove_all(below);
    std::filesystem::create_directory(below);
    if (GetParam().replaces) write_file(below / GetParam().out, "what was there before\n");
  }

  ScratchFolder folder;
  Path below = folder / "disk";
};

TEST_P(OutputFaults, LeaveNothingHalfAndWhatWasThere) {
  begin_anew();
  auto const before = tree_of(below);
  Ended const whole = write(failing(below, {}, folder / "count"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  auto const after = tree_of(below);
  ASSERT_NE(before, after);
  long const calls = std::stol(read_file(folder / "count"));
  ASSERT_GE(calls, 5);  // open, write, sync, rename, sync of the folder
  int named = 0;
  auto const all = failures(calls, 1, 1);
  for (Failure const& failure : all) {
    begin_anew();
    Ended const ended = write(failing(below, failure));
    std::string const which = fmt::format("{} of {}: {}", failure.text(), calls, ended.err);
    ASSERT_EQ(ended.code, 74) << which;
    ASSERT_NE(ended.err.find(std::strerror(failure.error)), std::string::npos) << which;
    ASSERT_NE(ended.err.find(below.string()), std::string::npos) << "the path is named: " << which;
    if (!failure.on) {
      EXPECT_FALSE(left_behind(below)) << which;
    }
    if (failure.call == calls) {  // the sync of the folder in which the whole has its name already
      ++named;
      EXPECT_EQ(tree_of(below), after) << which;
      continue;
    }
    EXPECT_EQ(tree_of(below), before) << which;
    EXPECT_EQ(std::filesystem::exists(below / GetParam().out), GetParam().replaces) << which;
    if (!failure.on) continue;  // what a disk that stays full leaves is the harder
    Ended const again = write();
    ASSERT_EQ(again.code, 0) << again.err << " after " << which;
    EXPECT_EQ(tree_of(below), after) << which;
    EXPECT_FALSE(left_behind(below)) << which;
    if (HasFailure()) return;
  }
  EXPECT_EQ(named, 4);
  std::printf("  %ld calls, %zu failures\n", calls, all.size());
}

INSTANTIATE_TEST_SUITE_P(, OutputFaults, testing::ValuesIn(kWritings),
                         [](auto const& info) { return info.param.name; });

}  // namespace
}  // namespace folio::test

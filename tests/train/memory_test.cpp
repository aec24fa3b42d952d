// What `folio train` says that it will hold in memory is what it holds at most: a new run, a resumed one, one that
// begins from a model, with and without recomputation; checkpoints and evaluations included. And a large file that is
// read through a mapping does not stay in this process' memory.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "core/json.h"
#include "tests/support/program.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch_folder.h"
#include "train/metrics.h"

namespace folio {
namespace {

using test::Ended;
using test::ScratchFolder;

class Memory : public testing::Test {
 protected:
  Memory() {
    std::mt19937 random(3);
    std::string ids;
    for (int i = 0; i < 60'000; ++i) {
      unsigned const id = random() % 20'000;
      ids += {char(id & 255), char(id >> 8)};
    }
    write_file(folder / "ids.bin", ids);
  }
  std::string at(std::string const& name) const { return (folder / name).string(); }
  // What was said before the first step, as printed, and what was held in the end; the latter is returned.
  void expect_kept(std::vector<std::string> words) const {
    words.insert(words.begin(), {"train", "--json"});
    Ended const ended = test::run(words);
    ASSERT_EQ(ended.code, 0) << ended.err;
    Json const memory = parse_json(ended.out, "result")["memory"];
    double const planned = memory["planned"].get<double>(), peak = memory["peak"].get<double>();
    std::printf("  %.1f MiB said, %.1f MiB held\n", planned / 0x1p20, peak / 0x1p20);
    EXPECT_NEAR(peak, planned, 0.08 * planned);
    EXPECT_GT(planned, 100e6) << "small enough for the program itself to count";
    std::string said;  // without the line ends of an 80-column terminal
    for (std::istringstream lines(ended.err); lines;) {
      std::string word;
      lines >> word;
      said += word + ' ';
    }
    EXPECT_NE(said.find(fmt::format("memory {:.1f} MiB: ", planned / 0x1p20)), std::string::npos) << said;
    for (char const* role : {"weights", "gradients", "optimizer state", "activations", "activation gradients",
                             "scratch", "evaluation", "program and libraries"})
      EXPECT_NE(said.find(" " + std::string(role) + " "), std::string::npos) << role << ": " << said;
  }
  std::vector<std::string> new_run(std::string const& out, std::vector<std::string> more) const {
    std::vector<std::string> words = {"--data",  at("ids.bin"), "--vocab",        "20000", "--layers",  "4",
                                      "--heads", "4",           "--embd",         "128",   "--context", "64",
                                      "--steps", "3",           "--eval-batches", "2",     "--out",     at(out)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  ScratchFolder folder;
};

TEST_F(Memory, IsWhatWasSaidBeforeTheFirstStep) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer's own memory is several times the program's";
  expect_kept(new_run("run", {}));
  expect_kept({"--out", at("run"), "--resume", "--steps", "5"});
  expect_kept({"--data", at("ids.bin"), "--from", at("run"), "--context", "64", "--steps", "2", "--out", at("tuned")});
  expect_kept(new_run("block", {"--recompute", "block", "--accumulate", "2"}));
}

TEST_F(Memory, DoesNotFillWithTheDataThatAreReadThroughAMapping) {
  constexpr size_t kSize = size_t{160} << 20;
  {
    std::ofstream out(folder / "large", std::ios::binary);
    std::string const piece(size_t{1} << 20, 'x');
    for (size_t n = 0; n < kSize; n += piece.size()) out << piece;
  }
  MappedFile const file(folder / "large");
  double const before = train::resident_memory();
  size_t count = 0;
  for (size_t first = 0; first < kSize; first += size_t{1} << 20) {
    for (std::byte const b : file.bytes().subspan(first, size_t{1} << 20)) count += b == std::byte{'x'};
    file.was_read(size_t{1} << 20);
  }
  EXPECT_EQ(count, kSize);
  EXPECT_LT(train::resident_memory() - before, 1.5 * double(MappedFile::kMostKept));
}

}  // namespace
}  // namespace folio

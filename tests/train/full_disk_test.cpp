// The program on a real file system that fills up: a tmpfs of limited size, mounted in a name space of this test alone.
// What does not fit ends the program with a sentence and with 74; what was saved before is whole and loads while the
// disk is full; and with space again the run ends as one that never met the limit.
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <fstream>

#include "model/checkpoint.h"
#include "tests/support/failing_calls.h"
#include "tests/support/runs.h"

namespace folio::test {
namespace {

constexpr uint64_t kDisk = uint64_t{32} << 20;

class FullDisk : public testing::Test {
 protected:
  static void SetUpTestSuite() {  // while this process has one thread, which the system asks for
    auto const map = [](char const* file, unsigned id) { std::ofstream(file) << "0 " << id << " 1"; };
    unsigned const user = ::getuid(), group = ::getgid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return;
    std::ofstream("/proc/self/setgroups") << "deny";
    map("/proc/self/uid_map", user);
    map("/proc/self/gid_map", group);
  }
  void SetUp() override {
    std::filesystem::create_directory(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, fmt::format("size={}", kDisk).c_str()) != 0)
      GTEST_SKIP() << "this system lets a test mount no file system of its own (unshare and mount: "
                   << std::strerror(errno) << "), so none could be filled";
    write_file(text, speeches());
  }
  void TearDown() override { ::umount2(disk.c_str(), MNT_DETACH); }

  // Somebody else's file takes all but so much of the disk.
  void leave(uint64_t room) const {
    struct statvfs now {};
    ASSERT_EQ(::statvfs(disk.c_str(), &now), 0);
    uint64_t const free = uint64_t{now.f_bavail} * now.f_bsize;
    ASSERT_GT(free, room);
    int const file = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ASSERT_EQ(::posix_fallocate(file, 0, off_t(free - room)), 0);
    ::close(file);
  }
  void expect_told(Ended const& ended) const {
    ASSERT_EQ(ended.code, 74) << ended.err;
    for (std::string const& part : {std::string("cannot "), disk.string(),
                                    std::string(": No space left on device; free some space there or write elsewhere")})
      EXPECT_NE(ended.err.find(part), std::string::npos) << ended.err;
    EXPECT_FALSE(left_behind(disk)) << ended.err;
  }
  static uint64_t bytes_in(std::map<std::string, std::string> const& tree) {
    uint64_t bytes = 0;
    for (auto const& [name, content] : tree) bytes += content.size();
    return bytes;
  }

  ScratchFolder folder;
  Path disk = folder / "disk", text = folder / "text.txt", ballast = disk / "ballast";
};

TEST_F(FullDisk, EndsARunWhoseEarlierCheckpointStaysAndIsTakenUpAgain) {
  auto const train = [&](Path const& at) {
    return run(
        words_of("train --resume auto --layers 2 --heads 2 --embd 64 --context 32 --batch 2 --steps 4 --warmup 0 "
                 "--eval-every 2 --eval-batches 1 --checkpoint-every 1",
                 {"--data", text.string(), "--out", at.string()}));
  };
  Path const whole = folder / "whole", data = folder / "data", at = disk / "run";
  ASSERT_EQ(train(whole).code, 0);
  ASSERT_EQ(run({"prepare", text.string(), "--tokenizer", "char", "--out", data.string()}).code, 0);
  uint64_t const checkpoint = bytes_in(tree_of(last_checkpoint(whole)));
  ASSERT_GT(checkpoint, 1'000'000u);
  for (unsigned const percent : {0, 20, 50, 95, 120, 150, 190}) {  // of a checkpoint
    SCOPED_TRACE(fmt::format("{} % of a checkpoint fits", percent));
    leave(checkpoint * percent / 100);
    for (int attempt = 0; attempt < 2; ++attempt) {  // the second meets what the first left
      expect_told(train(at));
      if (percent < 100) {
        EXPECT_FALSE(std::filesystem::exists(at / "checkpoints") && !std::filesystem::is_empty(at / "checkpoints"));
        continue;
      }
      Path const saved = last_checkpoint(at);
      EXPECT_EQ(saved.filename(), "step-00000001");
      EXPECT_EQ(model::damage_of(saved), "");
      Ended const scored = run({"eval", at.string(), "--data", data.string()});
      EXPECT_EQ(scored.code, 0) << scored.err;
    }
    std::filesystem::remove(ballast);
    Ended const ended = train(at);
    ASSERT_EQ(ended.code, 0) << ended.err;
    expect_same_run(whole, at);
    std::filesystem::remove_all(at);
    if (HasFailure()) return;
  }
}

TEST_F(FullDisk, LeavesNothingOfADataSetThatDoesNotFit) {
  auto const prepare = [&](Path const& at) {
    return run({"prepare", text.string(), "--tokenizer", "char", "--out", at.string()});
  };
  ASSERT_EQ(prepare(folder / "whole").code, 0);
  auto const whole = tree_of(folder / "whole");
  for (unsigned const percent : {0, 10, 50, 90}) {
    SCOPED_TRACE(fmt::format("{} % fits", percent));
    leave(bytes_in(whole) * percent / 100);
    expect_told(prepare(disk / "data"));
    EXPECT_FALSE(std::filesystem::exists(disk / "data"));
    std::filesystem::remove(ballast);
    EXPECT_TRUE(std::filesystem::is_empty(disk));
    ASSERT_EQ(prepare(disk / "data").code, 0);
    EXPECT_EQ(tree_of(disk / "data"), whole);
    std::filesystem::remove_all(disk / "data");
  }
}

}  // namespace
}  // namespace folio::test

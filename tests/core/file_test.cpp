// The promise of core/file.h: whatever call fails, a name holds the old content or the new, whole, and nothing else is
// left behind.
#include "core/file.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "tests/support/files.h"

using namespace folio;
using folio::test::expect_fault;
using folio::test::ScratchFolder;
using folio::test::thrown_by;

namespace {

struct Hook {  // makes call number `n` of a writer fail; counts them all
  explicit Hook(int n = -1, int error = EIO) {
    set_io_hook([this, n, error](std::string_view what, Path const&) {
      calls.emplace_back(what);
      return static_cast<int>(calls.size()) - 1 == n ? error : 0;
    });
  }
  ~Hook() { set_io_hook({}); }
  std::vector<std::string> calls;
};

std::string megabytes(size_t n) {
  std::string text(n << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}

void write_in_pieces(Path const& path, std::string const& content) {
  FileWriter out(path);
  for (size_t at = 0, piece = 1; at < content.size(); at += piece, piece = piece * 3 + 1)
    out.write(std::string_view(content).substr(at, piece));
  EXPECT_EQ(out.size(), content.size());
  out.commit();
}

}  // namespace

TEST(FileWriter, WritesWhatItWasGivenInPiecesOfAnySize) {
  ScratchFolder const folder;
  for (size_t size : {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{1} << 20) + 1, size_t{7} << 20}) {
    std::string const content = megabytes(8).substr(0, size);
    write_in_pieces(folder / "a", content);
    EXPECT_EQ(read_file(folder / "a"), content);
  }
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST(FileWriter, EachCallThatFailsLeavesTheOldFileOrTheNewAndNoTemporary) {
  ScratchFolder const folder;
  std::string const old_content = "the old content", new_content = megabytes(3);
  size_t calls = 0;
  {
    Hook const count;
    write_in_pieces(folder / "a", new_content);
    calls = count.calls.size();
  }
  ASSERT_GE(calls, 6u);  // open, several writes, sync, rename, open and sync of the folder
  size_t failed = 0;
  for (int error : {EIO, ENOSPC})
    for (size_t n = 0; n < calls; ++n) {
      write_file(folder / "a", old_content);
      Hook const hook(static_cast<int>(n), error);
      auto const thrown = thrown_by([&] { write_in_pieces(folder / "a", new_content); });
      EXPECT_EQ(thrown.fault, static_cast<int>(Fault::io)) << "call " << n;
      EXPECT_NE(thrown.sentence.find(folder.path().string()), std::string::npos) << thrown.sentence;
      bool const renamed = n > 0 && std::ranges::find(hook.calls, "rename") - hook.calls.begin() < static_cast<long>(n);
      EXPECT_EQ(read_file(folder / "a"), renamed ? new_content : old_content) << "call " << n;
      EXPECT_EQ(folder.names(), std::vector<std::string>{"a"}) << "call " << n;
      ++failed;
    }
  EXPECT_EQ(failed, 2 * calls);
}

TEST(FileWriter, AFullDiskIsNamedWithAdvice) {
  ScratchFolder const folder;
  Hook const hook(1, ENOSPC);
  expect_fault(Fault::io, {"cannot write", "No space left on device", "free some space"},
               [&] { write_file(folder / "a", "x"); });
}

TEST(FileWriter, WithoutCommitNothingStays) {
  ScratchFolder const folder;
  { FileWriter(folder / "a").write("half"); }
  EXPECT_TRUE(folder.names().empty());
}

TEST(FileWriter, KeepsToTheUmaskAndToLinks) {
  ScratchFolder const folder;
  mode_t const mask = ::umask(022);
  write_file(folder / "a", "1");
  ::umask(mask);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  std::filesystem::create_symlink("a", folder / "link");
  write_file(folder / "link", "2");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "a"), "2");
}

TEST(FileWriter, RefusesAFolderAndAMissingParent) {
  ScratchFolder const folder;
  expect_fault(Fault::exists, {"is a folder"}, [&] { write_file(folder.path(), "x"); });
  expect_fault(Fault::io, {"nowhere/a", "make the folder first"}, [&] { write_file(folder / "nowhere/a", "x"); });
  write_file("/dev/null", "x");  // written as it is, not replaced
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(FileWriter, TakesANameWithoutAFolderAndAVeryLongOne) {
  ScratchFolder const folder;
  Path const before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file("bare", "x");
  write_file(std::string(255, 'n'), "y");
  std::string const bare = read_file("bare");
  FolderWriter made("bare folder");
  made.commit();
  std::filesystem::current_path(before);
  EXPECT_EQ(bare, "x");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"bare", "bare folder", std::string(255, 'n')}));
}

TEST(FolderWriter, EachCallThatFailsLeavesNoFolder) {
  ScratchFolder const folder;
  auto const make = [&] {
    FolderWriter out(folder / "deep/checkpoint");
    write_file(out.path() / "weights", "w");
    write_file(out.path() / "state", "s");
    out.commit();
  };
  size_t calls = 0, renames = 0;
  {
    Hook const count;
    make();
    calls = count.calls.size();
    renames = static_cast<size_t>(std::ranges::count(count.calls, "rename"));
  }
  EXPECT_EQ(renames, 3u);
  EXPECT_EQ(read_file(folder / "deep/checkpoint/weights"), "w");
  for (size_t n = 0; n < calls; ++n) {
    std::filesystem::remove_all(folder / "deep");
    Hook const hook(static_cast<int>(n), ENOSPC);
    EXPECT_EQ(thrown_by(make).fault, static_cast<int>(Fault::io)) << "call " << n;
    bool const whole = std::ranges::count(hook.calls.begin(), hook.calls.begin() + static_cast<long>(n), "rename") == 3;
    EXPECT_EQ(std::filesystem::exists(folder / "deep/checkpoint"), whole) << "call " << n;
    std::error_code none;
    for (auto const& entry : std::filesystem::directory_iterator(folder / "deep", none))
      EXPECT_EQ(entry.path().filename(), "checkpoint") << "call " << n;
  }
}

TEST(FolderWriter, RefusesAnExistingFolderEvenIfItCameMeanwhile) {
  ScratchFolder const folder;
  FolderWriter out(folder / "a/");
  std::filesystem::create_directory(folder / "a");
  expect_fault(Fault::exists, {"has come to exist"}, [&] { out.commit(); });
  expect_fault(Fault::exists, {"exists", "remove it first"}, [&] { FolderWriter again(folder / "a"); });
}

TEST(Temporaries, AreRecognisedAndNothingElseIs) {
  ScratchFolder const folder;
  FolderWriter const out(folder / "step-00000010");
  EXPECT_TRUE(is_temporary(out.path())) << out.path();
  for (char const* name : {"step-00000010", ".hidden", ".a.tmp-", ".a.tmp-1", ".a.tmp-1-x", "a.tmp-1-2", ".tmp-1-2"})
    EXPECT_FALSE(is_temporary(name)) << name;
  EXPECT_TRUE(is_temporary(".a.tmp-1-2"));
}

TEST(AppendFile, GrowsByLinesAndIsCutToWhatIsKept) {
  ScratchFolder const folder;
  {
    AppendFile log(folder / "log");
    log.write_line("one");
    log.write_line("two");
    log.sync();
  }
  EXPECT_EQ(read_file(folder / "log"), "one\ntwo\n");
  { AppendFile(folder / "log", 4).write_line("three"); }
  EXPECT_EQ(read_file(folder / "log"), "one\nthree\n");
  {
    AppendFile log(folder / "log");
    Hook const hook(0, ENOSPC);
    expect_fault(Fault::io, {"No space"}, [&] { log.write_line("four"); });
  }
  EXPECT_EQ(read_file(folder / "log"), "one\nthree\n");
}

TEST(FileLock, RefusesASecondHolderAndNamesTheFirst) {
  ScratchFolder const folder;
  {
    FileLock const lock(folder / "lock", "process 12 on host a", "the run");
    EXPECT_EQ(lock.previous(), "");
    expect_fault(Fault::exists, {"the run", "process 12 on host a"},
                 [&] { FileLock second(folder / "lock", "process 13", "the run"); });
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "lock"));
  FileLock const again(folder / "lock", "process 14", "the run");
  EXPECT_EQ(again.previous(), "");
}

TEST(FileLock, TakesOverFromAProcessThatDied) {
  ScratchFolder const folder;
  pid_t const child = ::fork();
  if (child == 0) {
    FileLock const lock(folder / "lock", "the dead", "the run");
    ::_exit(0);  // without destructors, as after kill -9
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  FileLock const lock(folder / "lock", "the living", "the run");
  EXPECT_EQ(lock.previous(), "the dead");
  EXPECT_EQ(read_file(folder / "lock"), "the living");
}

TEST(FileLock, AndAppendFileWriteThroughNoLinkAndIntoNothingButAFile) {
  ScratchFolder folder;
  write_file(folder / "precious", "kept\n");
  std::filesystem::create_symlink("precious", folder / "lock");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  std::filesystem::create_directory(folder / "folder");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (char const* name : {"lock", "dangling", "folder", "pipe"}) {
    for (bool const appends : {false, true}) {
      expect_fault(Fault::content, {name, "regular file"}, [&] {
        if (appends) AppendFile file(folder / name, 0);
        else FileLock lock(folder / name, "process 12", "the run");
      });
    }
  }
  EXPECT_EQ(read_file(folder / "precious"), "kept\n");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"dangling", "folder", "lock", "pipe", "precious"}));
}

TEST(Reading, SaysWhatIsWrong) {
  ScratchFolder const folder;
  write_file(folder / "a", "12345");
  expect_fault(Fault::missing, {"nothing", "does not exist"}, [&] { read_file(folder / "nothing"); });
  expect_fault(Fault::missing, {"does not exist"}, [&] { read_file(folder / "a/b"); });
  expect_fault(Fault::content, {"is a folder"}, [&] { read_file(folder.path()); });
  expect_fault(Fault::content, {"5 bytes", "is 4"}, [&] { read_file(folder / "a", 4); });
  expect_fault(Fault::missing, {"does not exist"}, [&] { MappedFile map(folder / "nothing"); });
  expect_fault(Fault::content, {"is a folder"}, [&] { MappedFile map(folder.path()); });
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  EXPECT_FALSE(read_file("/proc/self/status").empty());  // its size is given as 0
}

TEST(Reading, MapsAndStreams) {
  ScratchFolder const folder;
  std::string const content = megabytes(3);
  write_file(folder / "a", content);
  write_file(folder / "empty", "");
  MappedFile map(folder / "a");
  MappedFile const moved = std::move(map);
  ASSERT_EQ(moved.bytes().size(), content.size());
  EXPECT_EQ(std::memcmp(moved.bytes().data(), content.data(), content.size()), 0);
  EXPECT_EQ(MappedFile(folder / "empty").bytes().size(), 0u);
  std::istringstream in(content);
  EXPECT_EQ(read_stream(in, "stdin"), content);
  std::istringstream again(content);
  expect_fault(Fault::content, {"stdin"}, [&] { read_stream(again, "stdin", 100); });
}

TEST(Folders, AreMadeAndRemovedWhole) {
  ScratchFolder const folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c/");
  write_file(folder / "a/b/c/file", "x");
  expect_fault(Fault::exists, {"is a file"}, [&] { make_folders(folder / "a/b/c/file/d"); });
  folio::remove_all(folder / "a");
  folio::remove_all(folder / "a");  // nothing there: nothing to do
  EXPECT_TRUE(folder.names().empty());
  make_folders(folder / "a");
  Hook const hook(0, EACCES);
  expect_fault(Fault::io, {"Permission denied"}, [&] { folio::remove_all(folder / "a"); });
}

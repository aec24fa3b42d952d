// Files that are open for long: the log that grows line by line, and the lock.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "core/file_calls.h"

namespace folio {

using namespace calls;

namespace {

uint64_t size_of_file(int file, Path const& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) fail_call("look at", path, errno);
  return static_cast<uint64_t>(status.st_size);
}

std::string content_of(int file) {  // a lock's: short, and only for a sentence
  std::string text(1024, '\0');
  ssize_t const n = retried([&] { return ::pread(file, text.data(), text.size(), 0); });
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Opens what grows or is rewritten in place, or makes it. Never through a link: what that points to is another's.
int open_in_place(Path const& path, int flags, bool* there = nullptr) {
  check_regular(path);
  struct stat status {};
  if (there) *there = ::lstat(path.c_str(), &status) == 0;
  return open_to_write(path, flags | O_CREAT | O_NOFOLLOW, path);
}

}  // namespace

void check_regular(Path const& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  fail(Fault::content,
       "{} is {}, and a regular file is needed here, which folio writes itself: remove it, or look who "
       "put it there",
       path.string(),
       S_ISLNK(status.st_mode)   ? "a link"
       : S_ISDIR(status.st_mode) ? "a folder"
                                 : "no file of bytes");
}

AppendFile::AppendFile(Path const& path, uint64_t keep) : path_(path) {
  bool there = false;
  file_ = open_in_place(path, O_WRONLY | O_APPEND, &there);
  try {
    if (!there) sync_folder(folder_of(path));
    if (size_of_file(file_, path) > keep) {
      truncate_file(file_, keep, path);
      sync();
    }
  } catch (...) {
    ::close(file_);
    throw;
  }
}

AppendFile::~AppendFile() { ::close(file_); }

void AppendFile::write_line(std::string_view line) {
  check(line.find('\n') == line.npos, "{}: a line with a line end inside", path_.string());
  write(std::string(line) + '\n');
}
void AppendFile::write(std::string_view record) {
  uint64_t const before = size_of_file(file_, path_);
  try {
    write_all(file_, bytes_of(record), path_);
  } catch (Error const&) {  // a full disk may have taken the first half
    if (::ftruncate(file_, static_cast<off_t>(before)) != 0) errno = 0;
    throw;
  }
}

void AppendFile::sync() { sync_file(file_, path_); }

FileLock::FileLock(Path const& path, std::string_view content, std::string const& what) : path_(path) {
  for (;;) {
    file_ = open_in_place(path, O_RDWR);
    if (retried([&] { return ::flock(file_, LOCK_EX | LOCK_NB); }) != 0) {
      int const error = errno;
      std::string holder;  // who has just taken it writes its name in a moment
      for (int wait = 0; error == EWOULDBLOCK && (holder = content_of(file_)).empty() && wait < 100; ++wait)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      ::close(file_);
      if (error == EWOULDBLOCK)
        fail(Fault::exists, "{} is in use by {}: wait for it, or stop it first", what,
             holder.empty() ? "another process" : holder);
      fail_call("lock", path, error);
    }
    struct stat mine {
    }, named{};  // the last holder removes the file: the lock counts only on the one with the name
    if (::fstat(file_, &mine) == 0 && ::stat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
        mine.st_dev == named.st_dev)
      break;
    ::close(file_);
  }
  try {
    previous_ = content_of(file_);
    truncate_file(file_, 0, path);
    write_all(file_, bytes_of(content), path);
    sync_file(file_, path);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

bool is_locked(Path const& path) {
  struct stat named {};
  if (::stat(path.c_str(), &named) != 0) return false;
  std::ifstream locks("/proc/locks");
  std::string const inode =
      ":" + std::to_string(named.st_ino) + " ";  // "1: FLOCK  ADVISORY  WRITE 812 fe:01:131 0 EOF"
  for (std::string line; std::getline(locks, line);)
    if (line.find(" FLOCK ") != line.npos && line.find(inode) != line.npos) return true;
  return false;
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());  // while it is held, so nobody loses a lock they have just taken
  ::close(file_);
}

}  // namespace folio

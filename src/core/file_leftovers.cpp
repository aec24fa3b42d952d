// The names that writers give to what is not whole yet, and what becomes of it when a writer is killed. A temporary is
// held by a lock (flock) as long as its writer lives; one that nobody holds was left behind, and whoever writes under
// the same name next clears it away.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "core/error.h"
#include "core/file_calls.h"
#include "core/log.h"

namespace folio {

using namespace calls;

namespace {

constexpr size_t kLongestName = 200;  // of the name inside a temporary's: file systems allow 255 bytes

std::string beginning_of(Path const& path) {
  return fmt::format(".{}.tmp-", path.filename().string().substr(0, kLongestName));
}

enum class Hold { held, of_another, unknown };

Hold hold(int file) {
  if (retried([&] { return ::flock(file, LOCK_EX | LOCK_NB); }) == 0) return Hold::held;
  return errno == EWOULDBLOCK ? Hold::of_another : Hold::unknown;  // unknown: a file system without locks
}

}  // namespace

namespace calls {

Path temporary_sibling(Path const& path) {
  // Random, for the process number of a writer that was killed may come again, with its temporary still there.
  static std::atomic<unsigned> count{std::random_device{}()};
  return folder_of(path) / fmt::format("{}{}-{}", beginning_of(path), getpid(), count++);
}

bool hold_temporary(int file) {
  struct stat status {};
  return hold(file) != Hold::of_another && ::fstat(file, &status) == 0 && status.st_nlink > 0;
}

}  // namespace calls

bool is_temporary(Path const& path) {
  std::string const name = path.filename().string();
  size_t const mark = name.rfind(".tmp-");
  if (name.empty() || name[0] != '.' || mark == std::string::npos || mark < 2) return false;
  std::string_view const tail = std::string_view(name).substr(mark + 5);  // PID-N
  size_t const dash = tail.find('-');
  auto const digits = [](std::string_view s) {
    return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return dash != std::string_view::npos && digits(tail.substr(0, dash)) && digits(tail.substr(dash + 1));
}

int clear_left_behind(Path const& folder, std::string_view beginning) {
  int cleared = 0;
  std::error_code error;
  std::vector<Path> found;
  for (auto const& entry : std::filesystem::directory_iterator(folder, error))
    if (is_temporary(entry.path()) && entry.path().filename().string().starts_with(beginning))
      found.push_back(entry.path());
  for (Path const& path : found) {
    int const file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) continue;
    if (hold(file) == Hold::held) {
      std::filesystem::remove_all(path, error);
      cleared += !error;
    }
    ::close(file);
  }
  return cleared;
}

void clear_unfinished(Path const& final_path) {
  int const n = clear_left_behind(folder_of(final_path), beginning_of(final_path));
  if (n > 0)
    say(Level::warning, fmt::format("cleared away {} unfinished {} of {} that an interrupted writer left", n,
                                    n == 1 ? "version" : "versions", final_path.string()));
}

}  // namespace folio

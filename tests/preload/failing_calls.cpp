// Preloaded into the program (LD_PRELOAD), it watches the calls that change something below FOLIO_FAIL_BELOW. Nothing
// of folio is in it, so it sees what goes past core/file.
//
//   FOLIO_FAIL_CALL   the call of this number fails with FOLIO_FAIL_ERRNO; with FOLIO_FAIL_ON all after it too, as on a
//                     disk that stays full or broken
//   FOLIO_FAILED      a file: the line, as of FOLIO_TRACE, of each call that failed
//   FOLIO_FAIL_COUNT  a file: how many such calls there were, at the end
//   FOLIO_KILL_CALL   the process kills itself (SIGKILL) instead of the call of this number, a write in the middle;
//   with
//                     FOLIO_KILL_OF only calls count whose line of the trace has that text in it
//   FOLIO_TRACE       a file: a line each call that was made, "OP\tPATH\tSECOND PATH OR OFFSET\tBYTES"; with
//                     FOLIO_TRACE_DATA each write's line is followed by what was written and a line end
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::atomic<long> calls{0}, kill_calls{0};

long number(char const* name) {
  char const* const text = std::getenv(name);
  return text ? std::atol(text) : 0;
}

std::string path_of(int file) {
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t const n = ::readlink(link, path, sizeof path);
  return n > 0 ? std::string(path, size_t(n)) : "";
}
bool below(std::string const& path) {
  char const* const folder = std::getenv("FOLIO_FAIL_BELOW");
  return folder && path.compare(0, std::strlen(folder), folder) == 0;
}

template <class F>
F next(char const* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

struct Call {
  char const* op;
  std::string path;
  std::string second = "";  // a path, or an offset
  void const* data = nullptr;
  size_t bytes = 0;
  std::string line() const { return op + ("\t" + path) + "\t" + second + "\t" + std::to_string(bytes) + "\n"; }
};

int opened(char const* to) {
  return next<int (*)(char const*, int, mode_t)>("open")(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

void write_line(int file, std::string const& text) {
  (void)!next<ssize_t (*)(int, void const*, size_t)>("write")(file, text.data(), text.size());
}

void tell_failed(Call const& call) {
  char const* const to = std::getenv("FOLIO_FAILED");
  if (!to) return;
  static int const file = opened(to);
  write_line(file, call.line());
}

void trace(Call const& call) {
  char const* const to = std::getenv("FOLIO_TRACE");
  if (!to) return;
  static int const file = opened(to);
  std::string text = call.line();
  if (call.data && std::getenv("FOLIO_TRACE_DATA"))
    text.append(static_cast<char const*>(call.data), call.bytes).append("\n");
  write_line(file, text);
}

/// The call, unless it is the one that fails or that kills; then it is traced. `half` is done before the process dies.
template <class Make, class Half>
auto made(Call const& call, Make make, Half half) -> decltype(make()) {
  if (!below(call.path)) return make();
  long const number_of_call = ++calls, failing = number("FOLIO_FAIL_CALL");
  if (failing != 0 && (std::getenv("FOLIO_FAIL_ON") ? number_of_call >= failing : number_of_call == failing)) {
    tell_failed(call);
    errno = int(number("FOLIO_FAIL_ERRNO"));
    return -1;
  }
  if (long const killing = number("FOLIO_KILL_CALL")) {
    char const* const of = std::getenv("FOLIO_KILL_OF");
    if ((!of || call.line().find(of) != std::string::npos) && ++kill_calls == killing) {
      half();
      ::kill(::getpid(), SIGKILL);
    }
  }
  auto const result = make();
  int const error = errno;
  if (result >= 0) {
    Call done = call;
    if (done.data) done.bytes = size_t(result);
    trace(done);
  }
  errno = error;
  return result;
}
template <class Make>
auto made(Call const& call, Make make) {
  return made(call, make, [] {});
}

struct Report {
  ~Report() {
    char const* const path = std::getenv("FOLIO_FAIL_COUNT");
    if (!path) return;
    if (FILE* const out = std::fopen(path, "w")) {
      std::fprintf(out, "%ld", calls.load());
      std::fclose(out);
    }
  }
} report;

}  // namespace

extern "C" {
int open(char const* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  auto const make = [&] { return next<int (*)(char const*, int, mode_t)>("open")(path, flags, mode); };
  if ((flags & O_ACCMODE) == O_RDONLY) return make();
  struct stat status {};
  bool const there = ::lstat(path, &status) == 0;
  return made({there ? "open" : "create", path}, make);
}
ssize_t write(int file, void const* data, size_t n) {
  auto const make = [&](size_t bytes) {
    return next<ssize_t (*)(int, void const*, size_t)>("write")(file, data, bytes);
  };
  std::string const path = path_of(file);
  if (!below(path)) return make(n);
  struct stat status {};
  bool const at_end = (::fcntl(file, F_GETFL) & O_APPEND) != 0 && ::fstat(file, &status) == 0;
  off_t const offset = at_end ? status.st_size : ::lseek(file, 0, SEEK_CUR);
  return made(
      {"write", path, std::to_string(offset), data, n}, [&] { return make(n); }, [&] { (void)!make(n / 2); });
}
int fsync(int file) {
  return made({"sync", path_of(file)}, [&] { return next<int (*)(int)>("fsync")(file); });
}
int ftruncate(int file, off_t size) {
  return made({"truncate", path_of(file), std::to_string(size)},
              [&] { return next<int (*)(int, off_t)>("ftruncate")(file, size); });
}
int rename(char const* from, char const* to) {
  return made({"rename", to, from}, [&] { return next<int (*)(char const*, char const*)>("rename")(from, to); });
}
int renameat2(int a, char const* from, int b, char const* to, unsigned flags) {
  return made({flags & RENAME_EXCHANGE ? "exchange" : "rename", to, from}, [&] {
    return next<int (*)(int, char const*, int, char const*, unsigned)>("renameat2")(a, from, b, to, flags);
  });
}
int mkdir(char const* path, mode_t mode) {
  return made({"mkdir", path}, [&] { return next<int (*)(char const*, mode_t)>("mkdir")(path, mode); });
}
int unlink(char const* path) {
  return made({"unlink", path}, [&] { return next<int (*)(char const*)>("unlink")(path); });
}
int unlinkat(int folder, char const* path, int flags) {  // of std::filesystem::remove_all: a name inside an open folder
  std::string const whole = path[0] == '/' || folder == AT_FDCWD ? path : path_of(folder) + "/" + path;
  return made({flags & AT_REMOVEDIR ? "rmdir" : "unlink", whole},
              [&] { return next<int (*)(int, char const*, int)>("unlinkat")(folder, path, flags); });
}
int rmdir(char const* path) {
  return made({"rmdir", path}, [&] { return next<int (*)(char const*)>("rmdir")(path); });
}
int remove(char const* path) {  // the C library's own, which calls the others inside
  struct stat status {};
  bool const folder = ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return made({folder ? "rmdir" : "unlink", path}, [&] { return next<int (*)(char const*)>("remove")(path); });
}
}

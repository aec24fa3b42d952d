// Preloaded into the program (LD_PRELOAD): the call number FOLIO_FAIL_CALL that changes something below
// FOLIO_FAIL_BELOW fails with FOLIO_FAIL_ERRNO; with FOLIO_FAIL_ON all after it too, as on a disk that stays full or
// broken. How many such calls there were is written to FOLIO_FAIL_COUNT at the end. Nothing of folio is in it, so it
// sees what goes past core/file.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> calls{0};

long number(char const* name) {
  char const* const text = std::getenv(name);
  return text ? std::atol(text) : 0;
}

bool below(char const* path) {
  char const* const folder = std::getenv("FOLIO_FAIL_BELOW");
  return folder && path && std::strncmp(path, folder, std::strlen(folder)) == 0;
}
bool below(int file) {
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t const n = ::readlink(link, path, sizeof path - 1);
  if (n <= 0) return false;
  path[n] = 0;
  return below(path);
}

bool fails() {
  long const call = ++calls, failing = number("FOLIO_FAIL_CALL");
  if (failing == 0 || (std::getenv("FOLIO_FAIL_ON") ? call < failing : call != failing)) return false;
  errno = int(number("FOLIO_FAIL_ERRNO"));
  return true;
}

template <class F>
F next(char const* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
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
  if ((flags & O_ACCMODE) != O_RDONLY && below(path) && fails()) return -1;
  return next<int (*)(char const*, int, mode_t)>("open")(path, flags, mode);
}
ssize_t write(int file, void const* data, size_t n) {
  if (below(file) && fails()) return -1;
  return next<ssize_t (*)(int, void const*, size_t)>("write")(file, data, n);
}
int fsync(int file) {
  if (below(file) && fails()) return -1;
  return next<int (*)(int)>("fsync")(file);
}
int ftruncate(int file, off_t size) {
  if (below(file) && fails()) return -1;
  return next<int (*)(int, off_t)>("ftruncate")(file, size);
}
int rename(char const* from, char const* to) {
  if (below(to) && fails()) return -1;
  return next<int (*)(char const*, char const*)>("rename")(from, to);
}
int renameat2(int a, char const* from, int b, char const* to, unsigned flags) {
  if (below(to) && fails()) return -1;
  return next<int (*)(int, char const*, int, char const*, unsigned)>("renameat2")(a, from, b, to, flags);
}
int mkdir(char const* path, mode_t mode) {
  if (below(path) && fails()) return -1;
  return next<int (*)(char const*, mode_t)>("mkdir")(path, mode);
}
int unlink(char const* path) {
  if (below(path) && fails()) return -1;
  return next<int (*)(char const*)>("unlink")(path);
}
int unlinkat(int folder, char const* path, int flags) {  // of std::filesystem::remove_all: a name inside an open folder
  bool const ours = path[0] == '/' || folder == AT_FDCWD ? below(path) : below(folder);
  if (ours && fails()) return -1;
  return next<int (*)(int, char const*, int)>("unlinkat")(folder, path, flags);
}
int rmdir(char const* path) {
  if (below(path) && fails()) return -1;
  return next<int (*)(char const*)>("rmdir")(path);
}
int remove(char const* path) {  // the C library's own, which calls the others inside
  if (below(path) && fails()) return -1;
  return next<int (*)(char const*)>("remove")(path);
}
}

#include "core/file_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <system_error>

#include "core/error.h"

namespace folio {

namespace {
IoHook& hook() {
  static IoHook installed;
  return installed;
}
}  // namespace

void set_io_hook(IoHook installed) { hook() = std::move(installed); }

}  // namespace folio

namespace folio::calls {

namespace {

/// The call, unless the hook says that it fails; -1 and errno as the system gives them.
template <class Call>
auto hooked(char const* what, Path const& path, Call call) -> decltype(call()) {
  if (hook())
    if (int const error = hook()(what, path)) {
      errno = error;
      return -1;
    }
  return retried(call);
}

char const* advice(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space there or write elsewhere";
    case EFBIG:
      return "; raise the limit of a file's size (ulimit -f), or use a file system that allows larger files";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a place where you may write, or mend the permissions";
    case ENOENT:
      return "; make the folder first, or check the path";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (ulimit -n)";
    case ENAMETOOLONG:
      return "; choose a shorter name";
    default:
      return "";
  }
}

}  // namespace

void fail_call(char const* verb, Path const& path, int error) {
  fail(Fault::io, "cannot {} {}: {}{}", verb, path.string(), std::generic_category().message(error), advice(error));
}

Path folder_of(Path const& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

int open_to_write(Path const& path, int flags, Path const& shown) {
  int const file = hooked("open", path, [&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  if (file < 0) fail_call("write", shown, errno);
  return file;
}

void write_all(int file, Bytes bytes, Path const& path) {
  while (!bytes.empty()) {
    ssize_t const n = hooked("write", path, [&] { return ::write(file, bytes.data(), bytes.size()); });
    if (n < 0) fail_call("write", path, errno);
    if (n == 0) fail_call("write", path, EIO);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void sync_file(int file, Path const& path) {
  if (hooked("sync", path, [&] { return ::fsync(file); }) == 0) return;
  if (errno != EINVAL && errno != ENOTSUP) fail_call("write", path, errno);
}

void rename_over(Path const& from, Path const& to) {
  if (hooked("rename", to, [&] { return ::rename(from.c_str(), to.c_str()); }) != 0) fail_call("write", to, errno);
}

void rename_to_new(Path const& from, Path const& to) {
  auto const exclusive = [&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE); };
  if (hooked("rename", to, exclusive) == 0) return;
  if (errno == EEXIST) fail(Fault::exists, "{} has come to exist meanwhile: choose another name", to.string());
  if (errno != EINVAL && errno != ENOSYS) fail_call("write", to, errno);
  if (::rename(from.c_str(), to.c_str()) != 0) fail_call("write", to, errno);  // a file system without the flag
}

Path rename_in_place_of(Path const& from, Path const& to) {
  auto const exchange = [&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE); };
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(to, ignored))) return rename_to_new(from, to), Path();
  if (hooked("rename", to, exchange) == 0) return from;
  if (errno != EINVAL && errno != ENOSYS) fail_call("write", to, errno);
  Path const aside = temporary_sibling(to);  // a file system without the flag
  rename_over(to, aside);
  rename_to_new(from, to);
  return aside;
}

void make_folder(Path const& path) {
  if (hooked("make_folder", path, [&] { return ::mkdir(path.c_str(), 0777); }) == 0) return;
  if (errno == EEXIST && std::filesystem::is_directory(path)) return;  // somebody else was quicker
  fail_call("make", path, errno);
}

void truncate_file(int file, uint64_t size, Path const& path) {
  if (hooked("truncate", path, [&] { return ::ftruncate(file, static_cast<off_t>(size)); }) != 0)
    fail_call("cut", path, errno);
}

void close_file(int file, Path const& path) {
  int const injected = hook() ? hook()("close", path) : 0;
  int const error =
      ::close(file) != 0 && errno != EINTR ? errno : injected;  // never again: the number may be another's
  if (error != 0) fail_call("write", path, error);
}

void remove_file(Path const& path) noexcept {
  (void)hooked("remove", path, [&] { return ::unlink(path.c_str()); });
}

int remove_tree(Path const& path) noexcept {
  if (int const error = hook() ? hook()("remove", path) : 0) return error;
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error.value();
}

}  // namespace folio::calls

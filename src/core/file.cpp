// Reading, and the writers that give a file or a folder its name only when it is whole. Locks and files that grow are
// in file_shared.cpp.
#include "core/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <istream>

#include "core/error.h"
#include "core/file_calls.h"

namespace folio {

using namespace calls;

namespace {

constexpr size_t kBuffer = size_t{1} << 20;

/// A path with a last part: "runs/a/" is "runs/a".
Path named(Path const& given) {
  Path path = given.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  check(!path.empty() && path.has_filename(), Fault::value, "an empty path was given: name a file or a folder");
  return path;
}

/// An open file, its descriptor closed by the guard.
struct Descriptor {
  int file = -1;
  ~Descriptor() {
    if (file >= 0) ::close(file);
  }
};

int open_to_read(Path const& path, struct stat& status) {
  int const file = retried([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (file < 0 && (errno == ENOENT || errno == ENOTDIR))
    fail(Fault::missing, "{} does not exist: check the path", path.string());
  if (file < 0) fail_call("open", path, errno);
  if (::fstat(file, &status) != 0) {
    int const error = errno;
    ::close(file);
    fail_call("look at", path, error);
  }
  if (S_ISDIR(status.st_mode)) {
    ::close(file);
    fail(Fault::content, "{} is a folder: a file is needed here", path.string());
  }
  return file;
}

void refuse_size(std::string const& name, uint64_t size, uint64_t limit) {
  check(size <= limit, Fault::content, "{} holds {} bytes or more; the most that a file of its kind may hold is {}",
        name, size, limit);
}

}  // namespace

std::string read_file(Path const& path, uint64_t limit) {
  struct stat status {};
  Descriptor const in{open_to_read(path, status)};
  uint64_t const expected = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  refuse_size(path.string(), expected, limit);
  std::string content;
  size_t size = 0;
  for (;;) {  // to the end, not to the size: it may grow or, in /proc, be given as 0
    if (size == content.size()) content.resize(size == 0 ? expected + 1 : size + std::max(size, kBuffer));
    ssize_t const n = retried([&] { return ::read(in.file, content.data() + size, content.size() - size); });
    if (n < 0) fail_call("read", path, errno);
    if (n == 0) break;
    size += static_cast<size_t>(n);
    refuse_size(path.string(), size, limit);
  }
  content.resize(size);
  return content;
}

std::string read_stream(std::istream& in, std::string const& name, uint64_t limit) {
  std::string content;
  while (in) {
    size_t const size = content.size();
    content.resize(size + kBuffer);
    in.read(content.data() + size, kBuffer);
    content.resize(size + static_cast<size_t>(in.gcount()));
    refuse_size(name, content.size(), limit);
  }
  check(!in.bad(), Fault::io, "{}: reading failed after {} bytes", name, content.size());
  return content;
}

MappedFile::MappedFile(Path const& path) : path_(path) {
  struct stat status {};
  Descriptor const in{open_to_read(path, status)};
  check(S_ISREG(status.st_mode), Fault::content, "{} is not a regular file, which is needed here", path.string());
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;  // nothing to map
  void* const data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, in.file, 0);
  if (data == MAP_FAILED) fail_call("map", path, errno);
  data_ = static_cast<std::byte const*>(data);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::was_read(size_t bytes) const {
  constexpr size_t kBroughtAlong = size_t{64} << 10;  // the system maps the pages around one that is touched
  bytes = std::max(bytes, kBroughtAlong);
  size_t const kept = std::clamp(size_ / 16, kMostKept / 8, kMostKept);  // little beside what a small model needs
  if (read_.fetch_add(bytes) + bytes < kept) return;
  read_ = 0;
  ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);  // a refusal is harmless
}

FileWriter::FileWriter(Path const& final_path) : final_(named(final_path)) {
  struct stat status {};
  bool const there = ::stat(final_.c_str(), &status) == 0;
  check(!there || !S_ISDIR(status.st_mode), Fault::exists, "{} is a folder: give the name of a file to write",
        final_.string());
  buffer_.reserve(kBuffer);
  if (there && !S_ISREG(status.st_mode)) {  // a terminal, a pipe, /dev/null: no file to replace, written as it is
    file_ = open_to_write(final_, O_WRONLY, final_);
    return;
  }
  if (there) final_ = std::filesystem::canonical(final_);  // through a link: the file changes, the link stays
  clear_unfinished(final_);
  for (;;) {  // again where another process took it for one that was left behind
    temporary_ = temporary_sibling(final_);
    file_ = open_to_write(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, final_);
    if (hold_temporary(file_)) return;
    ::close(file_);
  }
}

FileWriter::~FileWriter() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) remove_file(temporary_);
}

void FileWriter::write(Bytes bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBuffer) flush();
  if (bytes.size() >= kBuffer) write_all(file_, bytes, final_);
  else buffer_.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
}

void FileWriter::overwrite(uint64_t offset, Bytes bytes) {
  check(!temporary_.empty() && offset <= size_ && bytes.size() <= size_ - offset,
        "{}: {} bytes at {} are not there to be overwritten", final_.string(), bytes.size(), offset);
  flush();
  auto const seek = [&](uint64_t to) {
    if (::lseek(file_, static_cast<off_t>(to), SEEK_SET) < 0) fail_call("write", final_, errno);
  };
  seek(offset);
  write_all(file_, bytes, final_);
  seek(size_);
}

void FileWriter::flush() {
  write_all(file_, bytes_of(buffer_), final_);
  buffer_.clear();
}

void FileWriter::commit() {
  check(file_ >= 0, "{}: committed twice", final_.string());
  flush();
  if (!temporary_.empty()) sync_file(file_, final_);
  close_file(std::exchange(file_, -1), final_);
  if (temporary_.empty()) return;
  rename_over(temporary_, final_);
  temporary_.clear();
  sync_folder(folder_of(final_));
}

void write_file(Path const& path, std::string_view content) {
  FileWriter out(path);
  out.write(content);
  out.commit();
}

FolderWriter::FolderWriter(Path const& final_path, Existing existing) : final_(named(final_path)), existing_(existing) {
  std::error_code ignored;
  check(existing == Existing::replace || !std::filesystem::exists(std::filesystem::symlink_status(final_, ignored)),
        Fault::exists, "{} exists: choose another name or remove it first", final_.string());
  make_folders(folder_of(final_));
  clear_unfinished(final_);
  for (;;) {  // as in FileWriter
    Path const temporary = temporary_sibling(final_);
    make_folder(temporary);
    temporary_ = temporary;
    held_ = ::open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (held_ < 0 && errno != ENOENT) fail_call("open", temporary, errno);
    if (held_ >= 0 && hold_temporary(held_)) return;
    if (held_ >= 0) ::close(held_);
  }
}

FolderWriter::~FolderWriter() {
  if (!temporary_.empty()) remove_tree(temporary_);
  if (held_ >= 0) ::close(held_);
}

void FolderWriter::commit() {
  check(!temporary_.empty(), "{}: committed twice", final_.string());
  sync_folder(temporary_);
  Path old;
  if (existing_ == Existing::refuse) rename_to_new(temporary_, final_);
  else old = rename_in_place_of(temporary_, final_);
  temporary_.clear();
  sync_folder(folder_of(final_));
  if (!old.empty()) remove_tree(old);  // what stays of it is cleared away later
}

void make_folders(Path const& path) {
  std::error_code ignored;
  Path made;
  for (Path const& part : path.lexically_normal()) {
    made /= part;
    if (part.empty() || std::filesystem::is_directory(made, ignored)) continue;
    check(!std::filesystem::exists(made, ignored), Fault::exists, "{} is a file: a folder is needed there",
          made.string());
    make_folder(made);
    sync_folder(folder_of(made));
  }
}

void remove_all(Path const& path) {
  Path const target = named(path);
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(target, error))) return;
  Path const doomed = temporary_sibling(target);
  rename_over(target, doomed);
  sync_folder(folder_of(target));  // or a loss of power could bring back the name of a half
  if (int const failed = remove_tree(doomed)) fail_call("remove", doomed, failed);
}

void move_folder(Path const& from, Path const& to) {
  rename_to_new(from, to);
  sync_folder(folder_of(to));
}

void sync_folder(Path const& path) {
  Path const folder = path.empty() ? Path(".") : path;
  Descriptor const at{open_to_write(folder, O_RDONLY | O_DIRECTORY, folder)};
  sync_file(at.file, folder);
}

}  // namespace folio

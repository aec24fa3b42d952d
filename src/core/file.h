// All file input and output. A reader checks sizes before it trusts them; a writer never leaves a half-written file
// under its final name: temporary sibling, write, fsync, rename, fsync of the folder. Every system call of a writer
// goes through `IoHook`, so tests make each of them fail in turn.
//
// Errors: Fault::missing where an input is not there, Fault::content where it is of another kind (a folder for a file)
// or larger than its kind may be, Fault::exists where a folder has an output's name, Fault::io where a call fails; the
// sentence names the path and what the system said.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string_view>

#include "core/error.h"
#include "core/path.h"

namespace folio {

/// "what" is open, write, sync, close, rename, make_folder, truncate or remove. Returns 0, or the errno the call shall
/// fail with.
using IoHook = std::function<int(std::string_view what, Path const&)>;
void set_io_hook(IoHook);  // tests only; {} removes it

/// The whole file; `limit` is the largest size that makes sense for its kind.
std::string read_file(Path const&, uint64_t limit = uint64_t{1} << 32);
std::string read_stream(std::istream&, std::string const& name, uint64_t limit = uint64_t{1} << 32);

class MappedFile {  // read-only; the file's bytes without a copy
 public:
  explicit MappedFile(Path const&);
  ~MappedFile();
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  Bytes bytes() const { return {data_, size_}; }
  Path const& path() const { return path_; }

  /// Whoever reads much of a large file says how much: the pages that lie in this process' memory are given back from
  /// time to time (the system has them cached as before), so that they stay near kMostKept.
  void was_read(size_t bytes) const;
  static constexpr size_t kMostKept = size_t{32} << 20;

 private:
  Path path_;
  std::byte const* data_ = nullptr;
  size_t size_ = 0;
  mutable std::atomic<size_t> read_{0};  // since pages were given back
};

/// A new file, whole or not at all. Without commit() the temporary is removed. What is no file to replace (a pipe,
/// /dev/null) is written as it is; a link keeps pointing where it points.
class FileWriter {
 public:
  explicit FileWriter(Path const& final_path);
  ~FileWriter();
  FileWriter(FileWriter const&) = delete;
  void write(Bytes);  // buffered
  void write(std::string_view text) { write(bytes_of(text)); }
  /// Bytes already written, again: a header whose counts are known at the end. Not for a pipe.
  void overwrite(uint64_t offset, Bytes);
  uint64_t size() const { return size_; }
  void commit();  // replaces what has the name

 private:
  void flush();
  Path final_, temporary_;
  std::string buffer_;
  uint64_t size_ = 0;
  int file_ = -1;
};

void write_file(Path const&, std::string_view content);  // FileWriter, write, commit

/// A new folder, whole or not at all: fill path(), then commit() syncs the folder, gives it its name and syncs the
/// parent. Files inside are written through FileWriter, which syncs each. An existing folder of the name is refused, or
/// exchanged for the new one and then removed; the folders above it are made.
class FolderWriter {
 public:
  enum class Existing { refuse, replace };
  explicit FolderWriter(Path const& final_path, Existing = Existing::refuse);
  ~FolderWriter();
  FolderWriter(FolderWriter const&) = delete;
  Path const& path() const { return temporary_; }  // where to write until commit()
  void commit();

 private:
  Path final_, temporary_;
  Existing existing_;
  int held_ = -1;  // the temporary, locked
};

/// A file that grows line by line (metrics.jsonl), or by whole records. Opening with `keep` cuts it to that many bytes
/// first.
class AppendFile {
 public:
  explicit AppendFile(Path const&, uint64_t keep = UINT64_MAX);
  ~AppendFile();
  AppendFile(AppendFile const&) = delete;
  void write_line(std::string_view line);  // one write call with its newline: a reader never sees half a line
  void write(std::string_view record);     // as it is, in one call
  void sync();

 private:
  Path path_;
  int file_ = -1;
};

/// Fault::content where the path is there and is a link, a folder, a pipe: for what folio rewrites in a folder that it
/// keeps itself. AppendFile and FileLock open no other.
void check_regular(Path const&);

void make_folders(Path const&);
void remove_all(Path const&);  // for rotation; a folder is renamed to a temporary name first, so it is never half there
void move_folder(Path const& from, Path const& to);  // within a file system; Fault::exists where `to` is there
void sync_folder(Path const&);

/// Left by an interrupted writer: a name that FileWriter or FolderWriter gives to a temporary.
bool is_temporary(Path const&);
/// Removes those in `folder` whose writer is gone and whose name begins so, and returns how many there were. FileWriter
/// and FolderWriter do it for their own name, and say so.
int clear_left_behind(Path const& folder, std::string_view beginning = "");
void clear_unfinished(Path const& final_path);

/// An exclusive lock held as long as the object lives (flock: the system lets go of a dead holder's).
class FileLock {
 public:
  /// `content` is written into the file (who holds it). Throws Fault::exists with `what` and the holder's content
  /// where another process holds it.
  FileLock(Path const&, std::string_view content, std::string const& what);
  ~FileLock();
  FileLock(FileLock const&) = delete;
  std::string const& previous() const { return previous_; }  // content of a stale lock that was taken over

 private:
  Path path_;
  std::string previous_;
  int file_ = -1;
};
/// Whether a process of this machine holds a FileLock on the path, as far as /proc/locks shows it; takes no lock.
bool is_locked(Path const&);

}  // namespace folio

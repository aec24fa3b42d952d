// The system calls of the writers, each behind the hook that tests make fail, and each with its sentence. For
// core/file*.cpp only.
#pragma once

#include <cerrno>
#include <utility>

#include "core/file.h"

namespace folio::calls {

/// "cannot write PATH: No space left on device; …" with what to do about it, as Fault::io.
[[noreturn]] void fail_call(char const* verb, Path const&, int error);

/// Calls again as long as a signal interrupts.
template <class Call>
auto retried(Call call) {
  for (;;) {
    auto const result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Path folder_of(Path const&);  // "." for a bare name
/// With 0666 under the umask, closed on exec; `shown` is the name in the sentence.
int open_to_write(Path const&, int flags, Path const& shown);
void write_all(int file, Bytes, Path const&);  // short writes are continued
void sync_file(int file, Path const&);         // file systems that cannot sync a folder are let pass
void rename_over(Path const& from, Path const& to);
void rename_to_new(Path const& from, Path const& to);  // Fault::exists where `to` has come to exist
/// `to`, which need not be there, is `from` from then on. Returns what it was, under a temporary's name; empty:
/// nothing.
Path rename_in_place_of(Path const& from, Path const& to);
void make_folder(Path const&);
void truncate_file(int file, uint64_t size, Path const&);
void close_file(int file, Path const&);  // its error is one of writing
void remove_file(Path const&) noexcept;  // a failure is let pass: what is left is cleared away later
int remove_tree(Path const&) noexcept;   // 0, or the errno of what could not be removed

Path temporary_sibling(Path const&);
/// Holds the temporary that was just opened as long as it is open; false where another process is removing it.
bool hold_temporary(int file);

}  // namespace folio::calls

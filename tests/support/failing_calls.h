// The program with calls that fail (tests/preload), and what lies in a folder afterwards.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "tests/support/program.h"
#include "tests/support/scratch_folder.h"

#define FOLIO_NEEDS_FAILING_CALLS()                                                                           \
  if (!std::getenv("FOLIO_FAILING_CALLS"))                                                                    \
  GTEST_SKIP() << "FOLIO_FAILING_CALLS does not name the library of tests/preload: ctest sets it, but under " \
                  "sanitizers"

namespace folio::test {

struct Failure {
  long call;  // 0: none fails
  int error;
  bool on;  // and all after it
  std::string text() const {
    return fmt::format("call {}: {}{}", call, std::strerror(error), on ? " and all after it" : "");
  }
};

/// The environment in which calls that change something below a folder fail; how many there were goes to `count`, a
/// line of each that failed to `failed`.
inline std::map<std::string, std::string> failing(Path const& below, Failure const& failure, Path const& count = "",
                                                  Path const& failed = "") {
  Path const library = std::getenv("FOLIO_FAILING_CALLS");  // LD_PRELOAD parts its names at blanks: the folder apart
  return {{"LD_PRELOAD", library.filename().string()},
          {"LD_LIBRARY_PATH", library.parent_path().string()},
          {"FOLIO_FAIL_BELOW", below.string()},
          {"FOLIO_FAIL_CALL", std::to_string(failure.call)},
          {"FOLIO_FAIL_ERRNO", std::to_string(failure.error)},
          {"FOLIO_FAIL_ON", failure.on ? "1" : ""},
          {"FOLIO_FAIL_COUNT", count.string()},
          {"FOLIO_FAILED", failed.string()}};
}

/// Calls first, first + every, … each failing with a full disk and with a broken one, once and from then on.
inline std::vector<Failure> failures(long calls, long first, long every) {
  std::vector<Failure> all;
  for (bool const on : {false, true})
    for (int const error : {ENOSPC, EIO})
      for (long call = first; call <= calls; call += every) all.push_back({call, error, on});
  return all;
}

/// Of every file below the folder that is not a temporary, nor inside one: its path from there, and its bytes.
inline std::map<std::string, std::string> tree_of(Path const& folder) {
  std::map<std::string, std::string> tree;
  std::filesystem::recursive_directory_iterator entry(folder), end;
  for (; entry != end; ++entry)
    if (is_temporary(entry->path())) entry.disable_recursion_pending();
    else if (entry->is_regular_file()) tree[entry->path().lexically_relative(folder)] = read_file(entry->path());
  return tree;
}

inline bool left_behind(Path const& folder) {
  std::error_code error;
  for (auto const& entry : std::filesystem::recursive_directory_iterator(folder, error))
    if (is_temporary(entry.path())) return true;
  return false;
}

}  // namespace folio::test

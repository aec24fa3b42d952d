// A folder that is there as long as the object lives, and the error that a piece of code throws.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace folio::test {

/// Where files lie in memory, so that thousands of syncs take no time; where there is little of it, as other folders.
inline Path in_memory() {
  std::error_code error;
  auto const space = std::filesystem::space("/dev/shm", error);
  bool const room = !error && space.available >= (uint64_t{2} << 30) && ::access("/dev/shm", W_OK) == 0;
  return room ? Path("/dev/shm") : std::filesystem::temp_directory_path();
}

class ScratchFolder {
 public:
  explicit ScratchFolder(Path const& at = std::filesystem::temp_directory_path()) {
    std::string name = (at / "folio test XXXXXX").string();  // a blank in every path
    check(mkdtemp(name.data()) != nullptr, Fault::io, "no folder could be made at {}", name);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(ScratchFolder const&) = delete;
  Path const& path() const { return path_; }
  Path operator/(std::string const& name) const { return path_ / name; }
  std::vector<std::string> names() const {  // of what lies in it, sorted
    std::vector<std::string> found;
    for (auto const& entry : std::filesystem::directory_iterator(path_))
      found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  Path path_;
};

/// What f throws; the test fails where it throws nothing, or not an Error.
template <class F>
Error error_of(F f) {
  try {
    f();
  } catch (Error const& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Fault::bug, "");
}

}  // namespace folio::test

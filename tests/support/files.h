// A folder of a test's own, and what is thrown, for tests of files and of messages.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace folio::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "folio-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed in " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(TemporaryFolder const&) = delete;
  Path const& path() const { return path_; }
  Path operator/(char const* name) const { return path_ / name; }

  std::vector<std::string> names() const {  // sorted
    std::vector<std::string> found;
    for (auto const& entry : std::filesystem::directory_iterator(path_))
      found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }

 private:
  Path path_;
};

struct Thrown {
  int fault = 0;  // 0: nothing was thrown
  std::string sentence;
};

template <class Call>
Thrown thrown_by(Call call) {
  try {
    call();
  } catch (Error const& e) {
    return {static_cast<int>(e.fault), e.what()};
  }
  return {};
}

/// Expects an Error of this kind whose sentence has all the parts.
template <class Call>
void expect_fault(Fault fault, std::vector<std::string> const& parts, Call call) {
  Thrown const thrown = thrown_by(call);
  EXPECT_EQ(thrown.fault, static_cast<int>(fault)) << thrown.sentence;
  for (std::string const& part : parts)
    EXPECT_NE(thrown.sentence.find(part), std::string::npos) << "\"" << part << "\" is not in: " << thrown.sentence;
}

}  // namespace folio::test

// What is thrown, for tests of files and of messages.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "tests/support/scratch_folder.h"

namespace folio::test {

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

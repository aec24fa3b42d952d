// main of every test program. Where FOLIO_ISA names a level that this machine lacks, the program would test the level
// below once more: it ends with 77 instead, which ctest shows as skipped. So it does where every test was skipped. Rows
// of a GPU (tests/support/cuda.h) are skipped with a sentence where there is none.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "backend/info.h"
#include "backend/plugin.h"

namespace {

class WithoutGpu : public testing::EmptyTestEventListener {
  void OnTestStart(testing::TestInfo const& test) override {
    std::string const name = std::string(test.test_suite_name()) + "." + test.name();
    if (name.find("cuda") == name.npos && name.find("Cuda") == name.npos) return;
    if (std::string const& trouble = folio::cuda_status().trouble; !trouble.empty()) GTEST_SKIP() << trouble;
  }
};

}  // namespace

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  // Ignored where a script starts the tests behind an &, and inherited by what they start.
  for (int const signal : {SIGINT, SIGHUP}) std::signal(signal, SIG_DFL);
  char const* const asked = std::getenv("FOLIO_ISA");
  if (asked && *asked && std::string_view(asked) != folio::name_of(folio::level_in_use())) {
    std::printf("skipped: this machine has no level %s; its levels: %s\n", asked,
                folio::processor().levels_text().c_str());
    return 77;
  }
  testing::UnitTest::GetInstance()->listeners().Append(new WithoutGpu);  // before the fixture is made
  int const result = RUN_ALL_TESTS();
  auto const& tests = *testing::UnitTest::GetInstance();
  return result == 0 && tests.skipped_test_count() > 0 && tests.successful_test_count() == 0 ? 77 : result;
}

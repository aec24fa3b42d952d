// See tests/support/faults.h: some of the calls.
#include "tests/support/faults.h"

namespace folio::test {
namespace {

TEST_F(TrainFaults, EndTheRunWithASentenceAndLeaveItWhole) { fail_each(1, 23); }
TEST_F(TrainFaults, OfTwoProcessesOnOneRunTheSecondIsRefused) { start_two(3); }

}  // namespace
}  // namespace folio::test

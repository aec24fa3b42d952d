// See tests/support/faults.h: some of the calls.
#include "tests/support/faults.h"

namespace folio::test {
namespace {

TEST_F(TrainFaults, AreSaidAndLeaveTheRunWholeWithSavesInTheBackground) { fail_each("background", 1, 29); }
TEST_F(TrainFaults, AreSaidAndLeaveTheRunWholeWithSavesInTheForeground) { fail_each("foreground", 7, 41); }
TEST_F(TrainFaults, OfTwoProcessesOnOneRunTheSecondIsRefused) { start_two(3); }

}  // namespace
}  // namespace folio::test

// See tests/support/faults.h: each call.
#include "tests/support/faults.h"

namespace folio::test {
namespace {

TEST_F(TrainFaults, AreSaidAndLeaveTheRunWholeWithSavesInTheBackground) { fail_each("background", 1, 1); }
TEST_F(TrainFaults, AreSaidAndLeaveTheRunWholeWithSavesInTheForeground) { fail_each("foreground", 1, 1); }
TEST_F(TrainFaults, OfTwoProcessesOnOneRunTheSecondIsRefused) { start_two(30); }

}  // namespace
}  // namespace folio::test

// See tests/support/power_loss_runs.h: some of the calls.
#include "tests/support/power_loss_runs.h"

namespace folio::test {
namespace {

TEST_F(PowerLoss, LeavesACheckpointWithSavesInTheBackground) { break_off("background", 7, 4, 30); }
TEST_F(PowerLoss, LeavesACheckpointWithSavesInTheForeground) { break_off("foreground", 11, 4, 30); }

}  // namespace
}  // namespace folio::test

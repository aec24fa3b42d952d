// See tests/support/power_loss_runs.h: each call.
#include "tests/support/power_loss_runs.h"

namespace folio::test {
namespace {

TEST_F(PowerLoss, LeavesACheckpointWithSavesInTheBackground) { break_off("background", 1, 12, 30); }
TEST_F(PowerLoss, LeavesACheckpointWithSavesInTheForeground) { break_off("foreground", 1, 12, 60); }

}  // namespace
}  // namespace folio::test

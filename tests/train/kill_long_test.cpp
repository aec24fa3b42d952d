// See tests/support/kill.h: sixty interruptions.
#include "tests/support/kill.h"

namespace folio::test {
namespace {

TEST_F(Killing, AtRandomMomentsAndResumedIsTheUninterruptedRunBitForBit) { interrupt(60, 20261122); }

}  // namespace
}  // namespace folio::test

// See tests/support/kill.h: a few interruptions.
#include "tests/support/kill.h"

namespace folio::test {
namespace {

TEST_F(Killing, AtRandomMomentsAndResumedIsTheUninterruptedRunBitForBit) { interrupt(6, 20261122); }

}  // namespace
}  // namespace folio::test

// See tests/support/kill.h: a few kills.
#include "tests/support/kill.h"

namespace folio::test {
namespace {

TEST_F(Killing, AnywhereAndResumedIsTheUninterruptedRunBitForBit) { kill(8, 20261122); }

}  // namespace
}  // namespace folio::test

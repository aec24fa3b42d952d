// See tests/support/kill.h: two hundred kills.
#include "tests/support/kill.h"

namespace folio::test {
namespace {

TEST_F(Killing, AnywhereAndResumedIsTheUninterruptedRunBitForBit) { kill(200, 20261122); }

}  // namespace
}  // namespace folio::test

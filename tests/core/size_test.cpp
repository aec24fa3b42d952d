#include "core/size.h"

#include <gtest/gtest.h>

#include <array>

namespace folio {
namespace {

constexpr uint64_t kMost = UINT64_MAX;

TEST(Size, ArithmeticThatWouldWrapFitsNowhere) {
  EXPECT_FALSE((Size(kMost) + Size(1)).at_most(kMost));
  EXPECT_FALSE((Size(uint64_t{1} << 32) * Size(uint64_t{1} << 32)).at_most(kMost));
  EXPECT_FALSE(((Size(kMost) + Size(1)) * Size(0)).at_most(kMost)) << "once too large, always too large";
  EXPECT_FALSE(Size(kMost - 2).rounded_up(64).at_most(kMost));
  EXPECT_FALSE((Size(kMost) + Size(1)).value());
  EXPECT_FALSE((Size(kMost) + Size(1)).is(0));
}

TEST(Size, ArithmeticThatFitsIsExact) {
  EXPECT_TRUE((Size(kMost - 1) + Size(1)).is(kMost));
  EXPECT_TRUE((Size(3) * Size(5) + Size(2)).is(17));
  EXPECT_TRUE(Size(64).rounded_up(64).is(64));
  EXPECT_TRUE(Size(65).rounded_up(64).is(128));
  EXPECT_TRUE(Size(0).rounded_up(64).is(0));
}

TEST(Size, ASectionIsHandedOutOnlyWhereItLiesInTheFile) {
  std::array<std::byte, 10> file{};
  EXPECT_EQ(section(file, Size(4), Size(6), "f", "x").size(), 6u);
  EXPECT_EQ(section(file, Size(4), Size(6), "f", "x").data(), file.data() + 4);
  EXPECT_EQ(section(file, Size(10), Size(0), "f", "x").size(), 0u);
  for (auto [begin, bytes] : {std::pair<uint64_t, uint64_t>{4, 7}, {11, 0}, {kMost, 1}, {1, kMost}, {kMost, kMost}}) {
    try {
      section(file, Size(begin), Size(bytes), "tokens.bin", "the mask");
      ADD_FAILURE() << begin << " + " << bytes;
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content);
      EXPECT_NE(std::string(e.what()).find("tokens.bin: the mask"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace folio

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "report/table.h"
#include "report/terminal_curve.h"

namespace folio::report {
namespace {

std::vector<std::string> lines(std::string const& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(Table, AlignsNumbersRightAndTextsLeftWithTwoBlanksBetween) {
  Table t({{"part", false}, {"parameters"}, {"share"}});
  t.row({"embeddings", grouped(38597376), "31.0 %"});
  t.row({"norms", grouped(38400), "0.0 %"});
  EXPECT_EQ(t.text(),
            "part        parameters   share\n"
            "embeddings  38,597,376  31.0 %\n"
            "norms           38,400   0.0 %\n");
}

TEST(Table, LeavesColumnsOutFromTheRightAndSaysSo) {
  Table t({{"a", false}, {"b"}, {"c"}});
  t.row({std::string(30, 'x'), std::string(30, 'y'), std::string(30, 'z')});
  for (auto const& line : lines(t.text())) EXPECT_LE(display_width(line), 80u) << line;
  EXPECT_NE(t.text().find("left out for want of room: c"), std::string::npos);
  EXPECT_EQ(t.text().find('z'), std::string::npos);
}

TEST(Table, CountsTheColumnsOfATerminal) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("na\u00efve \u2192"), 7u);
  EXPECT_EQ(display_width("\ud55c\uae00"), 4u);   // Hangul
  EXPECT_EQ(display_width("\u6f22\u5b57x"), 5u);  // Han
  EXPECT_EQ(display_width("e\u0301"), 1u);        // a mark on a letter
  EXPECT_EQ(display_width("\U0001f600"), 2u);
}

TEST(Table, GroupsThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
}

std::vector<Point> falling(int n, double floor) {
  std::vector<Point> p;
  for (int i = 1; i <= n; ++i) p.push_back({double(i), floor + 3 * std::exp(-i * 5.0 / n)});
  return p;
}

TEST(Curve, FitsEightyColumnsHasSevenRowsAndLabelsBothEnds) {
  for (bool utf8 : {true, false}) {
    auto const all = lines(terminal_curve(falling(1000, 1.2), falling(20, 1.4), utf8));
    ASSERT_EQ(all.size(), 9u);
    int train = 0, val = 0;
    for (auto const& line : all) {
      EXPECT_LE(display_width(line), 80u) << line;
      train += line.find("train 1.2") != std::string::npos;
      val += line.find("val 1.4") != std::string::npos;
    }
    EXPECT_EQ(train, 1);
    EXPECT_EQ(val, 1);
  }
}

TEST(Curve, WithoutUtf8ThereIsNothingButAscii) {
  for (char c : terminal_curve(falling(100, 1), falling(5, 1), false)) EXPECT_LT(static_cast<unsigned char>(c), 128);
}

TEST(Curve, AFallingLineStandsHigherAtItsLeft) {
  auto const all = lines(terminal_curve(falling(1000, 0.5), {}, false));
  size_t highest = 0, lowest = 0;
  for (size_t row = 0; row < 7; ++row) {
    size_t const at = all[row].find('.', 6);
    if (at == std::string::npos) continue;
    if (highest == 0) highest = at;
    lowest = all[row].find_last_of('.', 67);
  }
  EXPECT_LT(highest, 12u);
  EXPECT_GT(lowest, 60u);
}

TEST(Curve, PassesOverWhatIsNotANumberAndDrawsNothingOfNothing) {
  EXPECT_EQ(terminal_curve({}, {}, true), "");
  EXPECT_EQ(terminal_curve({{1, 2}}, {}, true), "");
  auto points = falling(100, 1);
  points[50].y = NAN, points[60].y = INFINITY, points[70].y = -1;
  EXPECT_EQ(lines(terminal_curve(points, {}, true)).size(), 9u);
}

}  // namespace
}  // namespace folio::report

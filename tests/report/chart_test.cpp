// Charts said once and drawn twice: scales, ticks and letters; the terminal's pictures; the panels of an SVG file.
#include "report/chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/table.h"

namespace folio::report {
namespace {

LineChart two_lines() { return {"loss", "steps", {{"one", {{0, 1}, {5, 4}, {10, 2}}}, {"two", {{0, 8}, {10, 8}}}}}; }

std::vector<std::string> labels(std::vector<Scales::Tick> const& ticks) {
  std::vector<std::string> out;
  for (auto const& t : ticks) out.push_back(t.label);
  return out;
}

std::vector<std::string> rows_of(std::string const& text) {
  std::vector<std::string> out(1);
  for (char const c : text)
    if (c == '\n') out.emplace_back();
    else out.back() += c;
  return out;
}

size_t count(std::string const& text, std::string const& what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++n;
  return n;
}

TEST(Chart, LinearScalesBeginAtNothingAndLogarithmicOnesDoNot) {
  Scales const s = scales_of(two_lines());
  EXPECT_EQ(s.y.low, 0);
  EXPECT_EQ(labels(s.x_ticks), (std::vector<std::string>{"0", "2", "4", "6", "8", "10"}));
  EXPECT_DOUBLE_EQ(s.lines[1][1].x, 1);
  EXPECT_EQ(s.names, (std::vector<std::string>{"A one", "B two"}));
  LineChart c{"", "", {{"one", {{0, 1e-10}, {1, 1}}}}, false, true};
  Scales const log = scales_of(c);
  EXPECT_EQ(labels(log.y_ticks), (std::vector<std::string>{"1e-10", "1e-8", "1e-6", "1e-4", "0.01", "1"}));
  EXPECT_EQ(log.names[0], "one") << "one line has no letter";
  c.lines[0].points = {{0, 1}, {1, 0}, {2, 3}};
  EXPECT_TRUE(std::isnan(scales_of(c).lines[0][1].y)) << "0 has no place on a log scale";
}

TEST(Chart, ALetterStandsOnItsLineAndAwayFromTheOther) {
  LineChart const c{"", "", {{"up", {{0, 0}, {10, 10}}}, {"down", {{0, 10}, {10, 0}}}}};
  Scales const s = scales_of(c);
  for (size_t l : {0u, 1u}) EXPECT_GT(std::abs(s.letters[l].x - 0.5), 0.3) << "they cross in the middle";
  EXPECT_NEAR(s.letters[0].y, s.lines[0][0].y + s.letters[0].x * (s.lines[0][1].y - s.lines[0][0].y), 1e-12);
}

TEST(Chart, LettersOfTheSameLineStandApart) {
  std::vector<Point> const points = {{0, 0}, {4, 6}, {10, 10}};
  Scales const s = scales_of({"", "", {{"one", points}, {"same", points}}});
  EXPECT_GT(std::hypot(s.letters[0].x - s.letters[1].x, s.letters[0].y - s.letters[1].y), 0.2);
}

TEST(Chart, NothingToDrawIsRefused) { EXPECT_THROW(scales_of({"x", "", {{"none", {{0, NAN}}}}}), Error); }

TEST(TerminalChart, FitsTheWidthAndNamesEachLineAtItsEnd) {
  for (bool const utf8 : {true, false}) {
    std::string const text = terminal_chart(two_lines(), utf8, 60);
    for (std::string const& row : rows_of(text)) EXPECT_LE(display_width(row), 60u) << row;
    EXPECT_NE(text.find(" A one\n"), text.npos) << text;
    EXPECT_NE(text.find(" B two\n"), text.npos) << text;
    EXPECT_NE(text.find("10 steps"), text.npos) << text;
  }
  std::string const plain = terminal_chart(two_lines(), false, 80);
  EXPECT_TRUE(std::ranges::all_of(plain, [](char c) { return static_cast<unsigned char>(c) < 128; })) << plain;
  EXPECT_NE(plain.find("BBBBBBBB"), plain.npos) << plain;
}

TEST(TerminalChart, LinesThatEndTogetherAreNamedApart) {
  LineChart c{"", "", {}};
  for (char const* name : {"w", "x", "y", "z"}) c.lines.push_back({name, {{0, 1}, {1, 0}}});
  std::string const text = terminal_chart(c, true);
  for (char const* name : {" A w\n", " B x\n", " C y\n", " D z\n"}) EXPECT_NE(text.find(name), text.npos) << text;
}

TEST(TerminalChart, BarsAreAsLongAsTheirShare) {
  BarChart const c{"share", {{"half", 0.5, "0.5"}, {"all", 1, "1.0", true}, {"none", 0, "0.0"}}};
  EXPECT_EQ(terminal_chart(c, false, 30), "share\n  half ######### 0.5\n  all  ################# 1.0 <\n  none 0.0\n");
  EXPECT_NE(terminal_chart(c, true, 30).find("all  █████████████████ 1.0"), std::string::npos);
}

TEST(TerminalChart, AGridLeavesOutWhatIsNot) {
  GridChart const c{"g", {"a", "b"}, {1, NAN, 0.5, 0.5}};
  EXPECT_EQ(terminal_chart(c, false), "g\n  a ##\n  b oo oo\n  0 to 100 % in fifths: .  :: oo OO ##\n");
}

TEST(SvgChart, PanelsHoldEveryLineBarAndCell) {
  LineChart lines = two_lines();
  lines.lines.push_back({"", {{0, 1}, {10, 1}}, true});
  std::string const plot = svg_panel(lines).content;
  EXPECT_EQ(count(plot, "<path class=\"a\""), 1u);
  EXPECT_EQ(count(plot, "<path class=\"more dash2\""), 1u);
  EXPECT_NE(plot.find(">A one</text>"), plot.npos);
  EXPECT_NE(plot.find("10\u00a0steps"), plot.npos);
  Panel const bars = svg_panel(BarChart{"b", {{"<x>", 1, "1"}, {"y", 2, "-2", true}}});
  EXPECT_TRUE(bars.full);
  EXPECT_EQ(bars.height, 44);
  EXPECT_EQ(count(bars.content, "<rect"), 2u);
  EXPECT_NE(bars.content.find("&lt;x&gt;"), std::string::npos);
  EXPECT_NE(bars.content.find("width=\"23.00%\""), std::string::npos) << bars.content;
  EXPECT_NE(bars.content.find("\u22122"), std::string::npos);
  Panel const grid = svg_panel(GridChart{"g", {"a", "b"}, {1, NAN, 0.0, 0.5}});
  EXPECT_EQ(count(grid.content, "<rect class=\"h8\""), 2u) << "the cell and the key's";
  EXPECT_EQ(count(grid.content, "<rect"), 3u + 9u);
}

TEST(SvgChart, OnlyAMinusBecomesOne) {
  EXPECT_EQ(with_minus("1e-5"), "1e\u22125");
  EXPECT_EQ(with_minus("-0.5"), "\u22120.5");
  EXPECT_EQ(with_minus("top-p 0.9"), "top-p 0.9");
  EXPECT_EQ(with_minus("warm-up-20"), "warm-up-20");
}

TEST(SvgFile, TextIsWrappedAtBlanks) {
  EXPECT_EQ(lines_of("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(lines_of("a\u2212b c", 5), (std::vector<std::string>{"a\u2212b c"}));
  EXPECT_EQ(lines_of("", 5).size(), 0u);
  EXPECT_EQ(lines_of("longerthanfive x", 5).size(), 2u);
}

}  // namespace
}  // namespace folio::report

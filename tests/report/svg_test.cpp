#include "report/svg_file.h"

#include <gtest/gtest.h>

#include <cmath>

namespace folio::report {
namespace {

size_t count(std::string const& text, std::string const& what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++n;
  return n;
}

TEST(Svg, TicksAreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(round_step(10, 5), 2);
  EXPECT_DOUBLE_EQ(round_step(1.04e-3, 6), 2e-4);
  EXPECT_DOUBLE_EQ(round_step(5000, 6), 1000);
  EXPECT_DOUBLE_EQ(round_step(60, 6), 10);
}

TEST(Svg, AnAxisOfNumbersOutOfAllBoundsHasAFewTicksAndPlaces) {
  for (auto const& [least, most] : {std::pair{1e-320, 1.0}, {1.0, 1e308}, {1e-320, 1.7e308}, {1e308, 1e308}}) {
    Axis const a = log_axis(least, most);
    EXPECT_LE(ticks_of(a, 6).size(), 7u);
    for (double const v : {1e-320, 1.0, 1.7e308}) EXPECT_TRUE(std::isfinite(a.at(v))) << least << " " << most;
  }
}

TEST(Svg, AStraightLineIsItsEndsAndACornerStays) {
  Plot plot({0, 4}, {0, 1});
  plot.line("a", {{0, 0}, {1, 0.25}, {2, 0.5}, {3, 0.5}, {4, 0.5}});
  EXPECT_NE(plot.content(200).find("d=\"M0 1000l1000 -500l1000 0\""), std::string::npos) << plot.content(200);
}

TEST(Svg, WhatIsNotFiniteEndsALineAndWhatIsOffTheScaleStaysNearIt) {
  Plot plot({0, 4}, {0, 1});
  plot.line("a", {{0, 0}, {1, NAN}, {2, 9}, {4, 0}});
  EXPECT_NE(plot.content(200).find("d=\"M0 1000h0M1000 -50l1000 1050\""), std::string::npos) << plot.content(200);
}

TEST(Svg, EndLabelsStandApartAndInside) {
  Plot plot({0, 1}, {0, 1});
  for (int i = 0; i < 6; ++i) plot.end_label("a", 0.01 * i, "x");
  std::string const text = plot.content(300);
  EXPECT_EQ(count(text, "dx=\"8\""), 6u);
  double before = -1;
  std::string const behind = "%\" dx=\"8\"";
  for (size_t found = 0; (found = text.find(behind, found)) != text.npos; found += behind.size()) {
    double const at = std::stod(text.substr(text.rfind("y=\"", found) + 3)) * 3;  // px
    EXPECT_GE(at - before, before < 0 ? 0 : 14.9);
    EXPECT_LE(at, 300);
    before = at;
  }
}

TEST(Svg, AFileEscapesWhatItIsToldAndFetchesNothing) {
  Plot plot({0, 1}, {0, 1});
  plot.y_tick(0, "<0>");
  plot.line("a", {{0, 0}, {1, 1}});
  std::string const file = svg_file({.title = "a < b & \"c\"",
                                     .subtitle = "s",
                                     .description = "d",
                                     .panels = {{.content = plot.content(280), .caption = "x > y"}},
                                     .tables = {{.heads = {"name", "n"}, .rows = {{"a", {"<script>", "1"}}}}},
                                     .notes = {"]]>"}});
  EXPECT_NE(file.find("x &gt; y"), file.npos);
  EXPECT_NE(file.find("a &lt; b &amp; &quot;c&quot;"), file.npos);
  EXPECT_EQ(file.find("<script"), file.npos);
  EXPECT_EQ(count(file, "]]>"), 1u);
  EXPECT_EQ(count(file, "http"), 1u) << "the name space alone";
  EXPECT_EQ(count(file, "<svg"), count(file, "</svg>"));
}

}  // namespace
}  // namespace folio::report

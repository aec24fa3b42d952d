// Charts as panels of an SVG file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/chart.h"
#include "report/html.h"

namespace folio::report {
namespace {

constexpr int kBarRow = 22, kGridRow = 24;
constexpr double kBarsFrom = 0.32, kBarsWidth = 0.46, kGridFrom = 0.26;

std::string percent(double share) { return fmt::format("{:.2f}%", 100 * share); }

std::string text_at(std::string const& kind, double x, int y, std::string const& text, int dx = 0) {
  return fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" dx=\"{}\">{}</text>", kind, percent(x), y, dx,
                     escape_html(with_minus(text)));
}

}  // namespace

Panel svg_panel(LineChart const& c) {
  static constexpr char const* kKeys[] = {"a", "b", "c", "d", "more", "more dash1", "more dash2", "more dash3"};
  Scales const s = scales_of(c);
  Plot plot({0, 1}, {0, 1});
  if (s.y_ticks.empty() || s.y_ticks[0].at > 0) plot.y_tick(0, "");
  for (Scales::Tick const& t : s.y_ticks) plot.y_tick(t.at, with_minus(t.label));
  for (size_t i = 0; i < s.x_ticks.size(); ++i) {
    Scales::Tick const& t = s.x_ticks[i];
    bool const last = i + 1 == s.x_ticks.size();
    plot.x_tick(t.at, with_minus(t.label) + (last && !c.x_unit.empty() ? "\u00a0" + c.x_unit : ""),
                !last && (i % 2 == 1 || t.at > 0.72));
  }
  std::vector<std::string> keys;
  size_t named = 0;
  for (ChartLine const& line : c.lines)
    keys.push_back(line.background ? "more dash2" : kKeys[std::min(named++, std::size(kKeys) - 1)]);
  for (size_t l = s.lines.size(); l-- > 0;) plot.line(keys[l], s.lines[l]);  // the first on top
  for (size_t l = 0; l < s.lines.size(); ++l) {
    if (s.names[l].empty()) continue;
    auto const last = std::find_if(s.lines[l].rbegin(), s.lines[l].rend(), [](Point p) { return std::isfinite(p.y); });
    if (last != s.lines[l].rend()) plot.end_label(keys[l], last->y, s.names[l]);
    if (!c.lines[l].background && std::isfinite(s.letters[l].x))
      plot.on_line(keys[l], s.letters[l], s.names[l].substr(0, 1));
  }
  constexpr int kHeight = 240;
  return {.content = plot.content(kHeight), .height = kHeight, .caption = c.caption};
}

Panel svg_panel(BarChart const& c) {
  double most = c.most;
  for (Bar const& b : c.bars)
    if (c.most == 0) most = std::max(most, b.value);
  std::string out;
  int y = 0;
  for (Bar const& b : c.bars) {
    double const width = std::clamp(b.value / std::max(most, 1e-300), 0.0, 1.0) * kBarsWidth;
    out += text_at(b.strong ? "cell" : "", 0, y + 13, b.label) +
           fmt::format("<rect class=\"bar{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"14\"/>",
                       b.strong ? " strong" : "", percent(kBarsFrom), y + 2, percent(width)) +
           text_at("cell", kBarsFrom + width, y + 13, b.text, 8) + "\n";
    y += kBarRow;
  }
  return {.content = out, .height = y, .caption = c.caption, .full = true};
}

Panel svg_panel(GridChart const& c) {
  size_t const columns = c.columns();
  double const width = (1 - kGridFrom) / double(columns);
  std::string out;
  int y = 0;
  for (size_t r = 0; r < c.rows.size(); ++r, y += kGridRow) {
    out += text_at("", 0, y + 16, c.rows[r]);
    for (size_t k = 0; k < columns; ++k) {
      double const v = c.shares[r * columns + k];
      if (std::isnan(v)) continue;
      out += fmt::format("<rect class=\"h{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                         int(std::clamp(v * 9, 0.0, 8.0)), percent(kGridFrom + width * double(k)), y, percent(width),
                         kGridRow);
    }
    out += "\n";
  }
  for (size_t k = 0; k < columns; ++k)
    out += text_at("m", kGridFrom + width * (double(k) + 0.5), y + 14, std::to_string(k + 1));
  y += 26;
  for (int i = 0; i < 9; ++i)
    out += fmt::format("<rect class=\"h{}\" x=\"{}\" y=\"{}\" width=\"4%\" height=\"12\"/>", i,
                       percent(kGridFrom + 0.04 * i), y);
  out += text_at("e", kGridFrom, y + 11, "0 %", -8) + text_at("", kGridFrom + 0.36, y + 11, "100 %", 8) + "\n";
  return {.content = out, .height = y + 14, .caption = c.caption, .full = true};
}

}  // namespace folio::report

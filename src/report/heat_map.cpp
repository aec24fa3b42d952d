#include "report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/html.h"

namespace folio::report {
namespace {

constexpr int kClasses = 9;

double two_digits(double v) {
  double const unit = std::pow(10, std::floor(std::log10(v)) - 1);
  return std::round(v / unit) * unit;
}

}  // namespace

int HeatScale::class_of(double v) const {
  if (!std::isfinite(v)) return -1;
  if (v <= low) return 0;
  return std::clamp(int(kClasses * std::log(v / low) / std::log(high / low)), 0, kClasses - 1);
}

HeatScale heat_scale(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v) || v <= 0; });
  if (values.empty()) return {};
  std::ranges::sort(values);
  auto const at = [&](double share) { return values[size_t(share * double(values.size() - 1))]; };
  HeatScale scale{two_digits(at(0.01)), two_digits(at(0.99))};
  if (scale.high < 2 * scale.low) scale.low /= 1.5, scale.high = std::max(scale.high * 1.5, 2 * scale.low);
  return scale;
}

std::string legend_of(HeatScale const& scale, std::string const& text) {
  double const step = std::pow(scale.high / scale.low, 1.0 / kClasses);
  std::string out = fmt::format("<div class=\"scale\"><span>{}</span><span>under {}</span><span>", escape_html(text),
                                short_text(scale.low * step));
  for (int c = 0; c < kClasses; ++c) out += fmt::format("<i style=\"--k:var(--q{})\"></i>", c);
  return out + fmt::format(
                   "</span><span>over {}</span><span>nine equal steps of the logarithm, the same for every "
                   "run</span></div>\n",
                   short_text(scale.high / step));
}

std::string content_of(HeatMap const& map, HeatScale const& scale) {
  size_t const rows = map.rows.size(), n = rows ? map.values[0].size() : 0;
  std::string out = fmt::format(
      "<svg class=\"cells\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">",
      std::max<size_t>(n, 1), std::max<size_t>(rows, 1));
  std::array<std::string, kClasses> paths;
  for (size_t row = 0; row < rows; ++row) {
    auto const& v = map.values[row];
    for (size_t i = 0, end; i < n; i = end) {  // equal neighbours are one rectangle
      int const of = scale.class_of(v[i]);
      for (end = i + 1; end < n && scale.class_of(v[end]) == of;) ++end;
      if (of >= 0) paths[size_t(of)] += fmt::format("M{} {}h{}v1h-{}z", i, rows - 1 - row, end - i, end - i);
    }
  }
  for (int c = 0; c < kClasses; ++c)
    if (!paths[size_t(c)].empty())
      out += fmt::format("<path style=\"fill:var(--q{})\" d=\"{}\"/>", c, paths[size_t(c)]);
  out += "</svg>\n";
  size_t const every = rows / 16 + 1;  // names that would stand on each other are left out
  for (size_t row = 0; row < rows; ++row) {
    if ((rows - 1 - row) % every) continue;
    double const y = 100 * (double(rows - 1 - row) + 0.5) / double(rows);
    out += fmt::format("<text class=\"e\" y=\"{:.2f}%\" dx=\"-6\" dy=\"4\">{}</text>", y, escape_html(map.rows[row]));
    if (n > 0)
      out += fmt::format("<text x=\"100%\" y=\"{:.2f}%\" dx=\"6\" dy=\"4\">{}</text>", y,
                         short_text(map.values[row].back()));
  }
  for (auto const& [at, label] : map.ticks)
    if (at >= map.first && at <= map.last)
      out += fmt::format("<text class=\"m\" x=\"{:.2f}%\" y=\"100%\" dy=\"18\">{}</text>",
                         100 * (at - map.first) / (map.last - map.first), escape_html(label));
  return out;
}

}  // namespace folio::report

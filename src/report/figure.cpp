#include "report/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "report/html.h"
#include "report/pieces.h"
#include "report/table.h"
#include "report/words.h"

namespace folio::report {
namespace {

std::string number(double v) { return std::isfinite(v) ? fmt::format("{:.4g}", v) : "null"; }
std::string text(std::string const& s) { return dump(Json(s)); }

// A grid of equal steps as {first, step, count}; else every place.
std::string grid_text(std::vector<double> const& xs) {
  double const step = xs.size() > 1 ? (xs.back() - xs.front()) / double(xs.size() - 1) : 0;
  bool even = xs.size() > 2;
  for (size_t i = 0; i < xs.size() && even; ++i)
    even = std::abs(xs.front() + step * double(i) - xs[i]) <= 0.02 * std::abs(step);
  if (even) return fmt::format("{{\"from\":{:.7g},\"by\":{:.9g},\"n\":{}}}", xs.front(), step, xs.size());
  std::string out = "[";
  for (double const x : xs) out += fmt::format("{}{:.6g}", out.size() > 1 ? "," : "", x);
  return out + "]";
}

std::string place_text(std::string const& form, double x) {
  if (form == "tokens") return count_text(x) + kBlank + "tokens";
  if (form == "time") return time_text(x);
  return fmt::format("{} {}", form, grouped(std::llround(x)));
}
std::string value_text(std::string const& form, double v) {
  return form == "loss"    ? loss_text(v)
         : form == "rate"  ? rate_text(v)
         : form == "count" ? count_text(v)
                           : short_text(v);
}

}  // namespace

void Figure::read_out(std::string const& key, std::string const& letter, std::string const& name,
                      std::vector<Point> const& points) {
  if (points.empty()) return;
  Series s{key, letter, name, 0, {}};
  std::vector<double> xs;
  for (Point const p : points) xs.push_back(p.x), s.values.push_back(p.y);
  s.grid = size_t(std::ranges::find(grids_, xs) - grids_.begin());
  if (s.grid == grids_.size()) grids_.push_back(std::move(xs));
  series_.push_back(std::move(s));
}

std::string Figure::data() const {
  Axis const &x = plot.x(), &y = plot.y();
  std::string out = fmt::format("{{\"x\":[{:.7g},{:.7g}],\"y\":[{},{:.6g},{:.6g}],\"form\":{},\"grids\":[", x.low,
                                x.high, y.log ? 1 : 0, y.low, y.high, text(words_.y));
  for (size_t i = 0; i < grids_.size(); ++i) out += (i ? "," : "") + grid_text(grids_[i]);
  out += "],\"series\":[";
  for (size_t i = 0; i < series_.size(); ++i) {
    Series const& s = series_[i];
    out += fmt::format("{}[{},{},{},{},[", i ? "," : "", text(s.key), text(s.letter), text(s.name), s.grid);
    for (size_t k = 0; k < s.values.size(); ++k) out += (k ? "," : "") + number(s.values[k]);
    out += "]]";
  }
  return out + "]}";
}

std::string Figure::at_rest() const {  // the last values
  std::string out = fmt::format("<span><b>{}</b></span>", place_text(words_.x, plot.x().high)), run;
  for (Series const& s : series_) {
    auto const known =
        std::ranges::find_if(s.values.rbegin(), s.values.rend(), [](double v) { return std::isfinite(v); });
    if (known == s.values.rend()) continue;
    out += fmt::format("<span>{}{} <b>{}</b></span>", s.letter != run ? chip(s.key, s.letter) : "", escape_html(s.name),
                       value_text(words_.y, *known));
    run = s.letter;
  }
  return out;
}

std::string Figure::markup() const {
  Words const& w = words_;
  std::string const id = escape_html(w.id);
  std::string out =
      fmt::format("<figure{} id=\"{}\" data-x=\"{}\"><figcaption><h3>{}{}</h3></figcaption>",
                  w.classes.empty() ? "" : fmt::format(" class=\"{}\"", w.classes), id, w.x, escape_html(w.head),
                  w.unit.empty() ? "" : fmt::format(" <span class=\"unit\">{}</span>", escape_html(w.unit)));
  if (!w.small) out += fmt::format("<output aria-live=\"off\">{}</output>", at_rest());
  out +=
      fmt::format("\n<div class=\"plot\" style=\"--h:{}px\"{}>", w.height,
                  w.small ? ""
                          : fmt::format(" tabindex=\"0\" role=\"group\" aria-label=\"{}: arrow keys move the cursor\"",
                                        escape_html(w.head)));
  out += drawing(w.id, w.head, w.description, plot.content(std::min(w.height, 250)));
  return out + "</div>\n<script type=\"application/json\">" + escape_json(data()) + "</script>" + table + "</figure>\n";
}

}  // namespace folio::report

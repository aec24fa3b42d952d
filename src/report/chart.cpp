#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/table.h"

namespace folio::report {
namespace {

double level(double v, bool logarithmic) { return logarithmic ? (v > 0 ? std::log10(v) : NAN) : v; }

struct Range {
  double low = INFINITY, high = -INFINITY;
  void take(double v) {
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
};

Axis y_axis(LineChart const& c, Range r) {
  if (!c.log_y && r.low >= 0) r.low = 0;
  double const room = 0.04 * (r.high - r.low);
  if (r.low != 0 || c.log_y) r.low -= room;
  r.high += room;
  if (c.low) r.low = level(*c.low, c.log_y);
  if (c.high) r.high = level(*c.high, c.log_y);
  return {r.low, r.high > r.low ? r.high : r.low + 1};
}

// 0.02, 500, 5,000, 1e-5: a tick is 1, 1.5, 2, 3, 4, 5 or 7 times a power of ten where it is as small or large as that.
std::string number(double v) {
  if (std::abs(v) >= 1000 && std::abs(v) < 1e7 && v == std::round(v)) return grouped(std::llround(v));
  if (v == 0 || (std::abs(v) < 1e5 && std::abs(v) >= 9e-4)) return fmt::format("{:.6g}", v);
  double const decade = std::floor(std::log10(std::abs(v)) + 1e-9);
  return fmt::format("{:.3g}e{:.0f}", v / std::pow(10, decade), decade);
}

std::vector<Scales::Tick> ticks(Axis a, bool logarithmic, double most, std::string (*label)(double)) {
  std::vector<Scales::Tick> out;
  auto const add = [&](double v) {
    double const at = a.at(level(v, logarithmic));
    if (at > -1e-9 && at < 1 + 1e-9) out.push_back({std::clamp(at, 0.0, 1.0), label ? label(v) : number(v)});
  };
  double const range = a.high - a.low;
  if (logarithmic && range < 2) {
    bool const few = range < 0.9;
    for (double decade = std::floor(a.low); decade <= a.high; ++decade)
      for (double const m : few ? std::vector<double>{1, 1.5, 2, 3, 4, 5, 7} : std::vector<double>{1, 2, 5})
        add(m * std::pow(10, decade));
  } else if (logarithmic) {
    double const step = std::max(1.0, std::ceil(range / most));
    for (double decade = std::ceil(a.low / step) * step; decade <= a.high; decade += step) add(std::pow(10, decade));
  } else {
    double const step = round_step(range, most);
    for (double i = std::ceil(a.low / step - 1e-9); i * step <= a.high + 1e-9 * range; ++i) add(i * step + 0.0);
  }
  return out;
}

// Where each line is furthest from the others, and from the letters that stand already.
std::vector<Point> places(LineChart const& c, std::vector<std::vector<Point>> const& lines) {
  constexpr size_t kPlaces = 60;
  auto const sampled = [&](std::vector<Point> const& line) {
    std::vector<Point> some;
    for (size_t i = 0; i <= kPlaces && line.size() > 1; ++i) {
      double const at = double(i) * double(line.size() - 1) / kPlaces;
      size_t const k = std::min(size_t(at), line.size() - 2);
      Point const a = line[k], b = line[k + 1];
      some.push_back({a.x + (b.x - a.x) * (at - double(k)), a.y + (b.y - a.y) * (at - double(k))});
    }
    std::erase_if(some, [](Point p) { return !(p.y >= 0 && p.y <= 1 && p.x >= 0 && p.x <= 1); });
    return some;
  };
  auto const apart = [](Point a, Point b) { return std::hypot(a.x - b.x, 0.5 * (a.y - b.y)); };
  std::vector<std::vector<Point>> all;
  for (auto const& line : lines) all.push_back(sampled(line));
  std::vector<Point> letters;
  for (size_t l = 0; l < lines.size(); ++l) {
    Point best{NAN, NAN};
    double most = -1;
    for (Point const p : all[l]) {
      if (p.x < 0.06 || p.x > 0.94) continue;
      double room = 0.3;
      for (size_t other = 0; other < lines.size(); ++other)
        for (Point const q : all[other])
          if (other != l && !c.lines[other].background) room = std::min(room, apart(p, q));
      double from_letters = 0.3;  // of lines that are one, the letters stand apart at least
      for (Point const q : letters) from_letters = std::min(from_letters, apart(p, q));
      room = std::min(room, from_letters) + 0.1 * from_letters;
      if (room > most + 1e-9) most = room, best = p;
    }
    letters.push_back(best);
  }
  return letters;
}

}  // namespace

std::string with_minus(std::string text) {
  for (size_t at = 0; (at = text.find('-', at)) != text.npos; ++at) {
    bool const number = at + 1 < text.size() && (std::isdigit(static_cast<unsigned char>(text[at + 1])) != 0);
    bool const begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == 'e';
    if (number && begins) text.replace(at, 1, "\u2212");
  }
  return text;
}

Scales scales_of(LineChart const& c) {
  Range x, y;
  for (ChartLine const& line : c.lines)
    for (Point const p : line.points) x.take(level(p.x, c.log_x)), y.take(level(p.y, c.log_y));
  check(std::isfinite(x.low) && std::isfinite(y.low), "a chart of \"{}\" without a point that can be drawn", c.caption);
  Scales s{{x.low, x.high > x.low ? x.high : x.low + 1}, y_axis(c, y), {}, {}, {}, {}, {}};
  s.x_ticks = ticks(s.x, c.log_x, 6, nullptr), s.y_ticks = ticks(s.y, c.log_y, 6, c.y_label);
  size_t named = 0;
  for (ChartLine const& line : c.lines) {
    named += !line.background;
    std::vector<Point> points;
    for (Point const p : line.points) points.push_back({s.x.at(level(p.x, c.log_x)), s.y.at(level(p.y, c.log_y))});
    s.lines.push_back(std::move(points));
  }
  char letter = 'A';
  for (ChartLine const& line : c.lines)
    s.names.push_back(line.background || named == 1 ? line.name : fmt::format("{} {}", letter++, line.name));
  s.letters = named > 1 ? places(c, s.lines) : std::vector<Point>(c.lines.size(), Point{NAN, NAN});
  return s;
}

}  // namespace folio::report

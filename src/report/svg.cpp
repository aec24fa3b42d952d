#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/words.h"

namespace folio::report {
namespace {

constexpr double kWidth = 2000, kHeight = 1000;
constexpr double kApart = 15;  // px between end labels

std::string percent(double share) { return fmt::format("{:.2f}%", 100 * share); }

// Whether b lies on the way from a to c.
template <class Spot>
bool straight(Spot a, Spot b, Spot c) {
  return (b.x - a.x) * (c.y - b.y) == (b.y - a.y) * (c.x - b.x) && (b.y - a.y) * (c.y - b.y) >= 0;
}

template <class Spot>
std::string path_of(std::vector<Spot> const& spots, char first = 'M') {
  std::string out = fmt::format("{}{} {}", first, spots[0].x, spots[0].y);
  if (spots.size() == 1) return out + "h0";
  for (size_t i = 1, from = 0; i < spots.size(); ++i) {
    if (i + 1 < spots.size() && straight(spots[from], spots[i], spots[i + 1])) continue;
    out += fmt::format("l{} {}", spots[i].x - spots[from].x, spots[i].y - spots[from].y);
    from = i;
  }
  return out;
}

// Moves the places, which are sorted, apart to at least `gap`, and into 0 to 1 as far as there is room.
void spread(std::vector<double*> const& places, double gap) {
  for (size_t i = 1; i < places.size(); ++i) *places[i] = std::max(*places[i], *places[i - 1] + gap);
  double most = 1;
  for (size_t i = places.size(); i-- > 0; most = *places[i] - gap) *places[i] = std::min(*places[i], most);
}

// Of 1-2-5 or a denser or sparser choice in each decade, those that lie on the axis.
std::vector<double> log_ticks(Axis const& a, std::vector<double> const& of_decade, int every) {
  std::vector<double> all;
  int const first = int(std::floor(std::log10(a.low))), last = int(std::ceil(std::log10(a.high)));
  for (int decade = first; decade <= last; ++decade)
    for (double const m : of_decade)
      if (double const v = m * std::pow(10, decade);
          decade % every == 0 && v >= a.low * (1 - 1e-9) && v <= a.high * (1 + 1e-9))
        all.push_back(v);
  return all;
}

}  // namespace

double Axis::at(double v) const {
  if (!log) return (v - low) / (high - low);
  return v > 0 ? (std::log(v) - std::log(low)) / (std::log(high) - std::log(low)) : -1e9;
}

double round_step(double range, double most) {
  double const rough = range / most, decade = std::pow(10, std::floor(std::log10(rough)));
  for (double const m : {1.0, 2.0, 5.0})
    if (m * decade >= rough * (1 - 1e-9)) return m * decade;
  return 10 * decade;
}

std::vector<double> ticks_of(Axis const& a, double most) {
  std::vector<double> all;
  if (a.log) {
    static std::vector<double> const kDense = {1, 1.5, 2, 3, 4, 5, 7}, kHalf = {1, 1.5, 2, 3, 5, 7}, kUsual = {1, 2, 5};
    for (auto const& of_decade : {kDense, kHalf, kUsual, {1, 3}, {1}})
      if (all = log_ticks(a, of_decade, 1); double(all.size()) <= most + 1) break;
    for (int every = 2; double(all.size()) > most + 1; ++every) all = log_ticks(a, {1}, every);
    if (all.size() >= 2) return all;
    all.clear();  // an axis too short for round numbers
  }
  double const step = round_step(a.high - a.low, most);
  for (double i = std::ceil(a.low / step - 1e-9); i * step <= a.high + 1e-9 * step; ++i) all.push_back(i * step);
  return all;
}

Axis log_axis(double least, double most) {
  constexpr double kFarthest = 1e150;  // so that the ratio of the ends is finite
  least = std::clamp(least, 1 / kFarthest, kFarthest), most = std::clamp(most, 1 / kFarthest, kFarthest);
  double const room = std::max(std::pow(most / least, 0.04), 1.02);
  return {least / room, most * room, true};
}

void Plot::x_tick(double at, std::string const& label, bool wide) {
  std::string const x = percent(x_.at(at));
  back_ += fmt::format(
      "<svg x=\"{}\" y=\"100%\" width=\"1\" height=\"1\" overflow=\"visible\"><line class=\"tick\" y2=\"5\"/></svg>",
      x);
  over_ += fmt::format("<text class=\"m{}\" x=\"{}\" y=\"100%\" dy=\"19\">{}</text>", wide ? " wide" : "", x,
                       escape_html(label));
}

void Plot::y_tick(double at, std::string const& label) {
  std::string const y = percent(1 - y_.at(at));
  back_ +=
      fmt::format("<line class=\"{}\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", at == y_.low ? "axisline" : "gridline", y, y);
  over_ += fmt::format("<text class=\"e\" y=\"{}\" dx=\"-8\" dy=\"4\">{}</text>", y, escape_html(label));
}

Plot::Spot Plot::spot(double x, double y) const {
  double const up = std::clamp(y_.at(y), -0.05, 1.05);
  return {std::llround(std::clamp(x_.at(x), -0.05, 1.05) * kWidth), std::llround((1 - up) * kHeight)};
}

void Plot::line(std::string const& key, std::vector<Point> const& points) {
  std::string d;
  std::vector<Spot> spots;
  auto const end = [&] {
    if (!spots.empty()) d += path_of(spots);
    spots.clear();
  };
  for (Point const p : points) {
    if (std::isfinite(p.y)) spots.push_back(spot(p.x, p.y));
    else end();
  }
  end();
  if (!d.empty()) inner_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", key, d);
}

void Plot::ticks(double most_up, std::vector<std::pair<double, std::string>> const& along) {
  back_ += "<line class=\"axisline\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/>";
  for (double const v : ticks_of(y_, most_up)) y_tick(v, tick_text(v));
  for (size_t i = 0; i < along.size(); ++i)
    x_tick(along[i].first, along[i].second, along.size() >= 5 && i % 2 == 1 && i + 1 < along.size());
}

void Plot::dots(std::string const& key, std::vector<Point> const& points) {
  std::string d;
  for (Point const p : points)
    if (Spot const s = spot(p.x, p.y); std::isfinite(p.y)) d += fmt::format("M{} {}h0", s.x, s.y);
  if (!d.empty()) inner_ += fmt::format("<path class=\"{} dots\" d=\"{}\"/>\n", key, d);
}

void Plot::band(std::string const& key, std::vector<Span> const& spans) {
  std::string d;
  std::vector<Spot> up, down;
  auto const end = [&] {
    std::ranges::reverse(down);
    if (!up.empty()) d += path_of(up) + path_of(down, 'L') + "z";
    up.clear(), down.clear();
  };
  for (Span const s : spans) {
    if (std::isfinite(s.low) && std::isfinite(s.high))
      up.push_back(spot(s.x, s.high)), down.push_back(spot(s.x, s.low));
    else end();
  }
  end();
  if (!d.empty()) inner_ += fmt::format("<path class=\"shade {}\" d=\"{}\"/>\n", key, d);
}

void Plot::reference(double y) {
  std::string const at = percent(1 - y_.at(y));
  back_ += fmt::format("<line class=\"ref\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", at, at);
}

void Plot::usual(double low, double high) {
  double const top = 1 - std::clamp(y_.at(high), 0.0, 1.0), foot = 1 - std::clamp(y_.at(low), 0.0, 1.0);
  back_ =
      fmt::format("<rect class=\"usual\" y=\"{}\" width=\"100%\" height=\"{}\"/>", percent(top), percent(foot - top)) +
      back_;
}

void Plot::event(double x) {
  std::string const at = percent(x_.at(x));
  back_ += fmt::format("<line class=\"at\" x1=\"{}\" x2=\"{}\" y1=\"5%\" y2=\"100%\"/>", at, at);
}

void Plot::notch(std::string const& key, double x) {
  over_ += fmt::format(
      "<svg x=\"{}\" y=\"100%\" width=\"1\" height=\"1\" overflow=\"visible\"><path class=\"notch {}\" d=\"M0 -10L-4 "
      "-1H4Z\"/></svg>",
      percent(x_.at(x)), key);
}

void Plot::ring(std::string const& key, Point at) {
  over_ += fmt::format("<circle class=\"ring {}\" cx=\"{}\" cy=\"{}\" r=\"5\"/>", key, percent(x_.at(at.x)),
                       percent(1 - std::clamp(y_.at(at.y), 0.0, 1.0)));
}

void Plot::cross(std::string const& key, double x) {
  over_ += fmt::format(
      "<svg x=\"{}\" y=\"0\" width=\"1\" height=\"1\" overflow=\"visible\"><path class=\"cross {}\" d=\"M-5 -5L5 "
      "5M5 -5L-5 5\"/></svg>",
      percent(x_.at(x)), key);
}

void Plot::say(Place at, std::string const& text, std::string const& classes) {
  over_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" dx=\"{}\" dy=\"{}\">{}</text>", classes, percent(at.x),
                       percent(at.y), at.dx, at.dy, escape_html(text));
}

void Plot::on_line(std::string const& key, Point at, std::string const& text) {
  over_ += fmt::format("<text class=\"key on-line m {}\" x=\"{}\" y=\"{}\" dy=\"4\">{}</text>", key,
                       percent(x_.at(at.x)), percent(1 - y_.at(at.y)), escape_html(text));
}

void Plot::end_label(std::string const& key, double y, std::string const& text) {
  ends_.push_back({std::clamp(1 - y_.at(y), 0.0, 1.0), key, text});
}

std::string Plot::content(int height) const {
  std::vector<End> ends = ends_;
  std::ranges::stable_sort(ends, {}, &End::at);
  std::vector<double*> places;
  for (End& e : ends) places.push_back(&e.at);
  spread(places, kApart / height);
  std::string out = back_ +
                    fmt::format(
                        "\n<svg class=\"inner\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" width=\"100%\" "
                        "height=\"100%\" overflow=\"visible\">\n",
                        kWidth, kHeight) +
                    inner_ + "</svg>\n" + over_;
  for (End const& e : ends)
    out += fmt::format("<text class=\"key {}\" x=\"100%\" y=\"{}\" dx=\"8\" dy=\"4\">{}</text>", e.key, percent(e.at),
                       escape_html(e.text));
  return out;
}

}  // namespace folio::report

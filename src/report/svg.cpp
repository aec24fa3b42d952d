#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"

namespace folio::report {
namespace {

constexpr double kWidth = 2000, kHeight = 1000;
constexpr double kApart = 15;  // px between end labels

std::string percent(double share) { return fmt::format("{:.2f}%", 100 * share); }

struct Spot {
  int64_t x, y;
};

// Whether b lies on the way from a to c.
bool straight(Spot a, Spot b, Spot c) {
  return (b.x - a.x) * (c.y - b.y) == (b.y - a.y) * (c.x - b.x) && (b.y - a.y) * (c.y - b.y) >= 0;
}

std::string path_of(std::vector<Spot> const& spots) {
  std::string out = fmt::format("M{} {}", spots[0].x, spots[0].y);
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

}  // namespace

double round_step(double range, double most) {
  double const rough = range / most, decade = std::pow(10, std::floor(std::log10(rough)));
  for (double const m : {1.0, 2.0, 5.0})
    if (m * decade >= rough * (1 - 1e-9)) return m * decade;
  return 10 * decade;
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

void Plot::line(std::string const& key, std::vector<Point> const& points) {
  std::string d;
  std::vector<Spot> spots;
  auto const end = [&] {
    if (!spots.empty()) d += path_of(spots);
    spots.clear();
  };
  for (Point const p : points) {
    if (!std::isfinite(p.y)) {
      end();
      continue;
    }
    double const y = std::clamp(y_.at(p.y), -0.05, 1.05);
    spots.push_back({std::llround(x_.at(p.x) * kWidth), std::llround((1 - y) * kHeight)});
  }
  end();
  if (!d.empty()) inner_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", key, d);
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

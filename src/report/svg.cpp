#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "embedded/kLookSheet.h"
#include "report/html.h"

namespace folio::report {
namespace {

constexpr double kWidth = 2000, kHeight = 1000;
constexpr double kApart = 15;  // px between end labels

// Of a file by itself, whose margins are in per cent.
constexpr char const* kFileSheet =
    ":root { background:var(--paper); max-width:920px; }\n"
    "svg text.title { font:600 19px/1.2 var(--serif); fill:var(--ink); } svg text.cell { fill:var(--ink); }\n"
    "@media screen and (max-width:640px) { svg text.title { font-size:17px; } }\n";

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

namespace {

std::string table_of(SvgFile const& f, int top) {
  std::string out;
  auto const row = [&](std::vector<std::string> const& cells, int y, std::string const& key, bool head) {
    for (size_t c = 0; c < cells.size(); ++c) {
      double const x = c == 0 ? 0 : 1 - 0.135 * double(cells.size() - 1 - c);
      out += fmt::format("<text class=\"{}{}\" x=\"{}\" y=\"{}\">{}</text>", c > 0 ? "e " : "",
                         head     ? std::string("head")
                         : c == 0 ? "key " + key
                                  : "cell",
                         percent(x), y, escape_html(cells[c]));
    }
    out += fmt::format("<line class=\"{}\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>\n", head ? "axisline" : "gridline", y + 6,
                       y + 6);
  };
  row(f.heads, top, "", true);
  for (SvgFile::Row const& r : f.rows) row(r.cells, top += 21, r.key, false);
  return out;
}

}  // namespace

std::string svg_file(SvgFile const& f, Plot const& plot) {
  constexpr int kTop = 76;
  int const table = kTop + f.height + 56, notes = table + (f.heads.empty() ? 0 : 21 * int(f.rows.size()) + 30);
  int const height = notes + 17 * int(f.notes.size()) + 4;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" height=\"{}\" role=\"img\" aria-labelledby=\"t d\">\n"
      "<title id=\"t\">{}</title><desc id=\"d\">{}</desc>\n<style><![CDATA[\n{}{}]]></style>\n",
      height, escape_html(f.title), escape_html(f.description), kLookSheet, kFileSheet);
  out += fmt::format(
      "<text class=\"title\" x=\"4%\" y=\"30\">{}</text><text x=\"4%\" y=\"51\">{}</text>\n"
      "<svg x=\"13%\" y=\"{}\" width=\"60%\" height=\"{}\" overflow=\"visible\">",
      escape_html(f.title), escape_html(f.subtitle), kTop, f.height);
  out += plot.content(f.height) + "</svg>\n";
  if (!f.heads.empty()) out += "<svg x=\"4%\" width=\"92%\" overflow=\"visible\">" + table_of(f, table) + "</svg>\n";
  for (size_t i = 0; i < f.notes.size(); ++i)
    out += fmt::format("<text x=\"4%\" y=\"{}\">{}</text>\n", notes + 17 * int(i), escape_html(f.notes[i]));
  return out + "</svg>\n";
}

}  // namespace folio::report

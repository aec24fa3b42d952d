// Charts in the terminal: braille (2 × 4 dots a cell), blocks and shades; letters and # without UTF-8.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/braille.h"
#include "report/chart.h"
#include "report/table.h"

namespace folio::report {
namespace {

constexpr int kMargin = 7;  // columns of the numbers on the left

class Canvas {
 public:
  Canvas(int columns, int rows, bool utf8)
      : columns_(columns), rows_(rows), utf8_(utf8), dots_(size_t(columns * rows)), letters_(size_t(columns * rows)) {}
  int width() const { return utf8_ ? kDotsAcross * columns_ : columns_; }
  int height() const { return utf8_ ? kDotsDown * rows_ : rows_; }

  void dot(int x, int y, char letter) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    if (utf8_) dots_[size_t(y / kDotsDown * columns_ + x / kDotsAcross)] |= kDots[y % kDotsDown][x % kDotsAcross];
    else letters_[size_t(y * columns_ + x)] = letter;
  }
  void letter(Point at, char letter) {
    if (!std::isfinite(at.x)) return;
    int const x = std::clamp(int(at.x * columns_), 0, columns_ - 1);
    int const y = std::clamp(int((1 - at.y) * rows_), 0, rows_ - 1);
    letters_[size_t(y * columns_ + x)] = letter;
  }
  void line(Point from, Point to, char letter) {
    if (!std::isfinite(from.y) || !std::isfinite(to.y)) return;
    double const x0 = from.x * (width() - 1), x1 = to.x * (width() - 1), y0 = (1 - from.y) * (height() - 1),
                 y1 = (1 - to.y) * (height() - 1);
    int const steps = std::min(10000, 1 + int(std::max(std::abs(x1 - x0), std::abs(y1 - y0))));
    for (int i = 0; i <= steps; ++i) {
      double const share = double(i) / steps;
      dot(int(std::lround(x0 + (x1 - x0) * share)), int(std::lround(y0 + (y1 - y0) * share)), letter);
    }
  }
  std::string row(int r) const {
    std::string out;
    for (int c = 0; c < columns_; ++c) {
      size_t const at = size_t(r * columns_ + c);
      out += letters_[at] ? std::string(1, letters_[at]) : braille(dots_[at]);
    }
    return out;
  }

 private:
  int columns_, rows_;
  bool utf8_;
  std::vector<uint8_t> dots_;
  std::vector<char> letters_;
};

std::string caption_of(std::string const& caption, size_t width) {
  std::string out;
  for (std::string const& line : lines_of(caption, width)) out += line + "\n";
  return out;
}

// Names at the right end, a row each, as near as may be to where their line ends.
std::vector<std::string> ends(LineChart const& c, Scales const& s) {
  struct End {
    double at;
    std::string text;
  };
  std::vector<End> all;
  for (size_t l = 0; l < s.lines.size(); ++l) {
    if (s.names[l].empty()) continue;
    auto last = std::find_if(s.lines[l].rbegin(), s.lines[l].rend(), [](Point p) { return std::isfinite(p.y); });
    if (last != s.lines[l].rend()) all.push_back({(1 - std::clamp(last->y, 0.0, 1.0)) * (c.rows - 1), s.names[l]});
  }
  std::ranges::stable_sort(all, {}, &End::at);
  std::vector<std::string> rows(size_t(c.rows));
  int next = 0, left = int(all.size());
  for (End const& e : all) {
    int const row = std::clamp(int(std::lround(e.at)), next, std::max(next, c.rows - left));
    if (row < c.rows) rows[size_t(row)] = e.text;
    next = row + 1, left -= 1;
  }
  return rows;
}

std::string axis_of(LineChart const& c, Scales const& s, int columns, bool utf8) {
  std::string line(size_t(kMargin) + 1, ' '), numbers = line + ' ';
  line += utf8 ? "└" : "+";
  for (int i = 0; i < columns; ++i) line += utf8 ? "─" : "-";
  for (size_t i = 0; i < s.x_ticks.size(); ++i) {
    bool const last = i + 1 == s.x_ticks.size();
    std::string const text = s.x_ticks[i].label + (last && !c.x_unit.empty() ? " " + c.x_unit : "");
    auto const middle = size_t(kMargin + 2 + s.x_ticks[i].at * (columns - 1));
    size_t const half = s.x_ticks[i].label.size() / 2, at = middle - std::min(middle, half);
    if (i > 0 && at <= numbers.size()) continue;
    numbers.resize(std::max(at, numbers.size()), ' ');
    numbers += text;
  }
  return line + "\n" + numbers + "\n";
}

}  // namespace

std::string terminal_chart(LineChart const& c, bool utf8, size_t width) {
  Scales const s = scales_of(c);
  size_t longest = 0;
  for (std::string const& name : s.names) longest = std::max(longest, display_width(name));
  int const columns = std::clamp(int(width) - kMargin - 3 - int(longest) - 1, 12, 58);
  Canvas canvas(columns, c.rows, utf8);
  for (bool const background : {true, false})
    for (size_t l = 0; l < s.lines.size(); ++l) {
      if (c.lines[l].background != background) continue;
      for (size_t i = 1; i < s.lines[l].size(); ++i)
        canvas.line(s.lines[l][i - 1], s.lines[l][i], background ? '.' : s.names[l][0]);
    }
  for (size_t l = 0; l < s.lines.size(); ++l)
    if (!c.lines[l].background && !s.names[l].empty()) canvas.letter(s.letters[l], s.names[l][0]);
  std::vector<std::string> left(size_t(c.rows));
  std::vector<std::string> const right = ends(c, s);
  for (Scales::Tick const& t : s.y_ticks) left[size_t(std::lround((1 - t.at) * (c.rows - 1)))] = t.label;
  std::string out = caption_of(c.caption, width);
  for (int r = 0; r < c.rows; ++r) {
    std::string line = fmt::format("{:>{}} {}{}", left[size_t(r)], kMargin, utf8 ? "│" : "|", canvas.row(r));
    if (!right[size_t(r)].empty()) line += " " + right[size_t(r)];
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out + axis_of(c, s, columns, utf8);
}

std::string terminal_chart(BarChart const& c, bool utf8, size_t width) {
  static constexpr char const* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  size_t label = 0, text = 0;
  double most = c.most;
  for (Bar const& b : c.bars) {
    label = std::max(label, display_width(b.label)), text = std::max(text, display_width(b.text));
    if (c.most == 0) most = std::max(most, b.value);
  }
  size_t const room = std::clamp<size_t>(width - std::min(width, label + text + 6), 8, 50);
  std::string out = caption_of(c.caption, width);
  for (Bar const& b : c.bars) {
    auto const eighths = size_t(std::lround(std::clamp(b.value / std::max(most, 1e-300), 0.0, 1.0) * double(room) * 8));
    std::string bar;
    for (size_t i = 0; i < (utf8 ? eighths : eighths + 4) / 8; ++i) bar += utf8 ? "█" : "#";
    if (utf8) bar += kEighths[eighths % 8];
    out += fmt::format("  {}{} {}{}{}\n", b.label, std::string(label - display_width(b.label), ' '), bar,
                       bar.empty() ? "" : " ", b.text + (b.strong ? " <" : ""));
  }
  return out;
}

std::string terminal_chart(GridChart const& c, bool utf8, size_t width) {
  static constexpr char const* kShades[] = {"· ", "░░", "▒▒", "▓▓", "██"};
  static constexpr char const* kPlain[] = {". ", "::", "oo", "OO", "##"};
  size_t label = 0;
  for (std::string const& r : c.rows) label = std::max(label, display_width(r));
  size_t const columns = std::min(c.columns(), (width - label - 4) / 3);
  std::string out = caption_of(c.caption, width);
  for (size_t r = 0; r < c.rows.size(); ++r) {
    out += fmt::format("  {}{} ", c.rows[r], std::string(label - display_width(c.rows[r]), ' '));
    for (size_t k = 0; k < columns; ++k) {
      double const v = c.shares[r * c.columns() + k];
      auto const shade = size_t(std::clamp(v * 5, 0.0, 4.0));
      out += std::isnan(v) ? "   " : (utf8 ? kShades : kPlain)[shade] + std::string(" ");
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += "\n";
  }
  out += "  0 to 100 % in fifths: ";
  for (int i = 0; i < 5; ++i) out += (utf8 ? kShades : kPlain)[i] + std::string(i < 4 ? " " : "\n");
  return out;
}

}  // namespace folio::report

#include "report/terminal_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "report/braille.h"

namespace folio::report {
namespace {

constexpr int kColumns = 62, kLeast = 12, kRows = 7;  // of the loss curve
constexpr int kBeside = 18;                           // columns of the numbers on the left and the labels on the right

struct Canvas {  // dots; a cell is cell_width × cell_height of them
  int columns, rows, cell_width, cell_height;
  std::vector<uint8_t> train, val;
  int width() const { return columns * cell_width; }
  int height() const { return rows * cell_height; }
  Canvas(int columns, int rows, bool utf8)
      : columns(columns), rows(rows), cell_width(utf8 ? kDotsAcross : 1), cell_height(utf8 ? kDotsDown : 1) {
    train.resize(size_t(width()) * height());
    val = train;
  }
  void dot(std::vector<uint8_t>& layer, int x, int y) {
    if (x >= 0 && x < width() && y >= 0 && y < height()) layer[size_t(y) * width() + x] = 1;
  }
};

struct Scale {
  double x0, x1, low, high;  // low, high: logarithms
  int column(double x, int width) const { return int(std::lround((x - x0) / std::max(1e-300, x1 - x0) * (width - 1))); }
  int row_of_level(double level, int height) const {
    double const range = std::max(1e-9, high - low);
    return int(std::lround((high - level) / range * (height - 1)));
  }
  int row(double y, int height) const { return row_of_level(std::log(y), height); }
};

std::vector<Point> drawable(std::vector<Point> points) {
  std::erase_if(points, [](Point p) { return !std::isfinite(p.y) || p.y <= 0; });
  return points;
}

// One height a column: the mean of the points in it, between them a straight line.
std::vector<std::optional<double>> heights(std::vector<Point> const& points, Scale const& s, int width) {
  std::vector<double> sum(width), n(width);
  for (Point p : points) {
    int const c = std::clamp(s.column(p.x, width), 0, width - 1);
    sum[c] += std::log(p.y), n[c] += 1;
  }
  std::vector<std::optional<double>> out(width);
  int before = -1;
  for (int c = 0; c < width; ++c) {
    if (n[c] == 0) continue;
    out[c] = sum[c] / n[c];
    for (int b = before + 1; before >= 0 && b < c; ++b)
      out[b] = *out[before] + (*out[c] - *out[before]) * (b - before) / (c - before);
    before = c;
  }
  return out;
}

void draw(Canvas& canvas, std::vector<uint8_t>& layer, std::vector<Point> const& points, Scale const& s, int thick) {
  auto const h = heights(points, s, canvas.width());
  std::optional<int> last;
  for (int c = 0; c < canvas.width(); ++c) {
    if (!h[c]) continue;
    int const y = s.row_of_level(*h[c], canvas.height());
    int const from = last ? (*last < y ? *last + 1 : *last > y ? *last - 1 : y) : y;
    for (int r = std::min(from, y); r <= std::max(from, y); ++r)
      for (int t = 0; t < thick; ++t) canvas.dot(layer, c, r + t);
    last = y;
  }
}

std::string cell(Canvas const& canvas, int column, int row) {
  uint8_t dots = 0;
  bool val = false, train = false;
  for (int y = 0; y < canvas.cell_height; ++y)
    for (int x = 0; x < canvas.cell_width; ++x) {
      size_t const at = size_t(row * canvas.cell_height + y) * canvas.width() + column * canvas.cell_width + x;
      val |= canvas.val[at], train |= canvas.train[at];
      if (canvas.val[at] || canvas.train[at]) dots |= kDots[y][x];
    }
  if (canvas.cell_width == 1) return val ? "*" : train ? "." : " ";
  return braille(dots);
}

using Labels = std::vector<std::string>;  // a row each

Labels ticks(Scale const& s, Canvas const& canvas) {
  Labels labels(size_t(canvas.rows));
  bool const few = s.high - s.low < 2 * std::log(10.0);
  std::vector<double> const steps =
      few ? std::vector<double>{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7} : std::vector<double>{1, 2, 5};
  for (double decade = std::pow(10, std::floor(s.low / std::log(10.0))); std::log(decade) <= s.high; decade *= 10)
    for (double m : steps) {
      if (std::log(m * decade) < s.low || std::log(m * decade) > s.high) continue;
      int const row = s.row(m * decade, canvas.height()) / canvas.cell_height;
      if (row >= 0 && row < kRows && labels[row].empty()) labels[row] = fmt::format("{:.3g}", m * decade);
    }
  return labels;
}

// Labels at the right end, moved apart where both lines end in the same row.
Labels ends(std::vector<Point> const& train, std::vector<Point> const& val, Scale const& s, Canvas const& canvas) {
  Labels labels(size_t(canvas.rows));
  auto row_of = [&](std::vector<Point> const& p) {
    return std::clamp(s.row(p.back().y, canvas.height()) / canvas.cell_height, 0, kRows - 1);
  };
  int val_row = val.empty() ? -1 : row_of(val), train_row = train.empty() ? -1 : row_of(train);
  if (val_row == train_row && val_row >= 0) {
    bool const val_above = val.back().y >= train.back().y;
    if (val_row == kRows - 1) (val_above ? val_row : train_row) -= 1;
    else (val_above ? train_row : val_row) += 1;
  }
  if (val_row >= 0) labels[val_row] = fmt::format("val {:.3f}", val.back().y);
  if (train_row >= 0) labels[train_row] = fmt::format("train {:.3f}", train.back().y);
  return labels;
}

std::string rows_of(Canvas const& canvas, Labels const& left, Labels const& right, int margin, bool utf8) {
  std::string out;
  for (int row = 0; row < canvas.rows; ++row) {
    std::string line = fmt::format("{:>{}} {}", left[size_t(row)], margin, utf8 ? "│" : "|");
    for (int column = 0; column < canvas.columns; ++column) line += cell(canvas, column, row);
    if (!right[size_t(row)].empty()) line += " " + right[size_t(row)];
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string axis(Scale const& s, int columns, int margin, bool utf8) {
  std::string line;
  for (int i = 0; i < columns; ++i) line += utf8 ? "─" : "-";
  std::string const first = fmt::format("{:.0f}", s.x0), middle = fmt::format("{:.0f}", (s.x0 + s.x1) / 2),
                    last = fmt::format("{:.0f} steps", s.x1);
  std::string numbers = first;
  numbers.resize(std::max<size_t>(numbers.size() + 1, size_t(columns) / 2 - middle.size() / 2), ' ');
  numbers += middle;
  numbers.resize(std::max<size_t>(numbers.size() + 1, size_t(columns) - last.size() + 6), ' ');
  std::string const blank(size_t(margin) + 1, ' ');
  return fmt::format("{}{}{}\n{} {}{}\n", blank, utf8 ? "└" : "+", line, blank, numbers, last);
}

}  // namespace

std::string terminal_curve(std::vector<Point> const& all_train, std::vector<Point> const& all_val, bool utf8,
                           int width) {
  std::vector<Point> const train = drawable(all_train), val = drawable(all_val);
  Scale s{INFINITY, -INFINITY, INFINITY, -INFINITY};
  for (auto const* points : {&train, &val})
    for (Point p : *points) {
      s.x0 = std::min(s.x0, p.x), s.x1 = std::max(s.x1, p.x);
      s.low = std::min(s.low, std::log(p.y)), s.high = std::max(s.high, std::log(p.y));
    }
  if (!(s.x1 > s.x0)) return "";
  Canvas canvas(std::clamp(width - kBeside, kLeast, kColumns), kRows, utf8);
  draw(canvas, canvas.train, train, s, 1);
  draw(canvas, canvas.val, val, s, utf8 ? 2 : 1);
  return rows_of(canvas, ticks(s, canvas), ends(train, val, s, canvas), 4, utf8) + axis(s, canvas.columns, 4, utf8);
}

}  // namespace folio::report

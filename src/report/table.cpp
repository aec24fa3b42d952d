#include "report/table.h"

#include <algorithm>
#include <cstdint>

#include "core/error.h"

namespace folio::report {

namespace {

// Columns of a code point. Two: the blocks that Unicode's EastAsianWidth.txt calls wide, and pictographs; none: marks
// that stand on the letter before.
size_t columns_of(uint32_t c) {
  struct Range {
    uint32_t first, last;
  };
  constexpr Range none[] = {{0x300, 0x36f}, {0x200b, 0x200f}, {0xfe00, 0xfe0f}};
  constexpr Range two[] = {{0x1100, 0x115f},   {0x2e80, 0xa4cf},  {0xac00, 0xd7a3}, {0xf900, 0xfaff},
                           {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
                           {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
  auto const within = [c](Range r) { return r.first <= c && c <= r.last; };
  return std::ranges::any_of(none, within) ? 0 : std::ranges::any_of(two, within) ? 2 : 1;
}

}  // namespace

size_t display_width(std::string_view s) {
  size_t width = 0;
  for (size_t i = 0; i < s.size();) {
    auto const lead = static_cast<unsigned char>(s[i]);
    size_t const length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length && i + k < s.size(); ++k)
      code = code << 6 | (static_cast<unsigned char>(s[i + k]) & 0x3f);
    width += columns_of(code);
    i += length;
  }
  return width;
}

std::string shortened(std::string text, size_t most) {
  if (display_width(text) <= most) return text;
  while (display_width(text) >= most) {
    while ((static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
    text.pop_back();
  }
  return text + "…";
}

std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  for (int64_t at = int64_t(s.size()) - 3, first = n<0; at> first; at -= 3) s.insert(size_t(at), 1, ',');
  return s;
}

void Table::row(std::vector<std::string> cells) {
  check(cells.size() <= columns_.size(), "a row of {} cells for {} columns", cells.size(), columns_.size());
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text(size_t width) const {
  std::vector<size_t> widths;
  size_t total = 0, shown = 0;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t w = display_width(columns_[c].head);
    for (auto const& r : rows_) w = std::max(w, display_width(r[c]));
    widths.push_back(w);
    total += w + (c ? 2 : 0);
    if (total <= width || c == 0) shown = c + 1;
  }
  std::string out;
  auto line = [&](auto const& cell) {
    std::string text;
    for (size_t c = 0; c < shown; ++c) {
      std::string const value = cell(c);
      std::string const pad(widths[c] - display_width(value), ' ');
      text += (c ? "  " : "") + (columns_[c].right ? pad + value : value + pad);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](size_t c) { return columns_[c].head; });
  for (auto const& r : rows_) line([&](size_t c) { return r[c]; });
  if (shown < columns_.size()) {
    out += "(left out for want of room:";
    for (size_t c = shown; c < columns_.size(); ++c) out += " " + columns_[c].head;
    out += ")\n";
  }
  return out;
}

}  // namespace folio::report

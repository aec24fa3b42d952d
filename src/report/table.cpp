#include "report/table.h"

#include <algorithm>

#include "core/error.h"

namespace folio::report {

size_t display_width(std::string_view s) {
  return size_t(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
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

#include "report/ribbon.h"

#include <fmt/format.h>

#include "report/html.h"
#include "report/table.h"

namespace folio::report {

std::string ribbon(std::vector<RibbonRow> const& rows, double last) {
  constexpr double kLetter = 6.2, kWide = 700, kNarrow = 280;  // px: of text, of the plot on a page and on a phone
  constexpr int kBar = 17;
  std::string out;
  for (size_t i = 0; i < rows.size(); ++i) {
    int const y = int(i) * kRibbonRow;
    if (!rows[i].label.empty())
      out += fmt::format("<text class=\"e\" dx=\"-8\" y=\"{}\">{}</text>", y + 13, escape_html(rows[i].label));
    for (Stretch const& s : rows[i].stretches) {
      double const from = s.from / last, width = (s.to - s.from) / last;
      out += fmt::format("<rect class=\"{}\" x=\"{:.2f}%\" width=\"{:.2f}%\" y=\"{}\" height=\"{}\"/>", s.classes,
                         100 * from, 100 * width, y, kBar);
      double const needs = kLetter * double(display_width(s.word)) + 8;
      if (needs < width * kWide)
        out +=
            fmt::format("<text class=\"in m{}{}\" x=\"{:.2f}%\" y=\"{}\">{}</text>", s.on_dark ? " rev" : "",
                        needs < width * kNarrow ? "" : " wide", 100 * (from + width / 2), y + 12, escape_html(s.word));
    }
  }
  return out;
}

}  // namespace folio::report

#include "report/svg_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "embedded/kLookSheet.h"
#include "report/html.h"
#include "report/table.h"

namespace folio::report {
namespace {

constexpr size_t kColumns = 56;       // of a table at 390 px
constexpr size_t kTextColumns = 62;   // of text
constexpr size_t kTitleColumns = 42;  // of the title
constexpr int kTableRow = 21, kTextLine = 17;

// Margins are in per cent; the classes are the sheet's and those of bars and grids (report/bars.h).
constexpr char const* kFileSheet =
    ":root { background:var(--paper); max-width:920px; }\n"
    "svg text.title { font:600 19px/1.2 var(--serif); fill:var(--ink); } svg text.cell, svg text.note { "
    "fill:var(--ink); }\n"
    "svg text.caption { font-weight:600; fill:var(--ink); }\n"
    "rect.bar { fill:var(--axis); } rect.bar.strong { fill:var(--a); }\n"
    "rect.h0 { fill:#f6f2e6; } rect.h1 { fill:#e6e6cf; } rect.h2 { fill:#c9dcc4; } rect.h3 { "
    "fill:#a2cbbd; } rect.h4 { fill:#75b3b4; } rect.h5 { fill:#4b96a8; } rect.h6 { fill:#2f7796; } "
    "rect.h7 { fill:#23567d; } rect.h8 { fill:#1a3358; }"
    "\n@media screen and (prefers-color-scheme:dark) {\n"
    "rect.h0 { fill:#1e1d1d; } rect.h1 { fill:#1d2c3f; } rect.h2 { fill:#1e4058; } rect.h3 { "
    "fill:#24586f; } rect.h4 { fill:#337284; } rect.h5 { fill:#4f8e97; } rect.h6 { fill:#7aaaa8; } "
    "rect.h7 { fill:#b0c8ba; } rect.h8 { fill:#eeead0; }"
    " }\n"
    "@media screen and (max-width:640px) { svg text.title { font-size:17px; } }\n";

std::string percent(double share) { return fmt::format("{:.2f}%", 100 * share); }

struct Writer {  // from top to bottom
  int y = 0;
  std::string out = {};

  void text(std::string const& line, char const* kind, int height) {
    y += height;
    out += fmt::format("<text class=\"{}\" x=\"4%\" y=\"{}\">{}</text>\n", kind, y, escape_html(line));
  }
  void paragraph(std::string const& words, char const* kind, size_t width, int height) {
    for (std::string const& line : lines_of(words, width)) text(line, kind, height);
  }

  void panel(Panel const& p) {
    if (!p.caption.empty()) {
      y += 14;
      paragraph(p.caption, "caption", kColumns, kTextLine);
    }
    y += 12;
    out += fmt::format("<svg x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" overflow=\"visible\">\n{}</svg>\n",
                       p.full ? "4%" : "13%", y, p.full ? "92%" : "60%", p.height, p.content);
    y += p.height + (p.full ? 4 : 26);
  }

  void table(SvgTable const& t) {
    std::vector<double> widths(t.heads.size());  // shares
    for (size_t c = 0; c < widths.size(); ++c) {
      size_t longest = display_width(t.heads[c]);
      for (auto const& r : t.rows) longest = std::max(longest, display_width(r.cells[c]));
      widths[c] = double(longest + 2) / double(kColumns + 2);
    }
    double numbers = 0;
    for (size_t c = 1; c < widths.size(); ++c) numbers += widths[c];
    auto const row = [&](std::vector<std::string> const& cells, std::string const& key, bool head) {
      double right = 1 - numbers;
      for (size_t c = 0; c < cells.size(); ++c) {
        if (c > 0) right += widths[c];
        out += fmt::format("<text class=\"{}{}\" x=\"{}\" y=\"{}\">{}</text>", c > 0 ? "e " : "",
                           head                     ? std::string("head")
                           : c == 0 && !key.empty() ? "key " + key
                                                    : "cell",
                           percent(c == 0 ? 0 : right), y, escape_html(cells[c]));
      }
      out += fmt::format("<line class=\"{}\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>\n", head ? "axisline" : "gridline",
                         y + 6, y + 6);
    };
    y += 14;
    if (!t.caption.empty()) paragraph(t.caption, "caption", kColumns, kTextLine);
    y += 18;
    out += "<svg x=\"4%\" width=\"92%\" overflow=\"visible\">";
    row(t.heads, "", true);
    for (SvgTable::Row const& r : t.rows) {
      y += kTableRow;
      row(r.cells, r.key, false);
    }
    out += "</svg>\n";
    y += 10;
  }
};

}  // namespace

std::vector<std::string> lines_of(std::string const& text, size_t width) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t const blank = std::min(text.find(' ', at), text.size());
    std::string const word = text.substr(at, blank - at);
    if (lines.empty() || display_width(lines.back()) + 1 + display_width(word) > width) lines.push_back(word);
    else lines.back() += " " + word;
    at = blank + 1;
  }
  return lines;
}

std::string svg_file(SvgFile const& f) {
  Writer w{.y = 8};
  w.paragraph(f.title, "title", kTitleColumns, 23);
  w.y += 4;
  w.paragraph(f.subtitle, "", kTextColumns, kTextLine);
  w.y += 4;
  for (Panel const& p : f.panels) w.panel(p);
  for (SvgTable const& t : f.tables) w.table(t);
  w.y += 6;
  for (std::string const& note : f.notes) {
    w.paragraph(note, "note", kTextColumns, kTextLine);
    w.y += 5;
  }
  for (std::string const& line : f.foot) w.paragraph(line, "", kTextColumns, kTextLine);
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" height=\"{}\" role=\"img\" "
             "aria-labelledby=\"t d\">\n"
             "<title id=\"t\">{}</title><desc id=\"d\">{}</desc>\n<style><![CDATA[\n{}{}]]></style>\n",
             w.y + 8, escape_html(f.title), escape_html(f.description), kLookSheet, kFileSheet) +
         w.out + "</svg>\n";
}

}  // namespace folio::report

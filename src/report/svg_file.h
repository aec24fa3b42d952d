// A drawing as a file by itself: a title, panels one below the other, tables and notes, in one SVG that fits any width,
// light and dark (the sheet look.css is inside). Texts are wrapped for a phone.
#pragma once

#include <string>
#include <vector>

#include "report/svg.h"

namespace folio::report {

struct Panel {
  std::string content;       // Plot::content, or what fills a box of that height
  int height = 280;          // px
  std::string caption = {};  // above it
  bool full = false;         // as wide as the texts: without the margins that ticks and end labels of a plot need
};

struct SvgTable {
  std::vector<std::string> heads;  // the first column is a name, the others numbers
  struct Row {
    std::string key;  // class of the name: a, b, …
    std::vector<std::string> cells;
  };
  std::vector<Row> rows;
  std::string caption = {};
};

struct SvgFile {
  std::string title, subtitle, description;  // the description is for who cannot see it
  std::vector<Panel> panels;
  std::vector<SvgTable> tables = {};
  std::vector<std::string> notes = {};  // a paragraph each
  std::vector<std::string> foot = {};   // what is less read, behind them
};

std::string svg_file(SvgFile const&);

/// `text` in lines of at most `width` columns, broken at blanks.
std::vector<std::string> lines_of(std::string const& text, size_t width);

}  // namespace folio::report

// A table for the terminal: no borders, two blanks between columns, numbers right-aligned, at most 80 columns wide:
// what does not fit is left out from the right, and said.
#pragma once

#include <string>
#include <vector>

namespace folio::report {

class Table {
 public:
  struct Column {
    std::string head;
    bool right = true;  // numbers; texts stand left
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void row(std::vector<std::string> cells);  // as many as columns; a short row is filled with blanks
  std::string text(size_t width = 80) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

size_t display_width(std::string_view utf8);  // columns of well-formed text in a terminal
/// At most `most` columns of it, cut between characters, with … where it was cut.
std::string shortened(std::string text, size_t most);
std::string grouped(int64_t n);  // 124,439,808

}  // namespace folio::report

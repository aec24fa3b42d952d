// A lesson, said once: the terminal, the drawing and the JSON are made from it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "core/json.h"
#include "report/chart.h"

namespace folio::learn {

struct Column {
  std::string head;
  std::string form = "";  // of its numbers: ".3f", ".2g" and the like; count, bytes, rate, percent; empty: texts
};
using Cell = std::variant<double, std::string>;

struct Numbers {    // a table; the first column names the row
  std::string key;  // in JSON
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

using Picture = std::variant<report::LineChart, report::BarChart, report::GridChart>;

struct Page {           // what a run of a lesson found
  std::string finding;  // the title: what the numbers say
  std::vector<Numbers> numbers;
  std::vector<Picture> pictures;
  std::vector<std::string> see;  // what to see in them, with the numbers
  bool timed = false;            // holds times of this machine, which differ from run to run
};

struct Place {
  std::string file;  // of the checkout
  std::string what;  // is done there
};

struct Topic {
  std::string name, title;
  std::string about;  // what is looked at
  std::vector<Place> places;
  std::string flag;  // what it becomes in training
  Page (*run)(Backend&);
};

std::string shown(Cell const&, std::string const& form);

std::string terminal_text(Topic const&, Page const&, bool utf8, size_t width = 80);
std::string drawing(Topic const&, Page const&);
Json to_json(Topic const&, Page const&);

}  // namespace folio::learn

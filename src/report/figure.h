// A chart in a page: caption, plot, what the pointer or the arrow keys read out (charts.js), and a table under it.
#pragma once

#include <string>
#include <vector>

#include "report/svg.h"

namespace folio::report {

class Figure {
 public:
  struct Words {
    std::string id;           // of the figure, once in the page
    std::string head, unit;   // text; the unit is softer
    std::string description;  // for who cannot see it: what it shows
    int height = 200;         // px
    std::string x = "step";   // how the place is read out, and which charts share a cursor: step, tokens, time
    std::string y = "loss";   // how values are: loss, short, rate, count
    std::string classes = {};
    bool small = false;  // a panel of several: no read-out line of its own, no stop of the tab key
  };
  Figure(Words words, Axis x, Axis y) : words_(std::move(words)), plot(x, y) {}

 private:
  Words words_;

 public:
  Plot plot;
  std::string table;  // markup below it

  /// What is read out: `name` of the run with this letter, at the last point at or before the cursor.
  void read_out(std::string const& key, std::string const& letter, std::string const& name,
                std::vector<Point> const& points);
  std::string markup() const;

 private:
  struct Series {
    std::string key, letter, name;
    size_t grid;
    std::vector<double> values;
  };
  std::string data() const;
  std::string at_rest() const;
  std::vector<std::vector<double>> grids_;
  std::vector<Series> series_;
};

}  // namespace folio::report

#include "learn/page.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/progress.h"
#include "report/table.h"

namespace folio::learn {
namespace {

std::string heading(std::string const& text, bool utf8) { return (utf8 ? "── " : "-- ") + text + "\n\n"; }

std::string paragraph(std::string const& text, size_t width, std::string const& first = "", size_t indent = 0) {
  std::string out;
  for (std::string const& line : report::lines_of(text, width - indent)) {
    out += (out.empty() ? first : std::string(indent, ' ')) + line + "\n";
  }
  return out;
}

report::Table table_of(Numbers const& n) {
  std::vector<report::Table::Column> columns;
  for (Column const& c : n.columns) columns.push_back({c.head, !c.form.empty()});
  report::Table table(std::move(columns));
  for (auto const& row : n.rows) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < row.size(); ++c) cells.push_back(shown(row[c], n.columns[c].form));
    table.row(std::move(cells));
  }
  return table;
}

Json json_of(report::LineChart const& c) {
  Json lines = Json::array();
  for (report::ChartLine const& line : c.lines) {
    Json points = Json::array();
    for (report::Point const p : line.points) points.push_back({p.x, p.y});
    lines.push_back({{"name", line.name}, {"background", line.background}, {"points", std::move(points)}});
  }
  return {{"kind", "lines"}, {"caption", c.caption}, {"x", c.x_unit}, {"lines", std::move(lines)}};
}
Json json_of(report::BarChart const& c) {
  Json bars = Json::array();
  for (report::Bar const& b : c.bars) bars.push_back({{"name", b.label}, {"value", b.value}});
  return {{"kind", "bars"}, {"caption", c.caption}, {"bars", std::move(bars)}};
}
Json json_of(report::GridChart const& c) {
  Json rows = Json::array();
  for (size_t r = 0; r < c.rows.size(); ++r) {
    Json shares = Json::array();
    for (size_t k = 0; k < c.columns(); ++k) shares.push_back(c.shares[r * c.columns() + k]);
    rows.push_back({{"name", c.rows[r]}, {"shares", std::move(shares)}});
  }
  return {{"kind", "grid"}, {"caption", c.caption}, {"rows", std::move(rows)}};
}

}  // namespace

std::string shown(Cell const& cell, std::string const& form) {
  if (auto const* text = std::get_if<std::string>(&cell)) return *text;
  double const v = std::get<double>(cell);
  if (std::isnan(v)) return "";
  if (form == "count") return report::grouped(std::llround(v));
  if (form == "bytes") return format_bytes(v);
  if (form == "rate") return v == 0 ? "0" : format_rate(v);
  if (form == "percent") return fmt::format("{:.1f} %", 100 * v);
  std::string text = fmt::format(fmt::runtime("{:" + form + "}"), v);
  if (text.find_first_not_of("-0.") == text.npos) std::erase(text, '-');
  return text;
}

std::string terminal_text(Topic const& t, Page const& p, bool utf8, size_t width) {
  std::string out = paragraph(p.finding, width) + "\n" + paragraph(t.about, width) + "\n" + heading("numbers", utf8);
  for (Numbers const& n : p.numbers) {
    if (!n.caption.empty()) out += paragraph(n.caption, width);
    out += table_of(n).text(width) + "\n";
  }
  out += heading("picture", utf8);
  for (Picture const& picture : p.pictures)
    out += std::visit([&](auto const& c) { return terminal_chart(c, utf8, width); }, picture) + "\n";
  out += heading("what to see", utf8);
  for (std::string const& line : p.see) out += paragraph(line, width, "* ", 2);
  out += "\n" + heading("in folio", utf8);
  for (Place const& place : t.places) out += paragraph(place.file + ": " + place.what, width, "  ", 4);
  return out + paragraph("in training: " + t.flag, width, "  ", 4);
}

std::string drawing(Topic const& t, Page const& p) {
  report::SvgFile file{.title = p.finding, .subtitle = t.about, .description = "", .panels = {}};
  for (std::string const& line : p.see) file.description += line + " ";
  for (Picture const& picture : p.pictures)
    file.panels.push_back(std::visit([](auto const& c) { return svg_panel(c); }, picture));
  for (Numbers const& n : p.numbers) {
    report::SvgTable table{.heads = {}, .rows = {}, .caption = n.caption};
    for (Column const& c : n.columns) table.heads.push_back(c.head);
    for (auto const& row : n.rows) {
      report::SvgTable::Row one{"", {}};
      for (size_t c = 0; c < row.size(); ++c) one.cells.push_back(report::with_minus(shown(row[c], n.columns[c].form)));
      table.rows.push_back(std::move(one));
    }
    file.tables.push_back(std::move(table));
  }
  file.notes = p.see;
  for (Place const& place : t.places) file.foot.push_back(place.file + ": " + place.what);
  file.foot.push_back("In training: " + t.flag);
  return svg_file(file);
}

Json to_json(Topic const& t, Page const& p) {
  Json all = {{"topic", t.name}, {"title", t.title}, {"finding", p.finding}, {"about", t.about}};
  for (Numbers const& n : p.numbers) {
    Json rows = Json::array();
    for (auto const& row : n.rows) {
      Json one = Json::object();
      for (size_t c = 0; c < row.size(); ++c) {
        if (auto const* text = std::get_if<std::string>(&row[c])) one[n.columns[c].head] = *text;
        else one[n.columns[c].head] = std::get<double>(row[c]);
      }
      rows.push_back(std::move(one));
    }
    all["numbers"][n.key] = std::move(rows);
  }
  all["pictures"] = Json::array();
  for (Picture const& picture : p.pictures)
    all["pictures"].push_back(std::visit([](auto const& c) { return json_of(c); }, picture));
  all["see"] = p.see;
  all["files"] = Json::array();
  for (Place const& place : t.places) all["files"].push_back({{"file", place.file}, {"what", place.what}});
  all["flag"] = t.flag;
  all["timed"] = p.timed;
  return all;
}

}  // namespace folio::learn

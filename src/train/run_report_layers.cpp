// What the statistics of a run say: gradients by layer, updates, weights, activations, quiet units.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/heat_map.h"
#include "report/html.h"
#include "train/run_report_parts.h"

namespace folio::train {
namespace {

using report::Axis;
using report::Figure;

constexpr size_t kFew = 125;  // columns of panels and maps
constexpr size_t kMostPanels = 14;
constexpr double kUsualUpdate = 1e-3;

struct LayerSeries {
  std::string name;
  std::vector<Point> points;
};

std::string layer_of(std::string const& tensor) {
  if (tensor.starts_with("wte") || tensor.starts_with("wpe")) return "embed";
  if (tensor.starts_with("lm_head")) return "head";
  size_t const dot = tensor.find('.');
  return tensor.substr(0, tensor.starts_with("h.") ? tensor.find('.', 2) : dot);
}

// The gradient norm of each layer, from the input to the output.
std::vector<LayerSeries> layers_of(Drawn const& d) {
  std::vector<LayerSeries> out;
  std::vector<Point> before;  // the steps so far, of which a layer that comes later knows nothing
  for (Statistics const& s : d.history.statistics) {
    size_t next = 0;
    std::vector<double> squares(out.size(), NAN);
    for (auto const& [tensor, numbers] : s.tensors) {
      std::string const name = layer_of(tensor);
      if (next >= out.size() || out[next].name != name)
        next = size_t(std::ranges::find(out, name, &LayerSeries::name) - out.begin());
      if (next == out.size()) out.push_back({name, before}), squares.push_back(NAN);
      double const square = numbers.gradient * numbers.gradient;
      squares[next] = std::isnan(squares[next]) ? square : squares[next] + square;
    }
    for (size_t i = 0; i < out.size(); ++i) out[i].points.push_back({double(s.step), std::sqrt(squares[i])});
    before.push_back({double(s.step), NAN});
  }
  std::ranges::stable_partition(out, [](LayerSeries const& l) { return l.name == "embed"; });
  return out;
}

struct Layered {
  Drawn const* run;
  std::vector<LayerSeries> layers;
};

std::string panels_of(Drawing const& all, std::vector<Layered> const& runs, Axis y) {
  std::vector<std::string> names;
  for (Layered const& r : runs)
    for (LayerSeries const& l : r.layers)
      if (std::ranges::find(names, l.name) == names.end()) names.push_back(l.name);
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names.size() > kMostPanels && i * kMostPanels / names.size() == (i - 1) * kMostPanels / names.size() && i > 0 &&
        i + 1 < names.size())
      continue;
    Figure figure = step_figure(all,
                                {.id = "gradient-" + names[i],
                                 .head = names[i],
                                 .unit = "",
                                 .description = "Gradient norm of " + names[i] + " by step, log scale.",
                                 .height = 92,
                                 .y = "short",
                                 .small = true},
                                y, 3);
    for (Layered const& r : runs) {
      auto const layer = std::ranges::find(r.layers, names[i], &LayerSeries::name);
      if (layer == r.layers.end()) continue;
      auto const few = columns_of(layer->points, kFew).mean;
      figure.plot.line(r.run->key, few);
      figure.read_out(r.run->key, r.run->letter, "", few);
      if (all.several() && std::isfinite(few.back().y)) figure.plot.end_label(r.run->key, few.back().y, r.run->letter);
    }
    out += figure.markup();
  }
  return "<div class=\"multi\">" + out + "</div>\n";
}

std::string heat_maps(Drawing const& all, std::vector<Layered> const& runs) {
  std::vector<double> values;
  std::vector<report::HeatMap> maps;
  for (Layered const& r : runs) {
    report::HeatMap map{.rows = {}, .values = {}, .first = 0, .last = 1, .ticks = {}};
    for (LayerSeries const& l : r.layers) {
      auto const few = columns_of(l.points, kFew).mean;
      auto& row = map.values.emplace_back();
      for (Point const p : few) row.push_back(p.y), values.push_back(p.y);
      map.rows.push_back(l.name);
      map.last = std::max(1.0, l.points.back().x);
    }
    map.ticks = report::few_step_ticks(map.last);
    maps.push_back(std::move(map));
  }
  report::HeatScale const scale = report::heat_scale(values);
  std::string out;
  for (size_t i = 0; i < runs.size(); ++i) {
    Drawn const& d = *runs[i].run;
    std::string said;
    for (LayerSeries const& l : runs[i].layers)
      said += fmt::format(" {} {}", l.name, report::short_text(l.points.back().y));
    out += report::markup_of(report::Still{
        .id = "heat-" + d.letter,
        .head = fmt::format("Gradient norm by layer and step{}", all.several() ? ", run " + d.letter : ""),
        .unit = "right: the last value",
        .description = "Rows are layers, the input at the bottom. Final values:" + said + ".",
        .content = content_of(maps[i], scale),
        .height = std::clamp(22 * int(runs[i].layers.size()), 88, 330),
        .classes = "bare heat",
        .head_markup = all.several() ? name_of(d) : ""});
  }
  return (runs.size() > 1 ? "<div class=\"pair\">" + out + "</div>" : out) + legend_of(scale, "Gradient norm");
}

std::string layers_table(Drawing const& all, std::vector<Layered> const& runs) {
  report::HtmlTable table{.heads = {"layer"}, .classes = "dense"};
  std::map<std::string, size_t> rows;
  for (Layered const& r : runs) {
    size_t const n = r.layers[0].points.size();
    std::vector<size_t> places = {0, n / 4, n / 2, n - 1};
    places.erase(std::unique(places.begin(), places.end()), places.end());
    for (size_t const at : places) {
      table.heads.push_back((all.several() ? r.run->letter + " " : "") +
                            step_text(std::llround(r.layers[0].points[at].x)));
      if (runs.size() > 1 && (at != 0 || runs.size() > 2) && at != n - 1) table.wide.push_back(table.heads.size() - 1);
    }
    for (LayerSeries const& l : r.layers) {
      auto const [row, is_new] = rows.emplace(l.name, table.rows.size());
      if (is_new) table.rows.push_back({report::escape_html(l.name)});
      auto& cells = table.rows[row->second];
      cells.resize(table.heads.size() - places.size(), "–");
      for (size_t const at : places) cells.push_back(report::short_text(at < l.points.size() ? l.points[at].y : NAN));
    }
  }
  for (auto& cells : table.rows) cells.resize(table.heads.size(), "–");
  return report::details("The numbers", report::markup_of(table));
}

std::string layers_title(Drawing const& all, std::vector<Layered> const& runs) {
  double most = 0;
  std::string title;
  for (Layered const& r : runs) {
    LayerSeries const *low = nullptr, *high = nullptr;
    for (LayerSeries const& l : r.layers) {
      if (!l.name.starts_with("h.") || !(l.points.back().y > 0) || !std::isfinite(l.points.back().y)) continue;
      if (!low || l.points.back().y < low->points.back().y) low = &l;
      if (!high || l.points.back().y > high->points.back().y) high = &l;
    }
    if (!low || low == high) continue;
    double const ratio = high->points.back().y / low->points.back().y;
    if (ratio <= most) continue;
    most = ratio;
    title = fmt::format("{}{}’s gradient ends {} times as large as {}’s", all.several() ? r.run->letter + ": " : "",
                        high->name, report::short_text(ratio), low->name);
  }
  if (most >= 5) return title;
  return most > 0 ? fmt::format("No block’s gradient vanishes or explodes: they end within a factor of {}",
                                report::short_text(most))
                  : "Gradient norm by layer";
}

// ---- weights, by type of layer

using Value = double (*)(WeightNumbers const&);

std::vector<std::string> types_of(std::vector<Drawn const*> const& runs) {
  std::vector<std::string> types;
  for (Drawn const* d : runs)
    for (auto const& [name, numbers] : d->history.statistics.back().types)
      if (std::ranges::find(types, name) == types.end()) types.push_back(name);
  return types;
}

std::vector<Point> of_type(Drawn const& d, std::string const& type, Value value) {
  std::vector<Point> points;
  for (Statistics const& s : d.history.statistics) {
    auto const at = std::ranges::find_if(s.types, [&](auto const& t) { return t.first == type; });
    points.push_back({double(s.step), at == s.types.end() ? NAN : value(at->second)});
  }
  return points;
}

std::string title_of_type(std::string const& type) {
  return type == "norm" ? "layer norm" : type == "mlp" ? "MLP" : type;
}

struct Panels {
  std::string id, head, unit;
  char const* y;  // how values are read out
};

std::string multi(Panels const& p, std::string const& panels) {
  if (panels.empty()) return "";
  return fmt::format("<div><h3>{} <span class=\"unit\">{}</span></h3><div class=\"multi\">{}</div></div>\n", p.head,
                     p.unit, panels);
}

std::string update_panels(Drawing const& all, std::vector<Drawn const*> const& runs,
                          std::vector<std::string> const& types) {
  Value const update = [](WeightNumbers const& n) { return n.update; };
  std::vector<std::vector<Point>> series;
  for (std::string const& type : types)
    for (Drawn const* d : runs) series.push_back(columns_of(of_type(*d, type, update), kFew).mean);
  auto y = axis_of(series, true);
  if (!y) return "";
  y->low = std::min(y->low, kUsualUpdate / 1.3), y->high = std::max(y->high, kUsualUpdate * 1.3);
  std::string out;
  for (size_t t = 0; t < types.size(); ++t) {
    Figure figure = step_figure(all,
                                {.id = "update-" + types[t],
                                 .head = title_of_type(types[t]),
                                 .unit = "",
                                 .description = "Update-to-weight ratio by step, log scale; about 1e−3 is usual.",
                                 .height = 104,
                                 .y = "rate",
                                 .small = true},
                                *y, 3);
    figure.plot.reference(kUsualUpdate);
    for (size_t r = 0; r < runs.size(); ++r) {
      auto const& few = series[t * runs.size() + r];
      figure.plot.line(runs[r]->key, few);
      figure.read_out(runs[r]->key, runs[r]->letter, "", few);
      if (all.several() && std::isfinite(few.back().y))
        figure.plot.end_label(runs[r]->key, few.back().y, runs[r]->letter);
    }
    out += figure.markup();
  }
  return multi({"updates", "Update-to-weight ratio", "‖Δw‖ ÷ ‖w‖ of one step, log scale; dashed: 1e−3", "rate"}, out);
}

std::string weight_panels(Drawing const& all, std::vector<Drawn const*> const& runs,
                          std::vector<std::string> const& types) {
  std::string out;
  for (std::string const& type : types) {
    std::vector<std::vector<Point>> edges;
    std::vector<std::vector<Point>> means, deviations;
    for (Drawn const* d : runs) {
      means.push_back(columns_of(of_type(*d, type, [](WeightNumbers const& n) { return n.mean; }), kFew).mean);
      deviations.push_back(
          columns_of(of_type(*d, type, [](WeightNumbers const& n) { return n.deviation; }), kFew).mean);
      for (double const sign : {-1.0, 1.0}) {
        auto& edge = edges.emplace_back(means.back());
        for (size_t i = 0; i < edge.size(); ++i) edge[i].y += sign * deviations.back()[i].y;
      }
    }
    auto y = axis_of(edges, false);
    if (!y) continue;
    if (y->low == 0) y->low = 0.94 * std::ranges::min(edges[0], {}, &Point::y).y;  // layer norms lie about 1
    Figure figure = step_figure(all,
                                {.id = "weights-" + type,
                                 .head = title_of_type(type),
                                 .unit = "",
                                 .description = "Mean of the weights and one standard deviation either side, by step.",
                                 .height = 104,
                                 .y = "short",
                                 .small = true},
                                *y, 3);
    for (size_t r = 0; r < runs.size(); ++r) {
      std::vector<report::Plot::Span> spans;
      for (size_t i = 0; i < means[r].size(); ++i)
        spans.push_back({means[r][i].x, edges[2 * r][i].y, edges[2 * r + 1][i].y});
      figure.plot.band(runs[r]->key, spans);
      for (size_t side : {2 * r, 2 * r + 1}) figure.plot.line("edge " + runs[r]->key, edges[side]);
      figure.plot.line(runs[r]->key, means[r]);
      figure.read_out(runs[r]->key, runs[r]->letter, "mean", means[r]);
      figure.read_out(runs[r]->key, runs[r]->letter, "±", deviations[r]);
      if (all.several()) figure.plot.end_label(runs[r]->key, edges[2 * r + 1].back().y, runs[r]->letter);
    }
    out += figure.markup();
  }
  return multi({"weights", "Weights", "mean; shade: one deviation either side", "short"}, out);
}

std::string norm_and_penalty(Drawing const& all, std::vector<Drawn const*> const& runs) {
  std::vector<std::vector<Point>> norms, penalties;
  for (Drawn const* d : runs) {
    auto &norm = norms.emplace_back(), &penalty = penalties.emplace_back();
    std::map<std::string, double> decays;
    for (TensorRule const& rule : d->run.rules) decays[rule.name] = rule.optimizer.decay;
    for (Statistics const& s : d->history.statistics) {
      double squares = 0, weighed = 0;
      for (auto const& [tensor, numbers] : s.tensors) {
        squares += numbers.norm * numbers.norm;
        weighed += decays[tensor] / 2 * numbers.norm * numbers.norm;
      }
      norm.push_back({double(s.step), std::sqrt(squares)});
      penalty.push_back({double(s.step), d->run.configured ? weighed : NAN});
    }
  }
  auto const chart = [&](Figure::Words words, std::vector<std::vector<Point>> const& series,
                         char const* name) -> std::string {
    auto const y = axis_of(series, false);
    if (!y) return "";
    Figure figure = step_figure(all, std::move(words), *y, 4);
    for (size_t r = 0; r < runs.size(); ++r) {
      auto const few = columns_of(series[r], 2 * kFew).mean;
      figure.plot.line(runs[r]->key, few);
      figure.read_out(runs[r]->key, runs[r]->letter, name, few);
      if (std::isfinite(few.back().y))
        figure.plot.end_label(runs[r]->key, few.back().y, runs[r]->letter + " " + report::short_text(few.back().y));
    }
    return figure.markup();
  };
  return "<div class=\"pair\">" +
         chart({.id = "weight-norm",
                .head = "Norm of all weights",
                .unit = "",
                .description = "The L2 norm of all weights together, by step.",
                .height = 150,
                .y = "short",
                .classes = "small"},
               norms, "norm") +
         chart({.id = "penalty",
                .head = "Penalty",
                .unit = "½ · decay · ‖w‖², each tensor by its own",
                .description = "What weight decay weighs, by step.",
                .height = 150,
                .y = "short",
                .classes = "small"},
               penalties, "penalty") +
         "</div>\n";
}

// ---- activations and quiet units, at the last statistics

std::string bar_cell(std::string const& classes, double share, double most) {
  if (!std::isfinite(share)) return "–";
  constexpr double kWidth = 44;
  double const width = most > 0 ? kWidth * share / most : 0;
  return fmt::format(
      "<td class=\"barcell\">{}<span class=\"bar {}\" style=\"width:{:.0f}px;margin-right:{:.0f}px\"></span></td>",
      report::share_text(share), classes, width, kWidth - width);
}

std::string activation_table(Drawing const& all, std::vector<Drawn const*> const& runs) {
  report::HtmlTable table{.heads = {"block"},
                          .caption =
                              "Output of each block: mean, standard deviation, extremes; and the share of quiet units, "
                              "at the last statistics"};
  std::map<int, std::map<size_t, std::vector<std::string>>> cells;  // by block, then run
  size_t blocks = 0;
  double most = 0;
  for (Drawn const* d : runs) {
    Statistics const& s = d->history.statistics.back();
    blocks = std::max(blocks, s.quiet.size());
    for (double const q : s.quiet) most = std::fmax(most, q);
    while (std::ranges::any_of(s.activations,
                               [&](auto const& a) { return a.first == fmt::format("h.{}.residual", blocks); }))
      ++blocks;
  }
  if (blocks == 0) return "";
  for (Drawn const* d : runs) {
    std::string const letter = all.several() ? d->letter + " " : "";
    if (runs.size() <= 2) table.wide.push_back(table.heads.size()), table.heads.push_back(letter + "mean");
    else table.wide.push_back(table.heads.size());
    table.heads.push_back(letter + "dev.");
    if (runs.size() <= 2) table.wide.push_back(table.heads.size()), table.heads.push_back(letter + "extremes");
    table.heads.push_back(letter + "quiet");
  }
  for (size_t b = 0; b < blocks; ++b) {
    std::vector<std::string> row = {fmt::format("h.{}", b)};
    for (Drawn const* d : runs) {
      Statistics const& s = d->history.statistics.back();
      auto const at = std::ranges::find_if(s.activations,
                                           [&](auto const& a) { return a.first == fmt::format("h.{}.residual", b); });
      ActivationNumbers const a = at == s.activations.end() ? ActivationNumbers{NAN, NAN, NAN, NAN} : at->second;
      if (runs.size() <= 2) row.push_back(report::short_text(a.mean));
      row.push_back(report::short_text(a.deviation));
      if (runs.size() <= 2)
        row.push_back(fmt::format("{} … {}", report::short_text(a.least), report::short_text(a.largest)));
      row.push_back(
          bar_cell(runs.size() <= 2 ? d->key : d->key + " wide", b < s.quiet.size() ? s.quiet[b] : NAN, most));
    }
    table.rows.push_back(std::move(row));
  }
  return report::markup_of(table);
}

std::string weights_title(Drawing const& all, std::vector<Drawn const*> const& runs) {
  double quiet = 0, least = INFINITY, most = 0;
  std::string where;
  for (Drawn const* d : runs) {
    Statistics const& s = d->history.statistics.back();
    for (size_t i = 0; i < s.quiet.size(); ++i)
      if (s.quiet[i] > quiet)
        quiet = s.quiet[i], where = fmt::format("{}h.{}", all.several() ? d->letter + "’s " : "", i);
    for (auto const& [name, numbers] : s.types)
      if (name != "norm" && std::isfinite(numbers.update))
        least = std::min(least, numbers.update), most = std::max(most, numbers.update);
  }
  if (quiet > 0.3) return fmt::format("{} of the units in {} are quiet", report::share_text(quiet), where);
  if (most == 0) return "Weights and activations";
  if (least > 2e-4 && most < 5e-3) return "Updates are near one thousandth of the weights";
  return fmt::format("Updates end at {} to {} of the weights", report::rate_text(least), report::rate_text(most));
}

std::vector<Drawn const*> measured(Drawing const& all) {
  auto runs = all.hued();
  std::erase_if(runs, [](Drawn const* d) { return d->history.statistics.empty(); });
  return runs;
}

std::string which_runs(Drawing const& all, std::vector<Drawn const*> const& runs) {
  if (runs.size() == all.runs.size()) return "";
  std::vector<std::string> letters;
  for (Drawn const* d : runs) letters.push_back(d->letter);
  return fmt::format(" Shown: {}.", report::joined_words(letters));
}

}  // namespace

std::optional<report::Section> layers_section(Drawing const& all) {
  auto const runs = measured(all);
  std::vector<Layered> layered;
  std::vector<std::vector<Point>> series;
  for (Drawn const* d : runs) {
    Layered l{d, layers_of(*d)};
    if (l.layers.empty()) continue;
    for (LayerSeries const& s : l.layers) series.push_back(columns_of(s.points, kFew).mean);
    layered.push_back(std::move(l));
  }
  auto const y = axis_of(series, true);
  if (!y) return {};
  return report::Section{
      .id = "layers",
      .link = "Layers",
      .title = layers_title(all, layered),
      .says = {},
      .how = "One panel a layer, from the embedding to the final norm; gradient norm before clipping, log scale." +
             which_runs(all, runs),
      .show = panels_of(all, layered, *y) + heat_maps(all, layered) + layers_table(all, layered)};
}

std::optional<report::Section> weights_section(Drawing const& all) {
  auto const runs = measured(all);
  if (runs.empty()) return {};
  auto const types = types_of(runs);
  std::string const show = update_panels(all, runs, types) + weight_panels(all, runs, types) +
                           norm_and_penalty(all, runs) + activation_table(all, runs);
  return report::Section{.id = "weights",
                         .link = "Weights",
                         .title = weights_title(all, runs),
                         .says = {},
                         .how = "Quiet units: those whose GELU output stayed below 1e−3 in size over the last period." +
                                which_runs(all, runs),
                         .show = show};
}

}  // namespace folio::train

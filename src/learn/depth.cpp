// What lets twelve layers learn: the residual connection carries the gradient, the layer norm keeps the numbers in
// range.
#include <fmt/format.h>

#include <cmath>

#include "learn/stack.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

using report::ChartLine;

ChartLine line_of(std::string const& name, std::vector<double> const& values) {
  ChartLine line{name, {}};
  for (size_t l = 0; l < values.size(); ++l) line.points.push_back({double(l), values[l]});
  return line;
}
ChartLine line_back(std::string const& name, std::vector<double> const& values) {
  return line_of(name, {values.rbegin(), values.rend()});
}

Page residual_page(Backend& backend) {
  StackNumbers const without = run_stack(backend, {.residual = false, .norm = false});
  StackNumbers const larger = run_stack(backend, {.residual = false, .norm = false, .scale = 3});
  StackNumbers const with = run_stack(backend, {.residual = true, .norm = false});
  StackNumbers const full = run_stack(backend, {});
  Numbers table{"layers",
                "Norm of the gradient where it enters a layer, if that of the last output is 1:",
                {{"layer"}, {"without", ".1e"}, {"weights x 3", ".1e"}, {"with", ".4f"}, {"and norm", ".4f"}},
                {}};
  for (int64_t l = kStackLayers; l >= 0; l -= 2) {
    auto const i = size_t(l);
    table.rows.push_back({l == kStackLayers ? "output" : fmt::format("{}", l), without.gradient[i], larger.gradient[i],
                          with.gradient[i], full.gradient[i]});
  }
  double const factor = std::pow(without.gradient[0], 1.0 / kStackLayers);
  Page page;
  page.finding = fmt::format("Without residuals {:.0e} of the gradient reaches the first layer, with them {:.2f}",
                             without.gradient[0], with.gradient[0]);
  page.numbers = {table};
  page.pictures = {report::LineChart{"norm of the gradient by the layers it has come back through, log scale",
                                     "layers",
                                     {line_back("without", without.gradient), line_back("weights x 3", larger.gradient),
                                      line_back("with", with.gradient)},
                                     false,
                                     true}};
  page.see = {
      fmt::format(
          "Without the residual connection each layer multiplies the gradient by {:.3f} on the way back; twelve "
          "of them leave {:.0e}. The first layers would hardly learn.",
          factor, without.gradient[0]),
      fmt::format("Larger weights only move the problem: three times as large they leave {:.0e} here, and others "
                  "would explode. No one size fits every depth.",
                  larger.gradient[0]),
      fmt::format(
          "With y = x + f(x) the gradient of x is that of y plus what f sends back: the 1 is never lost. {:.2f} "
          "of the norm arrives, however deep the stack.",
          with.gradient[0]),
      fmt::format(
          "GPT-2 also norms what f reads; {:.4f} arrives then. The last matrix of each branch starts smaller by the "
          "square root of {}, so that the sum of all branches stays small beside x and depth costs nothing at "
          "the start.",
          full.gradient[0], 2 * kStackLayers)};
  return page;
}

Page norm_page(Backend& backend) {
  struct Row {
    char const* name;
    double scale;
    StackNumbers plain, normed;
  };
  std::vector<Row> rows;
  for (auto const& [name, scale] : {std::pair{"x 1", 1.0}, {"x 8", 8.0}, {"x 12", 12.0}})
    rows.push_back({name, scale, run_stack(backend, {.residual = true, .norm = false, .scale = scale}),
                    run_stack(backend, {.residual = true, .norm = true, .scale = scale})});
  Numbers table{
      "weights",
      "Twelve layers, y = x + f(x), with the initial weights as they are, 8 and 12 times as large:",
      {{"weights"}, {"norm"}, {"reads, 1st", ".3g"}, {"reads, 12th", ".3g"}, {"output", ".3g"}, {"gradient", ".3g"}},
      {}};
  for (Row const& r : rows)
    for (bool const norm : {false, true}) {
      StackNumbers const& n = norm ? r.normed : r.plain;
      table.rows.push_back({r.name, norm ? "yes" : "no", n.into_layer.front(), n.into_layer.back(), n.deviation.back(),
                            n.gradient.front()});
    }
  StackNumbers const &plain = rows[2].plain, &normed = rows[2].normed;
  Page page;
  page.finding = fmt::format("A norm before each layer: the 12th reads deviation {:.2f} instead of {:.0f}",
                             normed.into_layer.back(), plain.into_layer.back());
  page.numbers = {table};
  page.pictures = {
      report::LineChart{"deviation of what each layer reads, weights x 12, log scale",
                        "layers",
                        {line_of("without norm", plain.into_layer), line_of("with norm", normed.into_layer)},
                        false,
                        true},
      report::LineChart{"norm of the gradient by the layers it has come back through, weights x 12, log scale",
                        "layers",
                        {line_back("without norm", plain.gradient), line_back("with norm", normed.gradient)},
                        false,
                        true}};
  page.see = {
      fmt::format(
          "Layer norm takes each token's mean away and divides by its deviation, so every layer reads numbers of "
          "deviation 1 ({:.3f} in the first, {:.3f} in the last), whatever lies on the stream.",
          normed.into_layer.front(), normed.into_layer.back()),
      fmt::format(
          "Without it each layer multiplies: with large weights the stream grows {:.0f} times over twelve layers; "
          "with norms it grows {:.0f} times, by a similar amount a layer.",
          plain.deviation.back() / plain.deviation.front(), normed.deviation.back() / normed.deviation.front()),
      fmt::format(
          "The gradient goes the same way: {:.0f} against {:.1f} at the first layer. At GPT-2's own scale the two "
          "hardly differ at first ({:.2f} and {:.2f}); the norm is what keeps it so while weights grow.",
          plain.gradient.front(), normed.gradient.front(), rows[0].plain.gradient.front(),
          rows[0].normed.gradient.front())};
  return page;
}

}  // namespace

Topic residuals() {
  return {"residuals",
          "The way of a gradient through twelve layers",
          "A gradient starts behind the last layer and has to reach the first. The layers are GPT-2's MLP at its own "
          "initial weights, run forward and backward by the model's ops, with and without the connection that adds a "
          "layer's input to its output.",
          {{"src/model/gpt2.cpp", "mlp_forward and mlp_backward: dropout_add is the connection"},
           {"src/model/weights.h", "0.02 and 0.02/sqrt(2L), the initial deviations"},
           {"src/learn/stack.cpp", "the same ops with parts left away"}},
          "--layers; metrics.jsonl and folio report show the gradient of every layer of a run",
          residual_page};
}

Topic layer_norm() {
  return {
      "layer-norm",
      "What layer norm does over twelve layers",
      "The same twelve layers, now all with the residual connection: what do their numbers look like with and without "
      "the norm in front of each, as the weights grow?",
      {{"src/backend/reference/norm.cpp", "layer norm and its backward as plain loops"},
       {"src/backend/cpu/norm.cpp", "the same, fast"},
       {"src/model/gpt2.cpp", "where it stands: before attention, before the MLP, before the head"}},
      "no flag: GPT-2 has it always; --no-bias leaves its bias away",
      norm_page};
}

}  // namespace folio::learn

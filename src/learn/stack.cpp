#include "learn/stack.h"

#include <cmath>

namespace folio::learn {
namespace {

constexpr int64_t kRows = 64, kChannels = 64;

struct Layer {
  Tensor input;  // (1, rows, C)
  Tensor normed, stats, pre, gelu, branch;
};

model::Config const kConfig{
    .layers = kStackLayers, .heads = 1, .channels = kChannels, .vocab = 1, .context = 1, .dropout = {}};

void scale_matrices(Lab& lab, model::Weights const& w, double factor) {
  for (model::BlockWeights const& block : w.blocks)
    for (Weight const& matrix : {block.c_fc.weight, block.mlp_proj.weight}) {
      std::vector<float> values = lab.read(matrix.master);
      for (float& v : values) v = float(v * factor);
      lab.write(matrix.master, values);
      lab.backend.prepare(matrix);
    }
}

}  // namespace

StackNumbers run_stack(Backend& backend, StackOptions const& options) {
  Lab lab(backend);
  model::WeightArenas arenas;
  model::Weights w = lay_out_weights(arenas, backend, kConfig, DType::f32, true);
  for (Arena* a : {&arenas.masters, &arenas.gradients, &arenas.compute}) a->allocate(backend);
  w = lay_out_weights(arenas, backend, kConfig, DType::f32, true);
  initialise(backend, w, 3);
  backend.zero(arenas.gradients.flat(DType::f32));
  scale_matrices(lab, w, options.scale);
  lab.lend(
      {.rows = kRows, .sequences = 1, .context = kRows, .channels = kChannels, .heads = 1, .vocab = 1, .chunk = 1});

  Shape const narrow{1, kRows, kChannels}, wide{1, kRows, 4 * kChannels};
  StackNumbers n;
  std::vector<Layer> layers;
  Tensor x = lab.floats(narrow, even_values(size_t(kRows * kChannels), std::sqrt(3.0), 5));  // deviation 1
  for (model::BlockWeights const& block : w.blocks) {
    Layer a{x, x, {}, lab.floats(wide), lab.floats(wide), lab.floats(narrow)};
    if (options.norm) {
      a.normed = lab.floats(narrow), a.stats = lab.floats({1, kRows, 2});
      backend.layer_norm(a.normed, a.stats, x, block.ln_2);
    }
    backend.linear_gelu(a.gelu, a.pre, a.normed, block.c_fc);
    backend.linear(a.branch, a.gelu, block.mlp_proj);
    Tensor const next = lab.floats(narrow);
    backend.dropout_add(next, options.residual ? x : Tensor{}, a.branch, {});
    n.deviation.push_back(deviation_of(lab.read(x)));
    n.into_layer.push_back(deviation_of(lab.read(a.normed)));
    layers.push_back(a);
    x = next;
  }
  n.deviation.push_back(deviation_of(lab.read(x)));

  std::vector<float> start = even_values(size_t(kRows * kChannels), 1, 9);
  double const norm = norm_of(start);
  for (float& v : start) v = float(v / norm);
  Tensor dx = lab.floats(narrow, start);
  Tensor const dbranch = lab.floats(narrow), dgelu = lab.floats(wide), dpre = lab.floats(wide),
               dnormed = lab.floats(narrow);
  n.gradient.push_back(norm_of(start));
  for (size_t l = layers.size(); l-- > 0;) {
    model::BlockWeights const& block = w.blocks[l];
    Layer const& a = layers[l];
    backend.dropout_backward(dbranch, dx, {});
    backend.linear_backward(dgelu, dbranch, a.gelu, block.mlp_proj);
    backend.linear_gelu_backward(dnormed, dpre, dgelu, a.pre, a.normed, block.c_fc);
    if (!options.residual) backend.zero(dx);  // what came along the stream ends here
    if (options.norm) {
      backend.layer_norm_backward(dx, dnormed, a.input, a.stats, block.ln_2);
    } else if (options.residual) {
      Tensor const sum = lab.floats(narrow);
      backend.dropout_add(sum, dx, dnormed, {});
      dx = sum;
    } else {
      backend.copy(dx, dnormed);
    }
    n.gradient.insert(n.gradient.begin(), norm_of(lab.read(dx)));
  }
  return n;
}

}  // namespace folio::learn

#include "train/statistics.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "model/layer_type.h"

namespace folio::train {
namespace {

constexpr int64_t kOfBlock = 4;  // activations: attn, gelu, mlp, residual

struct Sums {  // of the elements of tensors together
  double count = 0, sum = 0, squares = 0;
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(std::max(0.0, squares / count - mean() * mean())); }
  double norm() const { return std::sqrt(squares); }
  void add(double n, double const* summary) { count += n, sum += summary[0], squares += summary[1]; }
};

struct TensorSums {
  Sums weight, update, gradient;
  WeightNumbers numbers(double loss_scale) const {
    return {.mean = weight.mean(),
            .deviation = weight.deviation(),
            .norm = weight.norm(),
            .gradient = gradient.norm() / loss_scale,
            .update = weight.squares > 0 ? update.norm() / weight.norm() : NAN};
  }
};

std::vector<double> in_f64(Backend& backend, Tensor t) {
  std::vector<double> values(static_cast<size_t>(t.size()));
  if (t.dtype == DType::f64) {
    backend.download(values.data(), t);
  } else {
    std::vector<float> narrow(values.size());
    backend.download(narrow.data(), t);
    values.assign(narrow.begin(), narrow.end());
  }
  return values;
}

}  // namespace

StatisticsTaker::StatisticsTaker(Backend& backend, Trainer& trainer) : backend_(backend), trainer_(trainer) {
  for_each(trainer.weights(),
           [&](std::string const& name, Weight const&, model::Spec const&) { names_.push_back(name); });
  activations_.emplace_back("embed");
  for (int64_t l = 0; l < trainer.options().config.layers; ++l)
    for (char const* name : {"attn", "gelu", "mlp", "residual"})
      activations_.push_back(fmt::format("h.{}.{}", l, name));
  activations_.emplace_back("ln_f");
  TrainerOptions const& o = trainer.options();
  lay_out(arena_, o.config, o.dtype);
  arena_.allocate(backend);
  at_ = lay_out(arena_, o.config, o.dtype);
  backend.zero(at_.largest);
  trainer.watch(this);
}

StatisticsTaker::~StatisticsTaker() { trainer_.watch(nullptr); }

StatisticsTaker::Views StatisticsTaker::lay_out(Arena& arena, model::Config const& c, DType dtype) {
  int64_t tensors = 0, most = 0;
  model::Weights shapes{.config = c, .wte = {}, .wpe = {}, .blocks = {}, .ln_f = {}, .head = {}};
  shapes.blocks.resize(size_t(c.layers));
  for_each(shapes, [&](std::string const&, Weight const&, model::Spec const& spec) {
    ++tensors, most = std::max(most, spec.shape.size());
  });
  return {arena.take("summaries", DType::f64, {3 * tensors + 2 + kOfBlock * c.layers, 4}),
          arena.take("largest of each unit", wide(dtype), {c.layers, 4 * c.channels}),
          arena.take("weight before its update", wide(dtype), {most})};
}

MemoryRole StatisticsTaker::plan(model::Config const& c, DType dtype) {
  Arena arena("statistics");
  lay_out(arena, c, dtype);
  return arena.planned();
}

void StatisticsTaker::ask() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> start;
  for (int64_t i = 0; i < at_.summaries.shape[0]; ++i) start.insert(start.end(), {0, 0, kInfinity, -kInfinity});
  backend_.upload(at_.summaries, start.data());
  asked_ = true;
}

void StatisticsTaker::done(Event const& e) {
  if (e.phase != Phase::forward) return;
  std::string_view const op = e.op;
  Tensor const& y = *e.outputs.begin();
  auto const of_block = [&](int64_t which) { return of_activation(size_t(1 + kOfBlock * e.layer + which)); };
  if (op == "linear_gelu") backend_.largest_columns(at_.largest[e.layer], y);
  if (!asked_) return;
  if (op == "embed") return backend_.summarize(of_activation(0), y);
  if (op == "layer_norm" && e.layer < 0) return backend_.summarize(of_activation(activations_.size() - 1), y);
  if (op == "linear_gelu") {
    next_ = mlp;
    backend_.summarize(of_block(1), y);
  } else if (op == "linear" && y.data == trainer_.acts().branch.data) {
    backend_.summarize(of_block(next_ == mlp ? 2 : 0), y);
    next_ = next_ == mlp ? residual : attention;
  } else if (op == "dropout_add" && next_ == residual) {
    backend_.summarize(of_block(3), y);
    next_ = attention;
  }
}

void StatisticsTaker::before_update(size_t number, Weight const& w) {
  if (!asked_) return;
  backend_.summarize(of_tensor(number, gradients), w.grad);
  backend_.copy(at_.before.reshaped(w.shape), w.master);
}

void StatisticsTaker::after_update(size_t number, Weight const& w) {
  if (!asked_) return;
  backend_.summarize(of_tensor(number, updates), w.master, at_.before.reshaped(w.shape));
  backend_.summarize(of_tensor(number, weights), w.master);
}

void StatisticsTaker::count_tensors(Statistics& s, std::vector<double> const& summaries, double loss_scale) const {
  TensorSums types[std::size(model::kLayerTypes)];
  size_t i = 0;
  for_each(trainer_.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    TensorSums own;
    for (TensorSums* to : {&own, &types[size_t(model::layer_type(name))]}) {
      auto const n = double(w.shape.size());
      to->weight.add(n, &summaries[4 * (3 * i + weights)]), to->update.add(n, &summaries[4 * (3 * i + updates)]);
      to->gradient.add(n, &summaries[4 * (3 * i + gradients)]);
    }
    s.tensors.emplace_back(name, own.numbers(loss_scale));
    ++i;
  });
  for (model::LayerType const t : model::kLayerTypes)
    s.types.emplace_back(model::name_of(t), types[size_t(t)].numbers(loss_scale));
}

Statistics StatisticsTaker::take(int64_t step, double loss_scale) {
  check(asked_, "statistics of a step that was not asked for");
  Statistics s{.step = step, .period = step - since_};
  std::vector<double> const summaries = in_f64(backend_, at_.summaries), largest = in_f64(backend_, at_.largest);
  count_tensors(s, summaries, loss_scale);
  TrainerOptions const& o = trainer_.options();
  double const rows = double(o.accumulate * o.batch * o.length) * double(o.config.channels);
  for (size_t i = 0; i < activations_.size(); ++i) {
    double const* const summary = &summaries[4 * (3 * names_.size() + i)];
    Sums sums;
    sums.add(activations_[i].ends_with(".gelu") ? 4 * rows : rows, summary);
    s.activations.emplace_back(activations_[i],
                               ActivationNumbers{sums.mean(), sums.deviation(), summary[2], summary[3]});
  }
  auto const units = size_t(at_.largest.shape[1]);
  for (size_t l = 0; l < size_t(at_.largest.shape[0]); ++l) {
    auto const first = largest.begin() + ptrdiff_t(l * units);
    s.quiet.push_back(double(std::count_if(first, first + ptrdiff_t(units), [](double v) { return v < kQuiet; })) /
                      double(units));
  }
  asked_ = false;
  begin_at(step);
  return s;
}

void StatisticsTaker::begin_at(int64_t step) {
  since_ = step;
  backend_.zero(at_.largest);
}

ActiveUnits StatisticsTaker::active() const {
  ActiveUnits a{.since = since_, .layers = {}};
  std::vector<double> const largest = in_f64(backend_, at_.largest);
  auto const units = size_t(at_.largest.shape[1]);
  for (size_t first = 0; first < largest.size(); first += units) {
    std::string& digits = a.layers.emplace_back();
    for (size_t u = first; u < first + units; u += 4) {
      int four = 0;
      for (size_t k = u; k < u + 4; ++k) four = 2 * four + (largest[k] >= kQuiet);
      digits += "0123456789abcdef"[four];
    }
  }
  return a;
}

void StatisticsTaker::restore(ActiveUnits const& a, std::string const& name) {
  int64_t const L = at_.largest.shape[0], units = at_.largest.shape[1];
  check(int64_t(a.layers.size()) == L, Fault::content, "{}: active units of {} layers in a model of {}", name,
        a.layers.size(), L);
  std::vector<double> values;
  for (std::string const& digits : a.layers) {
    check(int64_t(digits.size()) == units / 4 && digits.find_first_not_of("0123456789abcdef") == digits.npos,
          Fault::content, "{}: `{}` are not {} hex digits, the active units of a layer", name, digits.substr(0, 40),
          units / 4);
    for (char const c : digits)
      for (int bit = 8, four = c <= '9' ? c - '0' : c - 'a' + 10; bit > 0; bit /= 2)
        values.push_back(four & bit ? 1 : 0);
  }
  if (at_.largest.dtype == DType::f64) backend_.upload(at_.largest, values.data());
  else backend_.upload(at_.largest, std::vector<float>(values.begin(), values.end()).data());
  since_ = a.since;
}

}  // namespace folio::train

#include "cli/inspect_gradients.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "cli/data_for_model.h"
#include "cli/run_memory.h"
#include "cli/train_setup.h"
#include "cli/verb.h"
#include "core/json.h"
#include "core/log.h"
#include "data/batcher.h"
#include "model/initial_check.h"
#include "model/layer_type.h"
#include "report/table.h"
#include "train/options.h"

namespace folio::cli {
namespace {

std::string const kRandom = "random tokens";
constexpr double kUsualLeast = 0.1, kUsualMost = 2;  // of the norm of all gradients, a rule of thumb

struct Gradient {  // of a tensor, or of several together
  std::string name;
  double count = 0, sum = 0, sizes = 0, squares = 0;  // Σ g, Σ |g|, Σ g²
  double norm() const { return std::sqrt(squares); }
  double mean_size() const { return sizes / count; }
  double deviation() const { return std::sqrt(std::max(0.0, squares / count - sum * sum / count / count)); }
  void add(Gradient const& g) { count += g.count, sum += g.sum, sizes += g.sizes, squares += g.squares; }
};

struct Findings {
  std::string read;  // what the batch was
  int64_t tokens = 0;
  double loss = 0, clip = 0;
  std::vector<Gradient> tensors, types;
  Gradient all{"all"};
  model::InitialWeights initial;
  bool trained = false;
};

data::HostBatch random_batch(int64_t batch, int64_t T, int64_t vocab, uint64_t seed) {
  std::mt19937_64 random(seed);
  data::HostBatch b;
  auto const id = [&] { return int32_t(random() % uint64_t(vocab)); };
  for (int64_t i = 0; i < batch * T; ++i) b.tokens.push_back(id()), b.targets.push_back(id());
  b.token_weights.assign(b.tokens.size(), 1);
  for (int64_t s = 0; s < batch; ++s) b.sequences.push_back(s);
  b.total_weight = double(b.tokens.size());
  return b;
}

void measure(Backend& backend, model::Weights const& weights, Findings& f) {
  for (model::LayerType const t : model::kLayerTypes) f.types.push_back({model::name_of(t)});
  std::vector<float> narrow;
  std::vector<double> values;
  for_each(weights, [&](std::string const& name, Weight const& w, model::Spec const&) {
    values.resize(size_t(w.grad.size())), narrow.resize(w.grad.dtype == DType::f64 ? 0 : values.size());
    backend.download(narrow.empty() ? static_cast<void*>(values.data()) : narrow.data(), w.grad);
    std::ranges::copy(narrow, values.begin());
    Gradient g{name, double(values.size())};
    for (double const v : values) g.sum += v, g.sizes += std::abs(v), g.squares += v * v;
    f.tensors.push_back(g), f.types[size_t(model::layer_type(name))].add(g), f.all.add(g);
  });
}

double share(Gradient const& g, Findings const& f) { return g.squares / f.all.squares; }

std::string rows(std::vector<Gradient> const& all, Findings const& f, char const* what) {
  report::Table table({{what, false}, {"norm"}, {"mean size"}, {"deviation"}, {"share"}});
  for (Gradient const& g : all)
    table.row({g.name, fmt::format("{:.3e}", g.norm()), fmt::format("{:.1e}", g.mean_size()),
               fmt::format("{:.1e}", g.deviation()), fmt::format("{:.2f} %", 100 * share(g, f))});
  return table.text();
}

char const* band(double norm) {
  return norm < kUsualLeast ? "below" : norm > kUsualMost ? "above" : norm >= kUsualLeast ? "within" : "no";
}

std::string verdict(Findings const& f) {
  double const norm = f.all.norm();
  if (!std::isfinite(norm)) {
    for (Gradient const& g : f.tensors)
      if (!std::isfinite(g.squares))
        return fmt::format("The gradient is not finite, first in {}: a training step would be refused.", g.name);
  }
  std::string text = fmt::format("The norm of all gradients is {:.3f}, {} the usual {} to {} (a rule of thumb{}). ",
                                 norm, band(norm), kUsualLeast, kUsualMost,
                                 norm > kUsualMost && !f.trained ? "; the first steps of a run are often above" : "");
  double const factor = clip_factor(norm, f.clip);
  if (f.clip == 0) return text + "--clip 0 never clips.";
  if (factor < 1) return text + fmt::format("--clip {} would act: × {:.3f}.", f.clip, factor);
  return text + fmt::format("--clip {} would not act.", f.clip);
}

std::string initial_text(Findings const& f) {
  auto const off = f.initial.off();
  if (f.trained && off.empty())
    return fmt::format(
        "The model has taken steps, so few or so small that all of its {} tensors are still as in a new one.",
        f.initial.tensors.size());
  if (f.trained)
    return fmt::format("The model is trained: {} of its {} tensors are no longer as in a new one, as it should be.",
                       off.size(), f.initial.tensors.size());
  if (off.empty())
    return fmt::format(
        "Initial weights: all {} tensors are as in a new GPT-2 (deviation 0.02, 0.02/√(2L) into the "
        "residual stream; biases 0, gains 1).",
        f.initial.tensors.size());
  std::string text;
  for (model::InitialNumbers const& n : off)
    text +=
        fmt::format("{}{} is not as in a new GPT-2: mean {:.3g} and deviation {:.3g}, expected {:.3g} and {:.3g}{}.",
                    text.empty() ? "" : "\n", n.tensor, n.mean, n.deviation, n.expected_mean, n.expected_deviation,
                    std::isfinite(n.errors) ? fmt::format(" ({:.0f} standard errors off)", n.errors) : "");
  return text;
}

Json json_of(Gradient const& g, Findings const& f) {
  return {{"name", g.name},
          {"norm", finite_or_null(g.norm())},
          {"mean_size", finite_or_null(g.mean_size())},
          {"deviation", finite_or_null(g.deviation())},
          {"share", finite_or_null(share(g, f))}};
}

Json json_of(Findings const& f, model::Config const& c) {
  Json tensors = Json::array(), types = Json::array(), off = Json::array();
  for (Gradient const& g : f.tensors) {
    tensors.push_back(json_of(g, f));
    tensors.back()["type"] = model::name_of(model::layer_type(g.name));
  }
  for (Gradient const& g : f.types) types.push_back(json_of(g, f));
  for (model::InitialNumbers const& n : f.initial.off())
    off.push_back({{"tensor", n.tensor},
                   {"mean", finite_or_null(n.mean)},
                   {"deviation", finite_or_null(n.deviation)},
                   {"expected_mean", n.expected_mean},
                   {"expected_deviation", n.expected_deviation},
                   {"standard_errors", finite_or_null(n.errors)}});
  double const factor = clip_factor(f.all.norm(), f.clip);
  return {{"read", f.read},
          {"tokens", f.tokens},
          {"loss", finite_or_null(f.loss)},
          {"loss_of_uniform", std::log(double(c.vocab))},
          {"norm", finite_or_null(f.all.norm())},
          {"usual", {{"least", kUsualLeast}, {"most", kUsualMost}, {"is", band(f.all.norm())}}},
          {"clip", {{"at", f.clip}, {"acts", factor < 1}, {"factor", finite_or_null(factor)}}},
          {"types", types},
          {"tensors", tensors},
          {"initial", {{"trained", f.trained}, {"off", off}}}};
}

bool steps_taken(model::ModelDirectory const& directory) {  // a checkpoint says so itself
  Path const state = directory.path() / "state.json";
  std::error_code error;
  return std::filesystem::exists(state, error) && get_integer(read_json(state), "step", state.string()) > 0;
}

// The data that the run reads: prepared by itself from a text, or those that it was given. Empty where they are gone.
std::string data_of_run(Path const& run) {
  std::error_code error;
  if (std::filesystem::exists(run / "data", error)) return (run / "data").string();
  TrainCommand c;
  read_config_of_run(c, run);
  if (std::filesystem::exists(c.data, error)) return c.data;
  say(Level::warning, fmt::format("the run's data {} are gone: random tokens instead; or give --data", c.data));
  return "";
}

// The batch, and what it is in words.
std::pair<data::HostBatch, std::string> batch_of(model::Config const& c, model::ModelDirectory const* directory,
                                                 Path const& run, GradientOptions const& o) {
  std::string const path = o.data.empty() && !run.empty() ? data_of_run(run) : o.data;
  if (path.empty()) return {random_batch(o.batch, c.context, c.vocab, o.seed), kRandom};
  data::Dataset const data = open_data(path, c.vocab);
  if (directory) (void)tokenizer_of(data, directory->path());
  data::HostBatch batch;
  data::Batcher(data.split("train"), {.batch = o.batch, .context = c.context, .seed = o.seed}).next(batch);
  return {batch, path};
}

}  // namespace

Fields GradientOptions::fields() {
  char const* group = "Gradients";
  Fields const own = {
      {"gradients", &gradients, "one pass forward and backward: gradients by tensor and type of layer", {}, group},
      {"data",
       &data,
       "prepared data that the pass reads; else the run's own, else random tokens",
       {.form = "DATA", .by_flag_only = true},
       group},
      {"batch", &batch, "sequences of the pass", {.min = 1, .max = 1 << 20}, group},
      {"clip", &clip, "would clipping at this norm act?", {.min = 0}, group},
      {"seed", &seed, "of new weights, random tokens and the batch drawn from the data", {}, group}};
  return joined({own, backend.fields()});
}

void inspect_gradients(model::Config const& shape, model::ModelDirectory const* directory, Path const& run,
                       GradientOptions const& o, bool json) {
  model::Config c = shape;
  c.dropout = {};
  Findings f;
  f.clip = o.clip;
  auto const [batch, read] = batch_of(c, directory, run, o);
  auto const backend = o.backend.make();
  auto const of_batch = [&](int64_t sequences) -> train::TrainerOptions {
    return {.config = c,
            .dtype = o.backend.compute_type(),
            .batch = sequences,
            .length = c.context,
            .chunk = train::chunk_for(sequences * c.context, c.vocab),
            .seed = o.seed,
            .initialise = directory == nullptr,
            .optimizer = {.rule = Optimizer::Rule::sgd},  // has no moments
            .decide = {},
            .classifier = {}};
  };
  Ask const ask = ask_for_batch(*backend, "the pass", o.batch,
                                [&](int64_t sequences) { return train::Trainer::plan(*backend, of_batch(sequences)); });
  auto trainer = take_room(*backend, ask, [&] { return train::Trainer(*backend, of_batch(o.batch)); });
  if (directory) directory->load(*backend, trainer.weights());
  f.initial = model::check_initial(*backend, trainer.weights());
  f.trained = f.initial.trained() || (directory && steps_taken(*directory));
  trainer.accumulate(batch, 0);
  f.loss = trainer.state().loss, f.read = read, f.tokens = o.batch * c.context;
  measure(*backend, trainer.weights(), f);
  if (json) return print(dump(json_of(f, c), 2) + '\n');
  std::string const what = read == kRandom ? kRandom : "tokens of " + read;
  std::string const head = fmt::format("{}: {} sequences of {} {}, no dropout; loss {:.4f} (ln V is {:.4f})",
                                       directory ? directory->path().string() : "a new model", o.batch, c.context, what,
                                       f.loss, std::log(double(c.vocab)));
  print(wrapped(head, 0) + '\n' + rows(f.types, f, "type") + '\n' + rows(f.tensors, f, "tensor") + '\n' +
        wrapped(verdict(f), 0) + wrapped(initial_text(f), 0));
}

}  // namespace folio::cli

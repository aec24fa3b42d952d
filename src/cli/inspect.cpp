// folio inspect: the shape of a model, its tensors, and where its parameters are; also of a shape that no file holds
// yet.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/inspect_data.h"
#include "cli/inspect_gradients.h"
#include "cli/kind.h"
#include "cli/resolve_model.h"
#include "cli/verbs.h"
#include "core/json.h"
#include "core/progress.h"
#include "data/dataset.h"
#include "model/checkpoint.h"
#include "model/sizes.h"
#include "model/statistics.h"
#include "report/table.h"
#include "text/tokenizer.h"

namespace folio::cli {
namespace {

using report::grouped;

struct Part {
  char const *key, *name;
  int64_t parameters;
};
std::vector<Part> parts_of(model::ParameterCounts const& n) {
  return {{"token_embedding", "token embedding", n.token_embedding},
          {"position_embedding", "position embedding", n.position_embedding},
          {"attention", "attention", n.attention},
          {"mlp", "MLP", n.mlp},
          {"norms", "layer norms", n.norms},
          {"head", "head", n.head}};
}

struct Row {  // tensors of one name; a block's stand for those of all blocks
  std::string name;
  Shape shape;
  int64_t times;
};
std::vector<Row> tensors_of(model::Config c) {
  int64_t const layers = std::exchange(c.layers, 1);
  model::Weights w{
      .config = c, .wte = {}, .wpe = {}, .blocks = std::vector<model::BlockWeights>(1), .ln_f = {}, .head = {}};
  std::vector<Row> rows;
  for_each(w, [&](std::string const& name, Weight const&, model::Spec const& spec) {
    bool const block = name.starts_with("h.0.");
    rows.push_back({block ? "h.*." + name.substr(4) : name, spec.shape, block ? layers : 1});
  });
  return rows;
}

std::string shape_line(model::Config const& c) {
  auto rate = [](double p) { return fmt::format("{}", p); };
  model::DropoutRates const& d = c.dropout;
  std::string line = "GPT-2: " + model::describe(c);
  if (d != model::DropoutRates{})
    line += fmt::format("; trained with dropout {} (embedding), {} (attention), {} and {} (residual)",
                        rate(d.embedding), rate(d.attention), rate(d.attention_residual), rate(d.mlp_residual));
  return wrapped(line, 0);
}

std::string parts_text(model::ParameterCounts const& n) {
  report::Table table({{"part", false}, {"parameters"}, {"share"}});
  auto row = [&](char const* name, int64_t parameters) {
    table.row({name, grouped(parameters), fmt::format("{:.1f} %", 100.0 * double(parameters) / double(n.total()))});
  };
  for (Part const& p : parts_of(n))
    if (p.parameters > 0) row(p.name, p.parameters);
  row("total", n.total());
  std::string out = table.text();
  if (n.saved_by_tying > 0)
    out += fmt::format("The head is the token embedding, which saves {} parameters.\n", grouped(n.saved_by_tying));
  return out + fmt::format("{} as f32\n", format_bytes(4.0 * double(n.total())));
}

std::string tensors_text(model::Config const& c) {
  report::Table table({{"tensor", false}, {"shape", false}, {"parameters"}, {"times"}});
  for (Row const& r : tensors_of(c)) table.row({r.name, r.shape.text(), grouped(r.shape.size()), grouped(r.times)});
  return table.text();
}

// A stored tensor that the model has: zero biases of a model without them are not listed.
struct Measured {
  std::string name;
  Shape shape;
  model::TensorStatistics values;
};
std::vector<Measured> measure(model::ModelDirectory const& directory) {
  std::vector<Measured> all;
  Progress progress;
  auto const stored = directory.stored();
  for (auto const& s : stored) {
    if (s.tensor == nullptr || (!directory.config().bias && s.name.ends_with(".bias"))) continue;
    if (progress.due()) progress.show({fmt::format("{}/{} tensors", all.size(), stored.size())});
    std::string const prefix = "transformer.";
    all.push_back({s.name.starts_with(prefix) ? s.name.substr(prefix.size()) : s.name, s.shape,
                   model::statistics_of(*s.file, *s.tensor)});
  }
  progress.finish();
  return all;
}

std::string measured_text(std::vector<Measured> const& tensors) {
  report::Table table({{"tensor", false}, {"shape", false}, {"mean"}, {"deviation"}, {"least"}, {"largest"}});
  auto const number = [](double v) { return fmt::format("{:.1e}", v); };
  std::string broken;
  for (Measured const& t : tensors) {
    table.row({t.name, t.shape.text(), number(t.values.mean), number(t.values.deviation), number(t.values.min),
               number(t.values.max)});
    if (t.values.non_finite > 0)
      broken += wrapped(fmt::format("{} has {} values that are not finite; its row is of the others", t.name,
                                    grouped(t.values.non_finite)),
                        0);
  }
  return table.text() + broken;
}

Json measured_json(std::vector<Measured> const& tensors) {
  Json all = Json::array();
  for (Measured const& t : tensors) {
    Json shape = Json::array();
    for (int i = 0; i < t.shape.rank(); ++i) shape.push_back(t.shape[i]);
    all.push_back({{"name", t.name},
                   {"shape", shape},
                   {"times", 1},
                   {"mean", t.values.mean},
                   {"deviation", t.values.deviation},
                   {"min", t.values.min},
                   {"max", t.values.max},
                   {"non_finite", t.values.non_finite}});
  }
  return all;
}

Json json_of(model::Config const& c) {
  model::ParameterCounts const n = model::count_parameters(c);
  Json parts = Json::object(), tensors = Json::array();
  for (Part const& p : parts_of(n)) parts[p.key] = p.parameters;
  parts["total"] = n.total();
  for (Row const& r : tensors_of(c)) {
    Json shape = Json::array();
    for (int i = 0; i < r.shape.rank(); ++i) shape.push_back(r.shape[i]);
    tensors.push_back({{"name", r.name}, {"shape", shape}, {"times", r.times}});
  }
  return {{"layers", c.layers},
          {"heads", c.heads},
          {"channels", c.channels},
          {"context", c.context},
          {"vocab", c.vocab},
          {"bias", c.bias},
          {"tied", c.tied},
          {"dropout",
           {{"embedding", c.dropout.embedding},
            {"attention", c.dropout.attention},
            {"attention_residual", c.dropout.attention_residual},
            {"mlp_residual", c.dropout.mlp_residual}}},
          {"parameters", parts},
          {"saved_by_tying", n.saved_by_tying},
          {"tensors", tensors}};
}

std::string tokenizer_of(model::ModelDirectory const& model) {  // its name at training; else its folder's
  if (!text::has_tokenizer(model.path())) return "";
  std::string const& name = model.info().tokenizer;
  return name.empty() ? text::load_tokenizer(model.path().string())->name() : name;
}

void show(model::Config const& c, model::ModelDirectory const* directory, bool json) {
  std::string const tokenizer = directory ? tokenizer_of(*directory) : "";
  if (json) {
    Json all = json_of(c);
    if (directory)
      all.update({{"path", directory->path().string()},
                  {"stored_dtype", directory->dtype()},
                  {"stored_bytes", directory->stored_bytes()},
                  {"tokenizer", tokenizer.empty() ? Json(nullptr) : Json(tokenizer)},
                  {"tensors", measured_json(measure(*directory))}});
    return print(dump(all, 2) + '\n');
  }
  std::string out;
  if (directory)
    out = fmt::format("{}\nstored as {}, {}; tokenizer: {}\n", directory->path().string(), directory->dtype(),
                      format_bytes(double(directory->stored_bytes())), tokenizer.empty() ? "none" : tokenizer);
  print(out + shape_line(c) + '\n' + parts_text(model::count_parameters(c)) + '\n' +
        (directory ? measured_text(measure(*directory)) : tensors_text(c)));
}

// The first of these flags that is given, or "": a variable of the environment may be meant for another verb.
std::string flag_among(Arguments const& arguments, Fields const& fields) {
  for (std::string const& word : arguments) {
    std::string const name = word.substr(0, word.find('='));
    for (Field const& field : fields)
      if (name == "--" + field.name || name == "--no-" + field.name) return name;
  }
  return "";
}

// The shape that the flags describe, with the vocabulary of the data where there are some.
model::Config shape_beside(model::ModelOptions const& shape, std::string const& data) {
  if (data.empty()) return shape.config();
  return shape.config(data::Dataset(data, shape.vocab > 0 ? std::optional(shape.vocab) : std::nullopt).vocab());
}

}  // namespace

int inspect(Arguments const& arguments) {
  std::vector<std::string> models;
  Origins given;
  model::ModelOptions shape;
  bool json = false;
  int64_t window = 64;
  Fields const data_fields = {
      {"window", &window, "of data: ids in a window that is looked for elsewhere", {.min = 1, .max = 65536}, "Data"}};
  GradientOptions gradients;
  Spec const spec{
      .name = "inspect",
      .summary = "what is in a model or in prepared data",
      .details =
          "MODEL is a model directory, a run (its best, else newest checkpoint) or a checkpoint. Of each "
          "tensor: mean, deviation, least and largest value. Without a MODEL the flags describe a shape. Of "
          "DATA: tokens, ids used, the most frequent, "
          "how much is repeated, how much of val stands in train, and a sample. With --gradients a batch goes "
          "through the model and back: the norm of each tensor's gradient, whether clipping would act, and "
          "whether a new model's weights are what they should be.",
      .example =
          "folio inspect runs/first\nfolio inspect data/mine\nfolio inspect --size 124M\nfolio inspect --size "
          "124M --layers 6 --context 256\nfolio inspect --size baby --gradients",
      .positionals = {{"MODEL|DATA", &models, "a model directory, a run or a checkpoint; or what folio prepare wrote",
                       0, 1}},
      .fields = joined(
          {shape.fields(), data_fields, gradients.fields(), {{"json", &json, "print one JSON object", {}, "Output"}}})};
  if (!parse(spec, arguments, &given)) return 0;
  std::string const of_gradients = flag_among(arguments, gradients.fields());
  check(of_gradients.empty() || gradients.gradients, Fault::value,
        "{} is of --gradients: give that too, or leave the flag away", of_gradients);
  if (models.empty()) {
    check(given.size() > given.count("json"), Fault::usage,
          "what to inspect? Give a MODEL or DATA, or a shape: folio inspect --size 124M");
    if (gradients.gradients) inspect_gradients(shape_beside(shape, gradients.data), nullptr, {}, gradients, json);
    else show(shape.config(), nullptr, json);
    return 0;
  }
  Kind const kind = what_is(models[0]);
  std::string const of_models = flag_among(arguments, shape.fields()), of_data = flag_among(arguments, data_fields);
  if (kind == Kind::data || kind == Kind::ids_folder || kind == Kind::shard || kind == Kind::ids) {
    for (std::string const& flag : {of_models, of_gradients})
      check(flag.empty(), Fault::value, "{} is of models, and {} is {}: leave the flag away", flag, models[0],
            words_for(kind).noun);
    inspect_data(models[0], window, json);
    return 0;
  }
  check(of_models.empty(), Fault::value, "{} contradicts {}: the model brings its shape; leave the flag away",
        of_models, models[0]);
  check(of_data.empty(), Fault::value, "{} is of data, and {} is a model: leave the flag away", of_data, models[0]);
  model::ModelDirectory const directory(verified_model(models[0]));
  if (gradients.gradients)
    inspect_gradients(directory.config(), &directory, kind == Kind::run ? Path(models[0]) : Path(), gradients, json);
  else show(directory.config(), &directory, json);
  return 0;
}

}  // namespace folio::cli

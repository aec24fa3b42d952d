#include "train/step_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/safetensors.h"
#include "model/sizes.h"
#include "train/checkpoint.h"

namespace folio::train {
namespace {

constexpr int64_t kVersion = 1;
constexpr char const* kKey = "folio";  // of the metadata: a JSON text with all that is no tensor

void from_text(Json const& json, char const* key, Fields const& fields, std::string const& name) try {
  from_toml(fields, get_string(json, key, name), fmt::format("{}, {}", name, key));
} catch (Error const& e) {
  fail(Fault::content, "{}", e.what());
}

template <class T>
std::vector<T> read(model::SafetensorsFile const& file, char const* tensor, DType dtype,
                    std::vector<int64_t> const& shape) {
  model::StoredTensor const* const t = file.find(tensor);
  check(t != nullptr, Fault::content, "{}: {} is missing", file.path().string(), tensor);
  check(t->shape == shape && model::dtype_named(t->dtype) == dtype, Fault::content,
        "{}: {} is {} of {}; {} of {} is expected", file.path().string(), tensor, model::shape_text(t->shape), t->dtype,
        model::shape_text(shape), model::stored_name(dtype));
  std::vector<T> values(static_cast<size_t>(t->count));
  std::memcpy(values.data(), file.bytes(*t).data(), t->bytes);
  return values;
}

void check_batch(data::HostBatch const& b, int64_t vocab, std::string const& name) {
  try {
    model::check_ids(b.tokens, 0, vocab);
    model::check_ids(b.targets, -1, vocab);
  } catch (Error const& e) {
    fail(Fault::content, "{}: {}", name, e.what());
  }
  check(std::ranges::all_of(b.token_weights, [](float w) { return std::isfinite(w) && w >= 0; }), Fault::content,
        "{}: a token's weight is negative or no number", name);
  check(std::ranges::all_of(b.sequences, [](int64_t s) { return s >= 0; }), Fault::content,
        "{}: the number of a sequence is negative", name);
  check(std::isfinite(b.total_weight) && b.total_weight > 0, Fault::content,
        "{}: the weight of all tokens is {}: expected a number above 0", name, b.total_weight);
}

}  // namespace

void save_step(Path const& path, Backend& backend, Trainer const& trainer, SavedStep const& step) {
  RunOptions options = step.options;
  model::ModelOptions shape = model::ModelOptions::of(step.config);
  Json const json = {{"format", "folio-step"},
                     {"version", kVersion},
                     {"model", to_toml(shape.fields())},
                     {"options", to_toml(fields(options))},
                     {"dtype", model::stored_name(step.dtype)},
                     {"rate", bits_of(step.rate)},
                     {"total_weight", bits_of(step.batch.total_weight)},
                     {"before", to_json(step.before)}};
  int64_t const A = trainer.options().accumulate, B = trainer.options().batch, T = trainer.options().length;
  std::vector<model::SafetensorsWriter::Entry> entries = {{"batch.tokens", DType::i32, {A, B, T}},
                                                          {"batch.targets", DType::i32, {A, B, T}},
                                                          {"batch.token_weights", DType::f32, {A, B, T}},
                                                          {"batch.sequences", DType::i64, {A, B}}};
  for_each(trainer.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    entries.push_back({name, w.master.dtype, w.shape});
  });
  model::SafetensorsWriter file(path, entries, {{kKey, dump(json)}});
  file.write(std::as_bytes(std::span(step.batch.tokens)));
  file.write(std::as_bytes(std::span(step.batch.targets)));
  file.write(std::as_bytes(std::span(step.batch.token_weights)));
  file.write(std::as_bytes(std::span(step.batch.sequences)));
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    model::write_tensor(file, w.master, backend);
  });
  file.commit();
}

SavedStep read_step(Path const& path) {
  model::SafetensorsFile const file(path);
  std::string const name = path.string();
  auto const found = file.metadata().find(kKey);
  check(found != file.metadata().end(), Fault::content,
        "{} is no step that folio saved: its metadata has no `{}`; give the file that a `not-finite` line of "
        "metrics.jsonl names",
        name, kKey);
  Json const json = parse_json(found->second, name);
  check(json.is_object() && find_string(json, "format", name) == "folio-step", Fault::content,
        "{} is no step that folio saved: its `format` is not folio-step", name);
  get_version(json, kVersion, name);
  SavedStep step;
  model::ModelOptions shape;
  from_text(json, "model", shape.fields(), name);
  from_text(json, "options", fields(step.options), name);
  try {
    step.config = shape.config();
    validate(step.options);
  } catch (Error const& e) {
    fail(Fault::content, "{}: {}", name, e.what());
  }
  auto const dtype = model::dtype_named(get_string(json, "dtype", name));
  check(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f64, Fault::content,
        "{}: no run computes in {}", name, get_string(json, "dtype", name));
  step.dtype = *dtype;
  step.rate = from_bits(get_string(json, "rate", name), name);
  check(std::isfinite(step.rate) && step.rate >= 0, Fault::content, "{}: a rate of {}: expected 0 or more", name,
        step.rate);
  check(json.contains("before") && json["before"].is_object(), Fault::content, "{}: `before` is missing or no object",
        name);
  step.before = step_state_from(json["before"], name);
  int64_t const A = step.options.accumulate, B = step.options.batch, T = step.config.context;
  data::HostBatch& b = step.batch;
  b.tokens = read<int32_t>(file, "batch.tokens", DType::i32, {A, B, T});
  b.targets = read<int32_t>(file, "batch.targets", DType::i32, {A, B, T});
  b.token_weights = read<float>(file, "batch.token_weights", DType::f32, {A, B, T});
  b.sequences = read<int64_t>(file, "batch.sequences", DType::i64, {A, B});
  b.total_weight = from_bits(get_string(json, "total_weight", name), name);
  check_batch(b, step.config.vocab, name);
  return step;
}

void load_step_weights(Path const& path, Backend& backend, Trainer& trainer) {
  model::SafetensorsFile const file(path);
  for_each(trainer.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    model::StoredTensor const* const t = file.find(name);
    check(t != nullptr, Fault::content, "{}: {} is missing", path.string(), name);
    std::vector<int64_t> shape;
    for (int i = 0; i < w.shape.rank(); ++i) shape.push_back(w.shape[i]);
    check(t->shape == shape && model::dtype_named(t->dtype) == w.master.dtype, Fault::content,
          "{}: {} is {} of {}; {} of {} is expected", path.string(), name, model::shape_text(t->shape), t->dtype,
          w.shape, model::stored_name(w.master.dtype));
    model::read_tensor(file, *t, w.master, backend);
    backend.prepare(w);
  });
}

}  // namespace folio::train

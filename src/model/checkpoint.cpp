#include "model/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "model/config_json.h"
#include "model/safetensors.h"

namespace folio::model {
namespace {

namespace fs = std::filesystem;

constexpr char const* kPrefix = "transformer.";
constexpr char const* kFile = "model.safetensors";
constexpr char const* kIndex = "model.safetensors.index.json";

std::vector<int64_t> dimensions(Shape const& s) {
  std::vector<int64_t> out;
  for (int i = 0; i < s.rank(); ++i) out.push_back(s[i]);
  return out;
}

bool there(Path const& p) {
  std::error_code ignored;
  return fs::exists(p, ignored);
}

bool is_plain_name(std::string const& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos && name.find('\0') == name.npos;
}

// l of "h.l.…", or −1.
int64_t layer_of(std::string const& name) {
  if (!name.starts_with("h.")) return -1;
  int64_t layer = -1;
  auto const [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), layer);
  return error == std::errc{} && end != name.data() + name.size() && *end == '.' ? layer : -1;
}

bool is_mask(std::string const& name) {  // the causal mask, which old versions of transformers stored
  return layer_of(name) >= 0 && (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

bool is_bias(std::string const& name) { return name.ends_with(".bias"); }

// What a config without biases would need with them: the list of what is in files.
Config in_files(Config c) {
  c.bias = true;
  return c;
}

// f(name, shape, in the list): what a file holds for this config.
template <class F>
void for_each_stored(Config const& c, F f) {
  Weights w{.config = in_files(c),
            .wte = {},
            .wpe = {},
            .blocks = std::vector<BlockWeights>(static_cast<size_t>(c.layers)),
            .ln_f = {},
            .head = {}};
  for_each(w, [&](std::string const& name, Weight&, Spec const& spec) { f(name, spec.shape); });
}

// The rows that both have.
void read_rows(SafetensorsFile const& file, StoredTensor const& from, Tensor to, Backend& backend) {
  int64_t const rows = std::min(from.shape[0], to.shape[0]);
  StoredTensor part = from;
  part.shape[0] = rows;
  part.count = from.count / from.shape[0] * rows;
  part.bytes = from.bytes / static_cast<size_t>(from.shape[0]) * static_cast<size_t>(rows);
  read_tensor(file, part, to.slice(0, rows), backend);
}

std::string stored_as(std::string const& name) { return name == "lm_head.weight" ? name : kPrefix + name; }

}  // namespace

ModelDirectory::ModelDirectory(Path const& path) : path_(path) {
  check(there(path), Fault::missing, "{} does not exist: give a model directory", path.string());
  check(fs::is_directory(path), Fault::content, "{} is not a directory: a model is a directory with config.json and {}",
        path.string(), kFile);
  check(there(path / "config.json"), Fault::content, "{} has no config.json: it is no model directory", path.string());
  info_ = read_config(path / "config.json");
  open_files();
  check_layers();
  check_tensors();
}

ModelDirectory::~ModelDirectory() = default;
ModelDirectory::ModelDirectory(ModelDirectory&&) noexcept = default;

void ModelDirectory::open_files() {
  if (there(path_ / kFile)) {
    files_.push_back(std::make_unique<SafetensorsFile>(path_ / kFile));
    return add_tensors(*files_.back(), nullptr);
  }
  check(there(path_ / kIndex), Fault::content, "{} has no {}: {}", path_.string(), kFile,
        there(path_ / "pytorch_model.bin")
            ? "pytorch_model.bin is not read; load it with transformers and save it again"
            : "it is no model directory");
  std::string const origin = (path_ / kIndex).string();
  Json const index = read_json(path_ / kIndex);
  auto const map = index.find("weight_map");
  check(index.is_object() && map != index.end() && map->is_object(), Fault::content, "{} has no weight_map", origin);
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  for (auto const& [name, file] : map->items()) {
    check(file.is_string() && is_plain_name(file.get<std::string>()), Fault::content,
          "{}: the file of {} is not the name of a file beside it", origin, name);
    shard_of[name] = file.get<std::string>();
    shards.insert(shard_of[name]);
  }
  for (std::string const& shard : shards) {
    check(there(path_ / shard), Fault::content, "{} names {}, which is missing", origin, shard);
    files_.push_back(std::make_unique<SafetensorsFile>(path_ / shard));
    add_tensors(*files_.back(), &shard_of);
  }
  for (auto const& [name, shard] : shard_of) {
    std::string const plain = name.starts_with(kPrefix) ? name.substr(std::string_view(kPrefix).size()) : name;
    check(is_mask(plain) || tensors_.contains(plain), Fault::content, "{}: {} is missing in {}", origin, name, shard);
  }
}

void ModelDirectory::add_tensors(SafetensorsFile const& file, std::map<std::string, std::string> const* shard_of) {
  for (StoredTensor const& t : file.tensors()) {
    if (shard_of != nullptr) {
      auto const at = shard_of->find(t.name);
      check(at != shard_of->end() && at->second == file.path().filename(), Fault::content,
            "{}: the index does not say that {} is here", file.path().string(), t.name);
    }
    std::string const name = t.name.starts_with(kPrefix) ? t.name.substr(std::string_view(kPrefix).size()) : t.name;
    if (is_mask(name)) continue;
    check(tensors_.emplace(name, Place{&file, &t}).second, Fault::content,
          "{}: {} is there twice, with and without \"{}\"", file.path().string(), name, kPrefix);
  }
}

void ModelDirectory::check_layers() const {  // before the list is made: a lying n_layer costs nothing
  int64_t layers = 0;
  for (auto const& [name, place] : tensors_) layers = std::max(layers, layer_of(name) + 1);
  check(layers == config().layers, Fault::content, "{}: config.json says {} layers, but the tensors are of {}",
        path_.string(), config().layers, layers);
}

void ModelDirectory::check_tensors() {
  std::set<std::string> expected;
  for_each_stored(config(), [&](std::string const& name, Shape const& shape) {
    expected.insert(name);
    auto const at = tensors_.find(name);
    if (at == tensors_.end() && !config().bias && is_bias(name)) return;
    check(at != tensors_.end(), Fault::content, "{}: {} {} is missing", path_.string(), name, shape);
    auto const& [file, tensor] = at->second;
    check(tensor->shape == dimensions(shape), Fault::content, "{}: {} is {}, but config.json ({}) needs {}",
          file->path().string(), tensor->name, shape_text(tensor->shape), describe(config()), shape);
    std::string const& d = tensor->dtype;
    check(d == "F32" || d == "F16" || d == "BF16" || d == "F64", Fault::content,
          "{}: {} is of {}; F32, F16, BF16 or F64 is expected", file->path().string(), tensor->name, d);
  });
  for (auto const& [name, place] : tensors_)
    if (!expected.contains(name))
      check(config().tied && name == "lm_head.weight", Fault::content, "{}: {} {} is not a tensor of this GPT-2 ({})",
            place.file->path().string(), place.tensor->name, shape_text(place.tensor->shape), describe(config()));
  if (config().tied) check_tied_head();
  if (!config().bias)
    for (auto const& [name, place] : tensors_)
      if (is_bias(name)) check_zero(name);
}

// A model without biases is stored with zero ones, for those who know no such models.
void ModelDirectory::check_zero(std::string const& name) const {
  auto const& [file, tensor] = tensors_.at(name);
  std::vector<float> values(static_cast<size_t>(tensor->count));
  file->read(*tensor, 0, std::span(values));
  check(std::all_of(values.begin(), values.end(), [](float v) { return v == 0; }), Fault::content,
        "{}: {} is not zero, but config.json says that the model has no biases: set folio.bias to true there",
        file->path().string(), tensor->name);
}

// A tied head may be stored, if it is what it is tied to.
void ModelDirectory::check_tied_head() const {
  auto const at = tensors_.find("lm_head.weight");
  if (at == tensors_.end()) return;
  auto const& [file, head] = at->second;
  auto const& [other, wte] = tensors_.at("wte.weight");
  bool same = head->shape == wte->shape && head->dtype == wte->dtype;
  constexpr size_t kPiece = size_t{4} << 20;
  for (size_t at_byte = 0; same && at_byte < head->bytes; at_byte += kPiece) {
    size_t const n = std::min(kPiece, head->bytes - at_byte);
    same = std::ranges::equal(file->bytes(*head).subspan(at_byte, n), other->bytes(*wte).subspan(at_byte, n));
    file->was_read(n), other->was_read(n);
  }
  check(same, Fault::content,
        "{}: {} differs from wte.weight, but config.json ties them: set tie_word_embeddings to false there to use both",
        file->path().string(), head->name);
}

std::string ModelDirectory::dtype() const {
  std::set<std::string> names;
  for (auto const& [name, place] : tensors_) names.insert(place.tensor->dtype);
  std::string out;
  for (std::string const& n : names) out += (out.empty() ? "" : ", ") + n;
  return out;
}

std::vector<ModelDirectory::Stored> ModelDirectory::stored() const {
  std::vector<Stored> all;
  for_each_stored(config(), [&](std::string const& name, Shape const& shape) {
    auto const at = tensors_.find(name);
    if (at == tensors_.end()) all.push_back({stored_as(name), shape, nullptr, nullptr});
    else all.push_back({stored_as(name), shape, at->second.file, at->second.tensor});
  });
  return all;
}

uint64_t ModelDirectory::stored_bytes() const {
  uint64_t sum = 0;
  for (auto const& [name, place] : tensors_) sum += place.tensor->bytes;
  return sum;
}

void ModelDirectory::load(Backend& backend, Weights const& w, Positions positions) const {
  Config shape = w.config;
  shape.dropout = config().dropout;
  if (positions == Positions::any) shape.context = config().context;
  check(shape == config(), "{}: weights of {} are to be filled, but the model is {}", path_.string(),
        describe(w.config), describe(config()));
  for_each(w, [&](std::string const& name, Weight const& weight, Spec const&) {
    auto const& [file, tensor] = tensors_.at(name);
    if (name == "wpe.weight") read_rows(*file, *tensor, weight.master, backend);
    else read_tensor(*file, *tensor, weight.master, backend);
    backend.prepare(weight);
  });
}

void save_model(Path const& folder, TensorSource source, Weights const& w, ModelInfo info,
                std::span<Attachment const> attachments) {
  info.config = w.config;
  std::map<std::string, Tensor> masters;
  for_each(w, [&](std::string const& name, Weight const& weight, Spec const&) { masters[name] = weight.master; });
  DType const dtype = w.wte.master.dtype;
  std::vector<SafetensorsWriter::Entry> entries;
  for_each_stored(w.config, [&](std::string const& name, Shape const& shape) {
    entries.push_back({stored_as(name), dtype, shape});
  });
  SafetensorsWriter file(folder / kFile, entries, {{"format", "pt"}});
  for_each_stored(w.config, [&](std::string const& name, Shape const& shape) {
    if (auto const at = masters.find(name); at != masters.end()) return write_tensor(file, at->second, source);
    std::vector<std::byte> const zeros(static_cast<size_t>(shape.size()) * size_of(dtype));
    file.write(zeros);
  });
  file.commit();
  for (Attachment const& a : attachments) {
    check(is_plain_name(a.name) && a.name != kFile && a.name != "config.json", "\"{}\" cannot be attached to a model",
          a.name);
    write_file(folder / a.name, a.content);
  }
  write_file(folder / "config.json", config_json(info));
}

}  // namespace folio::model

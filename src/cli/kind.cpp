#include "cli/kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "core/error.h"
#include "core/json.h"
#include "data/dataset.h"
#include "data/manifest.h"
#include "text/tokenizer.h"

namespace folio::cli {

namespace {

namespace fs = std::filesystem;

bool has(Path const& folder, char const* name) {
  std::error_code ignored;
  return fs::exists(folder / name, ignored);
}

bool is_data_manifest(Path const& path) {
  try {
    Json const json = read_json(path);
    return json.is_object() && json.value("format", "") == "folio-data";
  } catch (std::exception const&) {
    return false;  // whatever it is, no such manifest
  }
}

bool is_run(Path const& path) { return has(path, "config.toml") && has(path, "checkpoints"); }
bool is_model(Path const& path) {
  return has(path, "config.json") && (has(path, "model.safetensors") || has(path, "model.safetensors.index.json"));
}

// What data::kind_of says, told apart further. What only looks like a model or data may be another thing.
Kind kind_of_folder(Path const& path, data::Kind kind) {
  if (is_run(path)) return Kind::run;
  if (is_model(path)) return has(path, "state.json") ? Kind::checkpoint : Kind::model;
  if (kind == data::Kind::prepared && is_data_manifest(path / data::kManifestFile)) return Kind::data;
  if (kind == data::Kind::tokens) return Kind::ids_folder;
  if (text::has_tokenizer(path)) return Kind::tokenizer;
  if (has(path, "encoder.json") && has(path, "vocab.bpe")) return Kind::vocabulary;
  return kind == data::Kind::text ? Kind::texts : Kind::folder;
}

bool begins_as_text(Path const& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4096> first{};
  in.read(first.data(), first.size());
  std::string_view const begin(first.data(), static_cast<size_t>(in.gcount()));
  return begin.find('\0') == begin.npos;
}

Kind kind_of_file(Path const& path, data::Kind kind) {
  if (kind == data::Kind::model) return Kind::weights;
  if (kind == data::Kind::tokens) return data::is_shard(path) ? Kind::shard : Kind::ids;
  return begins_as_text(path) ? Kind::text : Kind::bytes;
}

constexpr char const* kGenerate = "folio generate {} --prompt TEXT";
constexpr char const* kEval = "folio eval {} --data DATA";
constexpr char const* kInspect = "folio inspect {}";
constexpr char const* kFrom = "folio train --from {} --data DATA --out RUN";
constexpr char const* kTrain = "folio train --data {} --out RUN";
constexpr char const* kJudge = "folio eval MODEL --data {}";
constexpr char const* kTokenize = "folio tokenize --tokenizer {} FILE";
constexpr char const* kPrepare = "folio prepare {} --tokenizer gpt2 --out DATA";

}  // namespace

Kind what_is(Path const& path) {
  std::error_code error;
  fs::file_status const status = fs::status(path, error);
  if (!fs::exists(status)) return Kind::missing;
  if (fs::is_directory(status)) return kind_of_folder(path, data::kind_of(path));
  return fs::is_regular_file(status) ? kind_of_file(path, data::kind_of(path)) : Kind::device;
}

bool is_text(Kind kind) { return kind == Kind::text || kind == Kind::texts || kind == Kind::bytes; }

KindWords const& words_for(Kind kind) {
  static std::array<KindWords, 16> const kWords = {{
      {"missing", "nothing", {}},
      {"run", "a run", {kGenerate, kEval, kInspect, "folio train --out {} --resume"}},
      {"checkpoint", "a checkpoint of a run", {kGenerate, kEval, kInspect, kFrom}},
      {"model", "a model directory", {kGenerate, kEval, kInspect, kFrom}},
      {"data", "prepared data", {kTrain, kJudge}},
      {"ids-folder", "a folder of plain token ids", {kTrain, kJudge}},
      {"tokenizer", "a tokenizer", {kTokenize, "folio prepare TEXT --tokenizer {} --out DATA"}},
      {"vocabulary", "GPT-2's vocabulary", {"folio tokenize --tokenizer gpt2 FILE"}},
      {"texts", "a folder with texts", {kPrepare, kTrain}},
      {"folder", "a folder that folio does not know", {}},
      {"shard", "a shard of token ids", {kTrain, kJudge}},
      {"ids", "a file of plain token ids", {kTrain, kJudge, "folio detokenize {}"}},
      {"weights", "a file of tensors", {"folio info THE-FOLDER-IT-LIES-IN"}},
      {"text", "a text", {kPrepare, kTrain, "folio tokenize {}"}},
      {"bytes", "a file that is not text", {}},
      {"device", "neither a file nor a folder", {}},
  }};
  return kWords[static_cast<size_t>(kind)];
}

std::string advice_for(Kind kind, Path const& path) {
  auto const& verbs = words_for(kind).verbs;
  return verbs.empty() ? ""
                       : fmt::format("use `{}`", fmt::format(fmt::runtime(verbs.front()), shell_quoted(path.string())));
}

void expect_model(Path const& path) {
  Kind const kind = what_is(path);
  if (kind == Kind::model || kind == Kind::checkpoint || kind == Kind::run) return;
  check(kind != Kind::missing, Fault::missing, "{} does not exist: give a model directory, a run or a checkpoint",
        path.string());
  std::string const advice = advice_for(kind, path);
  fail(Fault::content, "{} is {}, not a model: {}", path.string(), words_for(kind).noun,
       advice.empty() ? "give a model directory, a run or a checkpoint" : advice);
}

}  // namespace folio::cli

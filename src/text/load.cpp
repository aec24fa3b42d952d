// Finds a tokenizer by its name or in a directory.
#include <fmt/core.h>
#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/hash.h"
#include "core/paths.h"
#include "text/bpe_files.h"
#include "text/char_tokenizer.h"
#include "text/visible.h"

namespace folio::text {
namespace {

constexpr JsonLimits kTokenizerJson{.bytes = size_t{256} << 20};

struct KnownFile {
  char const* name;
  char const* sha256;
};
constexpr KnownFile kVocabulary{"encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"};
constexpr KnownFile kMerges{"vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"};
constexpr char const* kGpt2Digest = "17b79e1d80cec58f5f74ad4c5e63a538";

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  check(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1, "sha256: OpenSSL failed");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

void check_known(Path const& directory, KnownFile const& known) {
  auto const path = directory / known.name;
  check(std::filesystem::exists(path), Fault::missing,
        "the GPT-2 vocabulary is not here: {} does not exist; run scripts/get-data, which places it there",
        path.string());
  check(sha256(read_file(path, uint64_t{16} << 20)) == known.sha256, Fault::content,
        "{} is not GPT-2's (its SHA-256 differs); remove it and run scripts/get-data", path.string());
}

/// Of everything that decides ids.
std::string digest(BpeParts const& parts) {
  Hasher hasher;
  for (auto const& t : parts.tokens) {
    hasher.add(t);
    hasher.add(std::string_view("\0", 1));
  }
  hasher.add(std::as_bytes(std::span(parts.merges)));
  for (auto const& a : parts.added) hasher.add(fmt::format("{} {} {} ", a.id, a.text, a.special));
  return hasher.hex();
}

std::unique_ptr<Tokenizer> finish(BpeParts parts, Path const& directory, std::string const& origin) {
  auto const folder = std::filesystem::weakly_canonical(directory).filename().string();
  parts.name = digest(parts) == kGpt2Digest ? "gpt2" : folder;
  return make_bpe_tokenizer(std::move(parts), origin);
}

std::unique_ptr<Tokenizer> load_gpt2() {
  auto const directory = data_directory() / "gpt2";
  check_known(directory, kVocabulary);
  check_known(directory, kMerges);
  return finish(read_bpe_files(directory / kVocabulary.name, directory / kMerges.name), directory, directory.string());
}

std::unique_ptr<Tokenizer> load_json(Path const& directory) {
  auto const origin = (directory / "tokenizer.json").string();
  auto const json = read_json(origin, kTokenizerJson);
  check(json.is_object() && json.contains("model") && json["model"].is_object(), Fault::content,
        "{}: no model in it; a tokenizer in Hugging Face's form was expected", origin);
  auto const version = find_string(json, "version", origin).value_or("1.0");
  check(version == "1.0", Fault::content, "{}: version {} of the format; this folio reads version 1.0", origin,
        visible(version));
  auto const type = get_string(json["model"], "type", origin + ": model");
  if (type == "WordLevel") return read_char_json(json, origin);
  check(type == "BPE", Fault::content, "{}: a model of the type {}; BPE and character tokenizers are supported", origin,
        visible(type));
  return finish(read_bpe_json(json, origin), directory, origin);
}

bool is_file(Path const& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

bool has_tokenizer(Path const& directory) {
  return is_file(directory / "tokenizer.json") ||
         (is_file(directory / "vocab.json") && is_file(directory / "merges.txt"));
}

std::unique_ptr<Tokenizer> load_tokenizer(std::string const& name) {
  if (name == "gpt2") return load_gpt2();
  Path const directory = name;
  std::error_code ignored;
  check(std::filesystem::exists(directory, ignored), Fault::missing,
        "no tokenizer {}: give gpt2 or a directory with tokenizer.json, or with vocab.json and merges.txt",
        visible(name));
  check(std::filesystem::is_directory(directory, ignored), Fault::content,
        "{} is a file: give the directory that holds the tokenizer's files", name);
  check(has_tokenizer(directory), Fault::missing,
        "{} holds no tokenizer: neither tokenizer.json nor vocab.json and merges.txt is there", name);
  if (is_file(directory / "tokenizer.json")) return load_json(directory);
  return finish(read_bpe_files(directory / "vocab.json", directory / "merges.txt"), directory, name);
}

}  // namespace folio::text

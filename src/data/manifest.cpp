#include "data/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"
#include "core/size.h"

namespace folio::data {

namespace {

constexpr char kFormat[] = "folio-data";
constexpr int64_t kVersion = 1;

Json json_of(ShardInfo const& s) {
  return {{"file", s.file}, {"tokens", s.tokens}, {"documents", s.documents}, {"size", s.size}, {"xxh3", s.hash}};
}

Json json_of(SplitEntry const& s) {
  Json shards = Json::array();
  for (ShardInfo const& shard : s.shards) shards.push_back(json_of(shard));
  return {{"tokens", s.tokens}, {"documents", s.documents}, {"text_bytes", s.text_bytes}, {"shards", shards}};
}

uint64_t get_count(Json const& j, std::string const& key, std::string const& name) {
  int64_t const n = get_integer(j, key, name);
  check(n >= 0, Fault::content, "{}: \"{}\" is {}, which counts nothing", name, key, n);
  return static_cast<uint64_t>(n);
}

std::string get_file_name(Json const& j, std::string const& name) {
  std::string const file = get_string(j, "file", name);
  bool const plain = !file.empty() && file != "." && file != ".." && file.find('/') == file.npos &&
                     file.find('\0') == file.npos && file.size() < 256;
  check(plain, Fault::content, "{}: \"{}\" is no name of a file beside the manifest", name, file);
  return file;
}

std::string get_hash(Json const& j, std::string const& name) {
  std::string const hash = get_string(j, "xxh3", name);
  check(hash.size() == 32 && hash.find_first_not_of("0123456789abcdef") == hash.npos, Fault::content,
        "{}: \"xxh3\" is {}, not 32 hex digits", name, hash);
  return hash;
}

Json const& get_member(Json const& j, std::string const& key, bool array, std::string const& name) {
  auto const at = j.find(key);
  check(at != j.end() && (array ? at->is_array() : at->is_object()), Fault::content, "{}: \"{}\" is missing or no {}",
        name, key, array ? "list" : "object");
  return *at;
}

SplitEntry split_of(std::string const& split, Json const& j, std::string const& name) {
  check(j.is_object(), Fault::content, "{}: the split \"{}\" is no object", name, split);
  SplitEntry s{.name = split,
               .tokens = get_count(j, "tokens", name),
               .documents = get_count(j, "documents", name),
               .text_bytes = get_count(j, "text_bytes", name),
               .shards = {}};
  Size tokens, documents;
  for (Json const& entry : get_member(j, "shards", true, name)) {
    check(entry.is_object(), Fault::content, "{}: a shard of \"{}\" is no object", name, split);
    s.shards.push_back({get_file_name(entry, name), get_count(entry, "tokens", name),
                        get_count(entry, "documents", name), get_count(entry, "size", name), get_hash(entry, name)});
    tokens = tokens + Size(s.shards.back().tokens);
    documents = documents + Size(s.shards.back().documents);
  }
  check(!s.shards.empty() && tokens.is(s.tokens) && documents.is(s.documents), Fault::content,
        "{}: the shards of \"{}\" hold {} tokens and {} documents, but the manifest counts {} and {}", name, split,
        tokens.text(), documents.text(), s.tokens, s.documents);
  return s;
}

void check_format(Json const& j, std::string const& name) {
  check(j.is_object() && find_string(j, "format", name) == kFormat, Fault::content,
        "{} is not the manifest of prepared data (its format is not \"{}\")", name, kFormat);
  int64_t const version = get_integer(j, "version", name);
  check(version <= kVersion, Fault::content,
        "{} is of version {} of the data format; this folio reads versions up to {}: use a newer folio", name, version,
        kVersion);
  check(version == kVersion, Fault::content, "{}: there is no version {} of the data format", name, version);
}

void read_tokenizer(Manifest& m, Json const& j, std::string const& name) {
  m.tokenizer = get_string(j, "name", name);
  m.tokenizer_fingerprint = get_string(j, "fingerprint", name);
  m.vocab = get_count(j, "vocab", name);
  check(m.vocab > 0 && m.vocab <= kLargestVocab, Fault::content, "{}: a vocabulary of {} makes no sense", name,
        m.vocab);
  m.end_of_text = find_integer(j, "end_of_text", name);
  for (Json const& entry : get_member(j, "files", true, name)) {
    check(entry.is_object(), Fault::content, "{}: a file of the tokenizer is no object", name);
    m.tokenizer_files.push_back({get_file_name(entry, name), get_count(entry, "size", name), get_hash(entry, name)});
  }
}

}  // namespace

void write_manifest(Path const& directory, Manifest const& m) {
  Json files = Json::array();
  for (FileEntry const& f : m.tokenizer_files) files.push_back({{"file", f.file}, {"size", f.size}, {"xxh3", f.hash}});
  Json tokenizer = {{"name", m.tokenizer}, {"fingerprint", m.tokenizer_fingerprint}, {"vocab", m.vocab}};
  tokenizer["end_of_text"] = m.end_of_text ? Json(*m.end_of_text) : Json();
  tokenizer["files"] = files;
  Json splits = Json::object();
  for (SplitEntry const& s : m.splits) splits[s.name] = json_of(s);
  Json const j = {
      {"format", kFormat},
      {"version", kVersion},
      {"tokenizer", tokenizer},
      {"masked", m.masked},
      {"made",
       {{"files", m.files}, {"separator", m.separator}, {"val", m.val}, {"val_by", m.split_by}, {"seed", m.seed}}},
      {"splits", splits}};
  write_json(directory / kManifestFile, j);
}

Manifest read_manifest(Path const& directory) {
  Path const path = directory / kManifestFile;
  std::string const name = path.string();
  Json const j = read_json(path);
  check_format(j, name);
  Manifest m;
  read_tokenizer(m, get_member(j, "tokenizer", false, name), name);
  m.masked = get_bool(j, "masked", name);
  Json const& made = get_member(j, "made", false, name);
  m.files = get_count(made, "files", name);
  m.separator = get_string(made, "separator", name);
  m.val = get_number(made, "val", name);
  m.split_by = get_string(made, "val_by", name);
  m.seed = get_count(made, "seed", name);
  for (auto const& [split, entry] : get_member(j, "splits", false, name).items())
    m.splits.push_back(split_of(split, entry, name));
  check(!m.splits.empty(), Fault::content, "{}: there is no split in it", name);
  return m;
}

}  // namespace folio::data

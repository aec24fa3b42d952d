// manifest.json of a checkpoint: {"format": "folio-checkpoint", "version": 1, "files": {NAME: {"size": bytes,
// "xxh3_128": 32 hex digits}}}. XXH3 finds what a disk or an interrupted copy did to a file; it is no signature.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/json.h"
#include "model/checkpoint.h"

namespace folio::model {
namespace {

namespace fs = std::filesystem;

constexpr char const* kName = "manifest.json";
constexpr char const* kFormat = "folio-checkpoint";
constexpr int64_t kVersion = 1;
constexpr char const* kOfACheckpoint[] = {"config.json", "model.safetensors", "optimizer.safetensors", "state.json"};

}  // namespace

void write_manifest(Path const& folder) {
  std::vector<Path> files;
  for (auto const& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != kName && !is_temporary(entry.path()))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Json list = Json::object();
  for (Path const& file : files) {
    list[file.filename().string()] = {{"size", fs::file_size(file)}, {"xxh3_128", hash_of_file(file)}};
  }
  write_json(folder / kName, Json{{"format", kFormat}, {"version", kVersion}, {"files", std::move(list)}});
}

namespace {

Json read_manifest(Path const& folder) {
  std::string const origin = (folder / kName).string();
  check(fs::is_regular_file(folder / kName), Fault::content, "{} does not exist: {} is no whole checkpoint", origin,
        folder.string());
  Json manifest = read_json(folder / kName);
  check(manifest.is_object() && find_string(manifest, "format", origin) == kFormat, Fault::content,
        "{} is not the manifest of a checkpoint", origin);
  get_integer(manifest, "version", origin);
  return manifest;
}

void compare(Path const& folder, Json const& manifest, std::string const& except) {
  std::string const origin = (folder / kName).string();
  auto const files = manifest.find("files");
  check(files != manifest.end() && files->is_object(), Fault::content, "{} lists no files", origin);
  for (char const* name : kOfACheckpoint)
    check(files->contains(name) || !fs::exists(folder / name), Fault::content,
          "{} does not list {}, which lies beside it", origin, name);
  for (auto const& [name, entry] : files->items()) {
    check(!name.empty() && name != "." && name != ".." && name.find('/') == name.npos, Fault::content,
          "{}: \"{}\" is not the name of a file beside it", origin, name);
    if (name == except) continue;
    Path const file = folder / name;
    int64_t const size = get_integer(entry, "size", origin + ": " + name);
    check(fs::is_regular_file(file), Fault::content, "{} is missing, though {} lists it", file.string(), kName);
    std::error_code error;
    uint64_t const actual = fs::file_size(file, error);
    check(!error, Fault::io, "{}: {}", file.string(), error.message());
    check(actual == static_cast<uint64_t>(size), Fault::content, "{} holds {} bytes; {} says {}", file.string(), actual,
          kName, size);
    check(hash_of_file(file) == get_string(entry, "xxh3_128", origin + ": " + name), Fault::content,
          "{} is damaged: its bytes are not those that {} was made from", file.string(), kName);
  }
}

template <class F>
std::string sentence_of(F f) {
  try {
    f();
  } catch (Error const& e) {
    if (e.fault != Fault::content && e.fault != Fault::missing) throw;  // a disk that cannot be read says nothing
    return e.what();
  }
  return {};
}

}  // namespace

std::string damage_of(Path const& folder, std::string const& except) {
  Json manifest;
  if (std::string const wrong = sentence_of([&] { manifest = read_manifest(folder); }); !wrong.empty()) return wrong;
  std::string const origin = (folder / kName).string();
  get_version(manifest, kVersion, origin);
  return sentence_of([&] { compare(folder, manifest, except); });
}

void verify_manifest(Path const& folder, std::string const& except) {
  std::string const damage = damage_of(folder, except);
  check(damage.empty(), Fault::content, "{}", damage);
}

}  // namespace folio::model

#include "data/dataset.h"

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "data/manifest.h"
#include "data/sources.h"
#include "text/tokenizer.h"

namespace folio::data {

namespace fs = std::filesystem;

namespace {

bool is_there(Path const& path) {
  std::error_code error;
  return fs::exists(path, error);
}
bool is_folder(Path const& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

}  // namespace

Split::Split(std::string name, std::vector<Shard> shards, std::optional<int64_t> text_bytes)
    : name_(std::move(name)), shards_(std::move(shards)), begins_{0}, document_begins_{0}, text_bytes_(text_bytes) {
  check(!shards_.empty(), "the split {} has no shard", name_);
  for (Shard const& s : shards_) {
    check(s.vocab() == vocab(), "the split {} has shards of two vocabularies", name_);
    begins_.push_back(begins_.back() + s.tokens());
    document_begins_.push_back(document_begins_.back() + static_cast<int64_t>(s.document_starts().size()));
    masked_ = masked_ || s.masked();
  }
  documents_ = document_begins_.back();
}

int64_t Split::document_start(int64_t document) const {
  check(document >= 0 && document < documents_, "{}: document {} of {}", name_, document, documents_);
  auto const after = std::ranges::upper_bound(document_begins_, document);
  auto const shard = static_cast<size_t>(after - document_begins_.begin() - 1);
  auto const in_shard = static_cast<size_t>(document - document_begins_[shard]);
  return begins_[shard] + static_cast<int64_t>(shards_[shard].document_starts()[in_shard]);
}

template <class Out, class Read>
void Split::each_part(int64_t begin, std::span<Out> out, Read read) const {
  auto const size = static_cast<int64_t>(out.size());
  check(begin >= 0 && begin <= tokens() && size <= tokens() - begin, "{}: {} tokens from {} of {}", name_, size, begin,
        tokens());
  auto shard = static_cast<size_t>(std::ranges::upper_bound(begins_, begin) - begins_.begin() - 1);
  for (; !out.empty(); ++shard) {
    auto const n = std::min<int64_t>(static_cast<int64_t>(out.size()), begins_[shard + 1] - begin);
    read(shards_[shard], begin - begins_[shard], out.first(static_cast<size_t>(n)));
    out = out.subspan(static_cast<size_t>(n));
    begin += n;
  }
}

void Split::read(int64_t begin, std::span<int32_t> out) const {
  each_part(begin, out, [](Shard const& s, int64_t at, std::span<int32_t> part) { s.read(at, part); });
}

void Split::read_mask(int64_t begin, std::span<uint8_t> out) const {
  each_part(begin, out, [](Shard const& s, int64_t at, std::span<uint8_t> part) { s.read_mask(at, part); });
}

Dataset::Dataset(Path const& path, std::optional<int64_t> plain_vocab) : path_(path) {
  switch (kind_of(path)) {
    case Kind::prepared:
      open_prepared();
      return;
    case Kind::tokens:
      if (!is_folder(path)) open_files({{"train", path}}, plain_vocab);
      else if (is_there(path / "val.bin"))
        open_files({{"train", path / "train.bin"}, {"val", path / "val.bin"}}, plain_vocab);
      else open_files({{"train", path / "train.bin"}}, plain_vocab);
      return;
    case Kind::text:
      fail(Fault::content, "{} is text, not tokens: folio prepare {} --out DATA makes tokens of it", path.string(),
           path.string());
    case Kind::model:
      fail(Fault::content, "{} is a model or a run, not data: give the data that folio prepare wrote", path.string());
    case Kind::other:
      fail(Fault::content,
           "{} holds no data: neither {} (folio prepare writes it) nor train.bin with plain tokens is there",
           path.string(), kManifestFile);
    case Kind::missing:
      fail(Fault::missing, "{} does not exist: give the directory that folio prepare wrote, or a file of tokens",
           path.string());
  }
}

void Dataset::open_prepared() {
  Manifest const m = read_manifest(path_);
  vocab_ = static_cast<int64_t>(m.vocab);
  tokenizer_name_ = m.tokenizer;
  tokenizer_fingerprint_ = m.tokenizer_fingerprint;
  tokenizer_directory_ = path_ / kTokenizerFolder;
  for (SplitEntry const& entry : m.splits) {
    std::vector<Shard> shards;
    for (ShardInfo const& info : entry.shards) {
      Path const file = path_ / info.file;
      shards.push_back(Shard::open(file));
      Shard const& s = shards.back();
      check(
          static_cast<uint64_t>(s.tokens()) == info.tokens && s.document_starts().size() == info.documents &&
              s.vocab() == vocab_ && s.masked() == m.masked,
          Fault::content,
          "{} holds {} tokens and {} documents of a vocabulary of {}, but the manifest says {}, {} and {}: they do not "
          "belong together",
          file.string(), s.tokens(), s.document_starts().size(), s.vocab(), info.tokens, info.documents, vocab_);
    }
    splits_.emplace_back(entry.name, std::move(shards), static_cast<int64_t>(entry.text_bytes));
  }
}

void Dataset::open_files(std::vector<std::pair<std::string, Path>> const& files, std::optional<int64_t> plain_vocab) {
  for (auto const& [name, file] : files) {
    bool const shard = is_shard(file);
    check(shard || plain_vocab, Fault::value,
          "{} holds plain tokens, which name no vocabulary: say how many ids there are (--vocab N)", file.string());
    std::vector<Shard> shards;
    shards.push_back(shard ? Shard::open(file) : Shard::plain(file, plain_vocab.value_or(0)));
    int64_t const vocab = shards.back().vocab();
    check(vocab_ == 0 || vocab == vocab_, Fault::content, "{} has a vocabulary of {}, {} beside it of {}",
          file.string(), vocab, files.front().second.string(), vocab_);
    vocab_ = vocab;
    splits_.emplace_back(name, std::move(shards));
  }
  Path const folder = is_folder(path_) ? path_ : Path(path_).parent_path();
  if (text::has_tokenizer(folder)) tokenizer_directory_ = folder;
}

bool Dataset::has(std::string const& split) const {
  return std::ranges::any_of(splits_, [&](Split const& s) { return s.name() == split; });
}

Split const& Dataset::split(std::string const& name) const {
  auto const at = std::ranges::find(splits_, name, &Split::name);
  check(at != splits_.end(), Fault::content, "{} has no split {}: it has {} only", path_.string(), name,
        splits_.front().name());
  return *at;
}

int64_t Dataset::verify(std::function<void(uint64_t, uint64_t)> const& progress) const {
  if (kind_of(path_) != Kind::prepared) return 0;
  Manifest const m = read_manifest(path_);
  std::vector<std::pair<Path, FileEntry>> files;
  for (FileEntry const& f : m.tokenizer_files) files.emplace_back(path_ / kTokenizerFolder / f.file, f);
  for (SplitEntry const& split : m.splits)
    for (ShardInfo const& s : split.shards) files.emplace_back(path_ / s.file, FileEntry{s.file, s.size, s.hash});
  uint64_t all = 0, done = 0;
  for (auto const& [path, entry] : files) all += entry.size;
  for (auto const& [path, entry] : files) {
    if (progress) progress(done, all);
    std::string const hash = hash_of_file(path);
    check(hash == entry.hash, Fault::content,
          "{} is not what was written: its hash is {}, in the manifest {}; prepare the data again", path.string(), hash,
          entry.hash);
    done += entry.size;
  }
  return static_cast<int64_t>(files.size());
}

Kind kind_of(Path const& path) {
  std::error_code error;
  auto const status = fs::status(path, error);
  if (!fs::exists(status)) return path == "-" ? Kind::text : Kind::missing;
  if (!fs::is_directory(status)) {
    if (!fs::is_regular_file(status)) return Kind::text;  // a pipe: looking into it would take bytes away
    if (path.extension() == ".safetensors") return Kind::model;
    return path.extension() == ".bin" || is_shard(path) ? Kind::tokens : Kind::text;
  }
  auto const holds = [&](char const* name) { return fs::exists(path / name, error); };
  if (holds("config.json") || holds("model.safetensors") || holds("checkpoints")) return Kind::model;
  if (holds(kManifestFile)) return Kind::prepared;
  if (holds("train.bin")) return Kind::tokens;
  return holds_texts(path) ? Kind::text : Kind::other;
}

}  // namespace folio::data

#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "text/bpe_files.h"
#include "text/token_bytes.h"
#include "text/word_cache.h"
#include "text/words.h"

namespace folio::text {
namespace {

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(BpeParts parts, std::array<uint32_t, 256> const& byte_ids)
      : name_(std::move(parts.name)),
        tokens_(parts.tokens),
        added_(std::move(parts.added)),
        merges_(byte_ids, std::move(parts.merges)) {
    for (auto const& a : added_)
      if (a.special && a.text == kEndOfText) end_of_text_ = a.id;
  }

  std::string name() const override { return name_; }
  int64_t vocab() const override { return tokens_.size(); }
  std::string_view token(int32_t id) const override { return tokens_.at(id); }
  std::optional<int32_t> end_of_text() const override { return end_of_text_; }
  std::vector<int32_t> encode(std::string_view bytes, Specials) const override;
  std::vector<Attachment> files() const override { return bpe_files(tokens_, merges_.ranked(), added_); }

 private:
  void encode_words(std::string_view bytes, std::vector<int32_t>& ids, WordCache&, Merges::Work&) const;

  std::string name_;
  TokenBytes tokens_;
  std::vector<AddedToken> added_;
  Merges merges_;
  Words words_;
  std::optional<int32_t> end_of_text_;
};

/// Finds the added tokens of a text one after the other: the leftmost, of those the longest.
class AddedFinder {
 public:
  AddedFinder(std::string_view bytes, std::vector<AddedToken> const& added, bool specials, bool second)
      : bytes_(bytes) {
    for (auto const& a : added)
      if ((specials || !a.special) && a.second == second) next_.push_back({&a, bytes.find(a.text)});
  }
  struct Found {
    size_t at;  // npos: none
    AddedToken const* token;
  };
  Found from(size_t start) {
    Found best{std::string_view::npos, nullptr};
    for (auto& [token, at] : next_) {
      if (at != std::string_view::npos && at < start) at = bytes_.find(token->text, start);
      if (at == std::string_view::npos) continue;
      if (at < best.at || (at == best.at && token->text.size() > best.token->text.size())) best = {at, token};
    }
    return best;
  }

 private:
  std::string_view bytes_;
  std::vector<std::pair<AddedToken const*, size_t>> next_;
};

std::vector<int32_t> BpeTokenizer::encode(std::string_view bytes, Specials specials) const {
  std::vector<int32_t> ids;
  ids.reserve(bytes.size() / 4 + 16);
  WordCache cache(bytes.size());
  Merges::Work work;
  auto const split = [&](std::string_view part, bool second, auto const& between) {
    AddedFinder added(part, added_, specials == Specials::as_token, second);
    for (size_t start = 0;;) {
      auto const found = added.from(start);
      auto const end = std::min(found.at, part.size());
      between(part.substr(start, end - start));
      if (!found.token) return;
      ids.push_back(found.token->id);
      start = end + found.token->text.size();
    }
  };
  split(bytes, false, [&](std::string_view part) {
    split(part, true, [&](std::string_view words) { encode_words(words, ids, cache, work); });
  });
  return ids;
}

void BpeTokenizer::encode_words(std::string_view bytes, std::vector<int32_t>& ids, WordCache& cache,
                                Merges::Work& work) const {
  std::array<int32_t, 4096> buffer;
  size_t count = 0;
  auto const flush = [&] {
    ids.insert(ids.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    count = 0;
  };
  for (char const *at = bytes.data(), *end = at + bytes.size(); at < end;) {
    auto const* const word = at;
    at = words_.end_of_word(at, end);
    auto const length = static_cast<size_t>(at - word);
    if (count + WordCache::kIds > buffer.size()) flush();
    if (length > WordCache::kLongest) {
      flush();
      merges_.apply({word, length}, ids, work);
      continue;
    }
    auto const key = WordCache::key(word, length, end);
    auto& entry = cache.entry(key);
    if (entry.key != key) [[unlikely]] {
      flush();
      auto const before = ids.size();
      merges_.apply({word, length}, ids, work);
      entry.keep(key, std::span(ids).subspan(before));
      continue;
    }
    std::memcpy(&buffer[count], entry.ids, sizeof entry.ids);
    count += entry.count;
  }
  flush();
}

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(BpeParts parts, std::string const& origin) {
  auto const V = parts.tokens.size();
  check(V <= size_t{INT32_MAX}, Fault::content, "{}: {} tokens, at most 2^31 - 1 are possible", origin, V);
  std::vector<bool> is_added(V);
  for (auto const& a : parts.added) {
    check(a.id >= 0 && static_cast<size_t>(a.id) < V, Fault::content,
          "{}: the added token \"{}\" has id {}, not in 0 … {}", origin, a.text, a.id, V - 1);
    check(!a.text.empty(), Fault::content, "{}: the added token {} is empty", origin, a.id);
    check(!is_added[a.id], Fault::content, "{}: two added tokens have the id {}", origin, a.id);
    is_added[a.id] = true;
  }
  std::unordered_map<std::string_view, uint32_t> ids;
  ids.reserve(V);
  for (size_t id = 0; id < V; ++id) {
    if (is_added[id]) continue;
    check(!parts.tokens[id].empty(), Fault::content, "{}: token {} is empty", origin, id);
    auto const [other, fresh] = ids.emplace(parts.tokens[id], id);
    check(fresh, Fault::content, "{}: tokens {} and {} are the same bytes", origin, other->second, id);
  }
  std::array<uint32_t, 256> byte_ids{};
  for (int byte = 0; byte < 256; ++byte) {
    char const c = static_cast<char>(byte);
    auto const found = ids.find({&c, 1});
    check(found != ids.end(), Fault::content,
          "{}: no token for the byte {:#04x}; a byte-level vocabulary has one for each of the 256 bytes", origin, byte);
    byte_ids[byte] = found->second;
  }
  std::unordered_set<uint64_t> pairs;
  pairs.reserve(parts.merges.size());
  for (size_t rank = 0; rank < parts.merges.size(); ++rank) {
    auto const [left, right, result] = parts.merges[rank];
    check(left < V && right < V && result < V, Fault::content, "{}: merge {} names an id beyond {}", origin, rank,
          V - 1);
    check(parts.tokens[left] + parts.tokens[right] == parts.tokens[result], Fault::content,
          "{}: merge {} gives token {}, which is not its two parts joined", origin, rank, result);
    check(pairs.insert(uint64_t{left} << 32 | right).second, Fault::content, "{}: merge {} repeats an earlier one",
          origin, rank);
  }
  return std::make_unique<BpeTokenizer>(std::move(parts), byte_ids);
}

}  // namespace folio::text

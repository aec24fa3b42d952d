// Reads byte-level BPE tokenizers from Hugging Face's files. Whatever would make them cut a text in another way than
// GPT-2's rules is refused, not ignored.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"
#include "text/bpe_files.h"
#include "text/byte_letters.h"
#include "text/visible.h"

namespace folio::text {
namespace {

constexpr uint64_t kLargestFile = uint64_t{256} << 20;

class Reader {
 public:
  explicit Reader(std::string const& origin) : origin_(origin) {}

  void vocabulary(Json const& object) {
    check(object.is_object() && !object.empty(), Fault::content,
          "{}: the vocabulary is not an object of tokens and ids", origin_);
    ids_.reserve(object.size());
    for (auto const& [spelled, id] : object.items()) add(spelled, id, "vocabulary");
  }

  void added(Json const& list) {
    check(list.is_array(), Fault::content, "{}: added_tokens is not a list", origin_);
    for (auto const& a : list) {
      auto const text = get_string(a, "content", origin_);
      auto const id = get_integer(a, "id", origin_);
      for (auto const* flag : {"single_word", "lstrip", "rstrip"})
        check(!find_bool(a, flag, origin_).value_or(false), Fault::content,
              "{}: the added token {} has {} set, which folio does not support", origin_, visible(text), flag);
      auto const known = ids_.find(text);
      if (known == ids_.end()) add(text, id, "added_tokens");
      else
        check(id == known->second, Fault::content, "{}: the added token {} has another id in the vocabulary", origin_,
              visible(text));
      auto const special = find_bool(a, "special", origin_).value_or(false);
      parts_.added.push_back(
          {static_cast<int32_t>(ids_.at(text)), text, special, find_bool(a, "normalized", origin_).value_or(!special)});
    }
  }

  void end_of_text() {  // GPT-2's own files say nowhere that this token is special
    auto const known = ids_.find(std::string(kEndOfText));
    if (known != ids_.end()) parts_.added.push_back({static_cast<int32_t>(known->second), known->first, true});
  }

  void merge(std::string const& left, std::string const& right) {
    auto const rank = parts_.merges.size();
    auto const id = [&](std::string const& spelled) {
      auto const found = ids_.find(spelled);
      check(found != ids_.end(), Fault::content, "{}: merge {} ({} {}) needs the token {}, which the vocabulary lacks",
            origin_, rank, left, right, visible(spelled));
      return static_cast<uint32_t>(found->second);
    };
    parts_.merges.push_back({id(left), id(right), id(left + right)});
  }
  void merge(std::string_view pair) {
    auto const blank = pair.find(' ');
    check(blank != pair.npos && blank > 0 && blank + 1 < pair.size() && pair.find(' ', blank + 1) == pair.npos,
          Fault::content, "{}: merge {} is {}; two tokens with one blank between them were expected", origin_,
          parts_.merges.size(), visible(pair));
    merge(std::string(pair.substr(0, blank)), std::string(pair.substr(blank + 1)));
  }

  BpeParts finish() {
    auto const V = static_cast<int64_t>(ids_.size());
    std::vector<std::string const*> spelled(ids_.size());
    for (auto const& [token, id] : ids_) {
      check(id >= 0 && id < V, Fault::content, "{}: token {} has the id {}; the ids of {} tokens must be 0 … {}",
            origin_, visible(token), id, V, V - 1);
      check(!spelled[id], Fault::content, "{}: tokens {} and {} have the same id {}", origin_, visible(token),
            visible(spelled[id] ? std::string_view(*spelled[id]) : ""), id);
      spelled[id] = &token;
    }
    parts_.tokens.resize(spelled.size());
    for (auto const& a : parts_.added) parts_.tokens[a.id] = a.text;
    for (size_t id = 0; id < spelled.size(); ++id) {
      if (!parts_.tokens[id].empty()) continue;
      auto bytes = from_letters(*spelled[id]);
      check(bytes.has_value(), Fault::content, "{}: token {}, {}, is not spelled in GPT-2's letters for bytes", origin_,
            id, visible(*spelled[id]));
      parts_.tokens[id] = std::move(*bytes);
    }
    return std::move(parts_);
  }

 private:
  void add(std::string const& spelled, Json const& id, char const* where) {
    check(id.is_number_integer() && (!id.is_number_unsigned() || id.get<uint64_t>() <= INT32_MAX), Fault::content,
          "{}: {}: the id of {} is not an integer from 0 to 2^31 - 1", origin_, where, visible(spelled));
    check(ids_.emplace(spelled, id.get<int64_t>()).second, Fault::content, "{}: {}: {} stands there twice", origin_,
          where, visible(spelled));
  }

  std::string const& origin_;
  std::unordered_map<std::string, int64_t> ids_;
  BpeParts parts_;
};

Json const& member(Json const& object, char const* key) {
  static Json const none;
  auto const found = object.find(key);
  return found == object.end() ? none : *found;
}

/// Would a post-processor add tokens of its own to a text? Truncation and padding are each caller's choice and not
/// read.
bool adds_tokens(Json const& processor) {
  if (!processor.is_object()) return !processor.is_null();
  auto const type = member(processor, "type");
  auto const& parts = member(processor, type == "Sequence" ? "processors" : "single");
  if (type == "Sequence") return !parts.is_array() || std::ranges::any_of(parts, adds_tokens);
  if (type == "TemplateProcessing")
    return !parts.is_array() || std::ranges::any_of(parts, [](auto const& p) { return !p.contains("Sequence"); });
  return type != "ByteLevel";
}

/// The parts of tokenizer.json that decide how a text is cut must be GPT-2's.
void check_pipeline(Json const& j, std::string const& origin) {
  check(member(j, "normalizer").is_null(), Fault::content,
        "{}: it has a normalizer; byte-level BPE keeps the bytes as they are", origin);
  auto const& words = member(j, "pre_tokenizer");
  auto const type = words.is_object() ? find_string(words, "type", origin).value_or("") : "";
  check(type == "ByteLevel", Fault::content, "{}: the pre-tokenizer is {}; only GPT-2's ByteLevel is supported", origin,
        visible(type));
  check(!find_bool(words, "add_prefix_space", origin).value_or(true), Fault::content,
        "{}: add_prefix_space is set; folio keeps a text as it is", origin);
  check(find_bool(words, "use_regex", origin).value_or(true), Fault::content,
        "{}: use_regex is off; only GPT-2's pattern is supported", origin);
  check(!adds_tokens(member(j, "post_processor")), Fault::content,
        "{}: its post_processor adds tokens to a text, which folio does not", origin);
  auto const& model = member(j, "model");
  for (auto const* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    check(find_string(model, key, origin).value_or("").empty(), Fault::content,
          "{}: {} is set, which byte-level BPE does not have", origin, key);
  for (auto const* key : {"byte_fallback", "ignore_merges"})
    check(!find_bool(model, key, origin).value_or(false), Fault::content, "{}: {} is set, which folio does not support",
          origin, key);
  check(find_number(model, "dropout", origin).value_or(0) == 0, Fault::content,
        "{}: its merges drop out at random, which folio does not support", origin);
}

}  // namespace

BpeParts read_bpe_json(Json const& j, std::string const& origin) {
  check_pipeline(j, origin);
  auto const& model = member(j, "model");
  Reader reader(origin);
  reader.vocabulary(member(model, "vocab"));
  if (auto const& list = member(j, "added_tokens"); !list.is_null()) reader.added(list);
  auto const& merges = member(model, "merges");
  check(merges.is_array(), Fault::content, "{}: model.merges is not a list", origin);
  for (auto const& m : merges) {
    if (m.is_string()) {
      reader.merge(m.get_ref<std::string const&>());
    } else {
      check(m.is_array() && m.size() == 2 && m[0].is_string() && m[1].is_string(), Fault::content,
            "{}: a merge is neither \"left right\" nor [\"left\", \"right\"]", origin);
      reader.merge(m[0].get_ref<std::string const&>(), m[1].get_ref<std::string const&>());
    }
  }
  return reader.finish();
}

BpeParts read_bpe_files(Path const& vocab_json, Path const& merges_txt) {
  auto const vocabulary_name = vocab_json.string(), merges_name = merges_txt.string();
  Reader reader(vocabulary_name);
  reader.vocabulary(read_json(vocab_json, {.bytes = kLargestFile}));
  reader.end_of_text();
  auto const text = read_file(merges_txt, kLargestFile);
  std::string_view rest = text;
  for (bool first = true; !rest.empty(); first = false) {
    auto const end = std::min(rest.find('\n'), rest.size());
    auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (first && line.starts_with("#version"))) continue;
    reader.merge(line);
  }
  return reader.finish();
}

}  // namespace folio::text

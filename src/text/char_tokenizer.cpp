#include "text/char_tokenizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "text/token_bytes.h"
#include "text/unicode.h"
#include "text/utf8.h"
#include "text/visible.h"

namespace folio::text {
namespace {

// A symbol's number: the code point, or kCodePoints + the byte where it is not UTF-8. Ids are in this order.
uint32_t symbol_of(Character c) { return c.valid ? c.code : kCodePoints + c.code; }
uint32_t place_of(Character c) { return c.valid ? 256 + c.code : c.code; }  // in a table that is short for most texts

std::string bytes_of_symbol(uint32_t symbol) {
  std::string out;
  if (symbol >= kCodePoints) out += static_cast<char>(symbol - kCodePoints);
  else append_utf8(out, symbol);
  return out;
}

std::string shown(Character c) { return fmt::format(fmt::runtime(c.valid ? "U+{:04X}" : "the byte 0x{:02X}"), c.code); }

class CharTokenizer final : public Tokenizer {
 public:
  explicit CharTokenizer(std::vector<std::string> const& tokens) : tokens_(tokens) {
    for (int32_t id = 0; id < tokens_.size(); ++id) {
      auto const bytes = tokens_.at(id);
      auto const place = place_of(read_character(bytes.data(), bytes.data() + bytes.size()));
      if (place >= ids_.size()) ids_.resize(place + 1, kUnknown);
      ids_[place] = id;
    }
  }

  std::string name() const override { return "char"; }
  int64_t vocab() const override { return tokens_.size(); }
  std::string_view token(int32_t id) const override { return tokens_.at(id); }
  std::optional<int32_t> end_of_text() const override { return {}; }

  std::vector<int32_t> encode(std::string_view bytes, Specials) const override {
    std::vector<int32_t> ids;
    ids.reserve(bytes.size());
    for (char const *at = bytes.data(), *end = at + bytes.size(); at < end;) {
      auto const c = read_character(at, end);
      auto const place = place_of(c);
      auto const id = place < ids_.size() ? ids_[place] : kUnknown;
      check(id != kUnknown, Fault::content,
            "byte {} of the text is {}, which is none of the {} characters that this tokenizer was made from",
            at - bytes.data(), id == kUnknown ? shown(c) : "", vocab());
      ids.push_back(id);
      at += c.length;
    }
    return ids;
  }

  std::vector<Attachment> files() const override;

 private:
  static constexpr int32_t kUnknown = -1;
  TokenBytes tokens_;
  std::vector<int32_t> ids_;  // by place
};

Json const kEachCharacter = {
    {"type", "Split"}, {"pattern", {{"Regex", "[\\s\\S]"}}}, {"behavior", "Isolated"}, {"invert", false}};

std::vector<Attachment> CharTokenizer::files() const {
  Json vocabulary = Json::object();
  auto& members = static_cast<std::vector<std::pair<std::string const, Json>>&>(vocabulary.get_ref<Json::object_t&>());
  for (int32_t id = 0; id < tokens_.size(); ++id) {
    auto const bytes = tokens_.at(id);
    auto const c = read_character(bytes.data(), bytes.data() + bytes.size());
    members.emplace_back(c.valid ? std::string(bytes) : fmt::format("<0x{:02X}>", c.code), id);
  }
  Json const json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", kEachCharacter},
      {"post_processor", nullptr},
      {"decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
      {"model", {{"type", "WordLevel"}, {"vocab", std::move(vocabulary)}, {"unk_token", "<unknown>"}}},
  };
  Json const config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  return {{"tokenizer.json", dump(json) + "\n"}, {"tokenizer_config.json", dump(config, 2) + "\n"}};
}

/// The bytes of a key of the vocabulary; empty where it is neither one character nor <0xNN>.
std::string bytes_of_key(std::string const& key) {
  if (key.empty()) return "";
  auto const c = read_character(key.data(), key.data() + key.size());
  if (c.valid && c.length == key.size()) return key;
  unsigned byte = 0;
  for (byte = 0x80; byte < 0x100; ++byte)
    if (key == fmt::format("<0x{:02X}>", byte)) return std::string(1, static_cast<char>(byte));
  return "";
}

}  // namespace

std::unique_ptr<Tokenizer> make_char_tokenizer(std::string_view text) {
  check(!text.empty(), Fault::content, "the text is empty: a character tokenizer needs at least one character");
  std::set<uint32_t> symbols;
  for (char const *at = text.data(), *end = at + text.size(); at < end;) {
    auto const c = read_character(at, end);
    symbols.insert(symbol_of(c));
    at += c.length;
  }
  std::vector<std::string> tokens;
  std::transform(symbols.begin(), symbols.end(), std::back_inserter(tokens), bytes_of_symbol);
  return std::make_unique<CharTokenizer>(tokens);
}

std::unique_ptr<Tokenizer> read_char_json(Json const& j, std::string const& origin) {
  check(j.contains("pre_tokenizer") && j["pre_tokenizer"] == kEachCharacter, Fault::content,
        "{}: a vocabulary of whole words; only one of single characters, as folio writes it, is supported", origin);
  for (auto const* key : {"normalizer", "added_tokens"})
    check(!j.contains(key) || j[key].empty(), Fault::content, "{}: {} is not empty; a character tokenizer has none",
          origin, key);
  auto const& model = j.at("model");
  check(model.contains("vocab") && model["vocab"].is_object() && !model["vocab"].empty(), Fault::content,
        "{}: model.vocab is not an object of characters and ids", origin);
  auto const& vocabulary = model["vocab"];
  std::vector<std::string> tokens(vocabulary.size());
  for (auto const& [key, value] : vocabulary.items()) {
    auto bytes = bytes_of_key(key);
    check(!bytes.empty(), Fault::content, "{}: {} is not one character", origin, visible(key));
    check(value.is_number_integer() && value.get<uint64_t>() < tokens.size(), Fault::content,
          "{}: the id of {} is {}; the ids of {} characters must be 0 … {}", origin, visible(key),
          dump(value).substr(0, 40), tokens.size(), tokens.size() - 1);
    auto& token = tokens[value.get<uint64_t>()];
    check(token.empty(), Fault::content, "{}: {} and {} have the same id", origin, visible(token), visible(key));
    token = std::move(bytes);
  }
  return std::make_unique<CharTokenizer>(tokens);
}

}  // namespace folio::text

#include "text/bpe_files.h"

#include <nlohmann/json.hpp>

#include "text/byte_letters.h"

namespace folio::text {
namespace {

// Written piece by piece: a JSON object of 50,000 members in memory would cost more than the whole text.
std::string vocabulary_json(std::vector<std::string> const& spelled) {
  std::string out = "{";
  for (size_t id = 0; id < spelled.size(); ++id)
    out += (id == 0 ? "" : ",") + dump(Json(spelled[id])) + ":" + std::to_string(id);
  return out += "}";
}

Json added_json(AddedToken const& a) {
  return {{"id", a.id},      {"content", a.text},      {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", a.second}, {"special", a.special}};
}

}  // namespace

std::vector<Attachment> bpe_files(TokenBytes const& tokens, std::span<Merge const> merges,
                                  std::span<AddedToken const> added) {
  std::vector<std::string> spelled;
  for (int32_t id = 0; id < tokens.size(); ++id) spelled.push_back(to_letters(tokens.at(id)));
  bool has_end = false;
  Json others = Json::array();  // special tokens that transformers has no name for
  Json added_list = Json::array();
  for (auto const& a : added) {
    spelled[a.id] = a.text;
    added_list.push_back(added_json(a));
    if (!a.special) continue;
    if (a.text == kEndOfText) has_end = true;
    else others.push_back(a.text);
  }
  auto const vocabulary = vocabulary_json(spelled);

  std::string lines, list = "[";
  for (auto const& m : merges) {
    auto const pair = spelled[m.left] + " " + spelled[m.right];
    lines += pair + "\n";
    list += (list.size() == 1 ? "" : ",") + dump(Json(pair));
  }
  list += "]";

  Json const byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  auto const json =
      "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":" + dump(added_list) +
      ",\"normalizer\":null,\"pre_tokenizer\":" + dump(byte_level) +
      ",\"post_processor\":null,\"decoder\":" + dump(byte_level) +
      ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":\"\","
      "\"end_of_word_suffix\":\"\",\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,"
      "\"vocab\":" +
      vocabulary + ",\"merges\":" + list + "}}\n";

  Json config = {{"tokenizer_class", has_end ? "GPT2Tokenizer" : "PreTrainedTokenizerFast"},
                 {"add_prefix_space", false},
                 {"clean_up_tokenization_spaces", false}};
  if (has_end) config["bos_token"] = config["eos_token"] = config["unk_token"] = kEndOfText;
  if (!others.empty()) config["additional_special_tokens"] = others;
  return {{"vocab.json", vocabulary + "\n"},
          {"merges.txt", "#version: 0.2\n" + lines},
          {"tokenizer.json", json},
          {"tokenizer_config.json", dump(config, 2) + "\n"}};
}

}  // namespace folio::text

#include "model/config_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace folio::model {
namespace {

constexpr int64_t kVersion = 1;    // of the "folio" object
constexpr double kEpsilon = 1e-5;  // of every layer norm

double residual_rate(DropoutRates const& d) { return std::max(d.attention_residual, d.mlp_residual); }

// What changes the computation in a way that folio does not follow.
void refuse_unsupported(Json const& j, std::string const& origin) {
  if (auto const type = find_string(j, "model_type", origin))
    check(*type == "gpt2", Fault::content, "{}: model_type is {}; folio reads gpt2", origin, *type);
  for (char const* key : {"activation_function", "hidden_act"})
    if (auto const name = find_string(j, key, origin))
      check(*name == "gelu_new" || *name == "gelu_pytorch_tanh", Fault::content,
            "{}: {} is {}; folio computes gelu_new (the tanh form of GELU)", origin, key, *name);
  if (auto const epsilon = find_number(j, "layer_norm_epsilon", origin))
    check(std::abs(*epsilon - kEpsilon) < 1e-12, Fault::content,
          "{}: layer_norm_epsilon is {}; folio computes with 1e-05", origin, *epsilon);
  auto refuse = [&](char const* key, bool unsupported) {
    if (auto const value = find_bool(j, key, origin))
      check(*value != unsupported, Fault::content, "{}: {} is {}, which folio does not compute", origin, key, *value);
  };
  refuse("scale_attn_by_inverse_layer_idx", true);
  refuse("reorder_and_upcast_attn", true);
  refuse("add_cross_attention", true);
  refuse("scale_attn_weights", false);
  if (auto const quantization = j.find("quantization_config"); quantization != j.end())
    check(quantization->is_null(), Fault::content,
          "{}: the model is quantized (quantization_config): give one in f32, f16 or bf16", origin);
}

// A rate that transformers has one key for and folio a site: the site's, where it agrees with that key.
void read_folio(Json const& folio, std::string const& origin, ModelInfo& info) {
  std::string const name = origin + ": folio";
  check(folio.is_object(), Fault::content, "{} is not an object", name);
  get_version(folio, kVersion, name);
  info.by_folio = true;
  info.config.bias = find_bool(folio, "bias", name).value_or(true);
  info.tokenizer = find_string(folio, "tokenizer", name).value_or("");
  auto const rates = folio.find("dropout");
  if (rates == folio.end()) return;
  DropoutRates& d = info.config.dropout;
  DropoutRates const sites{.embedding = d.embedding,
                           .attention = d.attention,
                           .attention_residual = get_number(*rates, "attention_residual", name + ".dropout"),
                           .mlp_residual = get_number(*rates, "mlp_residual", name + ".dropout")};
  if (residual_rate(sites) == residual_rate(d)) d = sites;  // else resid_pdrop was changed since: it rules
}

}  // namespace

std::string config_json(ModelInfo const& info, DType stored) {
  Config const& c = info.config;
  Json const end_of_text = info.end_of_text ? Json(*info.end_of_text) : Json(nullptr);
  return dump(Json{{"model_type", "gpt2"},
                   {"architectures", Json::array({"GPT2LMHeadModel"})},
                   {"vocab_size", c.vocab},
                   {"n_positions", c.context},
                   {"n_ctx", c.context},
                   {"n_embd", c.channels},
                   {"n_layer", c.layers},
                   {"n_head", c.heads},
                   {"n_inner", nullptr},
                   {"activation_function", "gelu_new"},
                   {"layer_norm_epsilon", kEpsilon},
                   {"initializer_range", 0.02},
                   {"resid_pdrop", residual_rate(c.dropout)},
                   {"embd_pdrop", c.dropout.embedding},
                   {"attn_pdrop", c.dropout.attention},
                   {"scale_attn_weights", true},
                   {"scale_attn_by_inverse_layer_idx", false},
                   {"reorder_and_upcast_attn", false},
                   {"add_cross_attention", false},
                   {"tie_word_embeddings", c.tied},
                   {"use_cache", true},
                   {"bos_token_id", end_of_text},
                   {"eos_token_id", end_of_text},
                   {"pad_token_id", nullptr},
                   {"summary_type", "cls_index"},
                   {"summary_use_proj", true},
                   {"summary_activation", nullptr},
                   {"summary_proj_to_labels", true},
                   {"summary_first_dropout", 0.1},
                   {"torch_dtype", stored == DType::bf16  ? "bfloat16"
                                   : stored == DType::f16 ? "float16"
                                                          : "float32"},
                   {"folio",
                    {{"version", kVersion},
                     {"bias", c.bias},
                     {"dropout",
                      {{"attention_residual", c.dropout.attention_residual}, {"mlp_residual", c.dropout.mlp_residual}}},
                     {"tokenizer", info.tokenizer}}}},
              2) +
         '\n';
}

ModelInfo parse_config(Json const& j, std::string const& origin) {
  check(j.is_object(), Fault::content, "{} is not an object", origin);
  refuse_unsupported(j, origin);
  auto integer = [&](char const* key, int64_t otherwise) { return find_integer(j, key, origin).value_or(otherwise); };
  auto rate = [&](char const* key) { return find_number(j, key, origin).value_or(0.1); };
  Config const gpt2;  // transformers' defaults are the 124M's
  ModelInfo info;
  Config& c = info.config;
  c.layers = integer("n_layer", gpt2.layers);
  c.heads = integer("n_head", gpt2.heads);
  c.channels = integer("n_embd", gpt2.channels);
  c.vocab = integer("vocab_size", gpt2.vocab);
  c.context = integer("n_positions", gpt2.context);
  c.tied = find_bool(j, "tie_word_embeddings", origin).value_or(true);
  double const residual = rate("resid_pdrop");
  c.dropout = {rate("embd_pdrop"), rate("attn_pdrop"), residual, residual};
  if (auto const folio = j.find("folio"); folio != j.end()) read_folio(*folio, origin, info);
  validate(c, Fault::content, origin);
  int64_t const inner = integer("n_inner", 4 * c.channels);
  check(inner == 4 * c.channels, Fault::content, "{}: n_inner is {}; folio computes 4 x n_embd = {}", origin, inner,
        4 * c.channels);
  for (char const* key : {"bos_token_id", "eos_token_id"})  // the second rules; an id beyond the vocabulary is none
    if (auto const at = j.find(key); at != j.end() && at->is_number_unsigned()) {
      auto const id = at->get<uint64_t>();
      if (id < static_cast<uint64_t>(c.vocab)) info.end_of_text = static_cast<int64_t>(id);
    }
  return info;
}

ModelInfo read_config(Path const& file) {
  return parse_config(read_json(file, {.bytes = size_t{16} << 20}), file.string());
}

}  // namespace folio::model

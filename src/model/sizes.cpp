#include "model/sizes.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"

namespace folio::model {
namespace {

constexpr ModelSize kSizes[] = {
    {"baby", 6, 6, 384, 256},     {"124M", 12, 12, 768, 1024},   {"355M", 24, 16, 1024, 1024},
    {"774M", 36, 20, 1280, 1024}, {"1558M", 48, 25, 1600, 1024},
};

}  // namespace

std::span<ModelSize const> sizes() { return kSizes; }

ModelSize const& size_named(std::string const& name) {
  std::vector<std::string> names;
  for (ModelSize const& s : kSizes) {
    if (name == s.name) return s;
    names.emplace_back(s.name);
  }
  std::string const near = nearest(name, names);
  fail(Fault::value, "size \"{}\" is none of {}{}", name, fmt::join(names, ", "),
       near.empty() ? "" : "; did you mean " + near + "?");
}

ParameterCounts count_parameters(Config const& c) {
  int64_t const C = c.channels, matrix = C * C, bias = c.bias;
  ParameterCounts n;
  n.token_embedding = c.vocab * C;
  n.position_embedding = c.context * C;
  n.attention = c.layers * (4 * matrix + bias * 4 * C);
  n.mlp = c.layers * (8 * matrix + bias * 5 * C);
  n.norms = (2 * c.layers + 1) * (1 + bias) * C;
  (c.tied ? n.saved_by_tying : n.head) = c.vocab * C;
  return n;
}

Fields ModelOptions::fields() {
  char const* const group = "Model";
  return {
      {"size", &size, "a shape by name", {.form = "baby|124M|355M|774M|1558M"}, group},
      {"layers", &layers, "blocks; 0: the size's", {.min = 0}, group},
      {"heads", &heads, "attention heads; 0: the size's", {.min = 0}, group},
      {"embd", &channels, "width of the residual stream; 0: the size's", {.min = 0}, group},
      {"context", &context, "positions; 0: the size's", {.min = 0}, group},
      {"vocab", &vocab, "vocabulary; 0: the data's, or GPT-2's 50257", {.min = 0}, group},
      {"dropout", &dropout, "dropout rate of every site", {.min = 0, .max = 1, .below_max = true}, group},
      {"embedding-dropout",
       &embedding_dropout,
       "of the embedding; -1: --dropout",
       {.min = -1, .max = 1, .below_max = true},
       group},
      {"attention-dropout",
       &attention_dropout,
       "of the attention's weights; -1: --dropout",
       {.min = -1, .max = 1, .below_max = true},
       group},
      {"attention-residual-dropout",
       &attention_residual_dropout,
       "of the attention's output; -1: --dropout",
       {.min = -1, .max = 1, .below_max = true},
       group},
      {"mlp-residual-dropout",
       &mlp_residual_dropout,
       "of the MLP's output; -1: --dropout",
       {.min = -1, .max = 1, .below_max = true},
       group},
      {"bias", &bias, "biases in linear layers and layer norms", {}, group},
      {"untied", &untied, "a head of its own instead of the token embedding", {}, group},
  };
}

Config ModelOptions::config(int64_t data_vocab) const {
  ModelSize const s = size.empty() ? ModelSize{"", 0, 0, 0, 0} : size_named(size);
  auto or_size = [](int64_t given, int64_t otherwise) { return given != 0 ? given : otherwise; };
  auto rate = [&](double site) { return site < 0 ? dropout : site; };
  Config const c{.layers = or_size(layers, s.layers),
                 .heads = or_size(heads, s.heads),
                 .channels = or_size(channels, s.channels),
                 .vocab = or_size(vocab, or_size(data_vocab, kGpt2Vocab)),
                 .context = or_size(context, s.context),
                 .bias = bias,
                 .tied = !untied,
                 .dropout = {.embedding = rate(embedding_dropout),
                             .attention = rate(attention_dropout),
                             .attention_residual = rate(attention_residual_dropout),
                             .mlp_residual = rate(mlp_residual_dropout)}};
  validate(c);
  check(c.vocab >= data_vocab, Fault::value,
        "vocab {} is less than the data's {}: leave --vocab out, or use at least {}", c.vocab, data_vocab, data_vocab);
  return c;
}

ModelOptions ModelOptions::of(Config const& c) {
  ModelOptions o;
  o.size.clear();
  for (ModelSize const& s : kSizes)  // the name is kept where it is true
    if (s.layers == c.layers && s.heads == c.heads && s.channels == c.channels) o.size = s.name;
  o.layers = c.layers, o.heads = c.heads, o.channels = c.channels, o.context = c.context, o.vocab = c.vocab;
  DropoutRates const& d = c.dropout;
  o.dropout = d.embedding;
  o.embedding_dropout = d.embedding, o.attention_dropout = d.attention;
  o.attention_residual_dropout = d.attention_residual, o.mlp_residual_dropout = d.mlp_residual;
  o.bias = c.bias, o.untied = !c.tied;
  return o;
}

}  // namespace folio::model

#include "model/config.h"

#include "core/error.h"
#include "model/sizes.h"

namespace folio::model {
namespace {

constexpr int64_t kMostLayers = 65535;  // the layer's 16 bits in the key of dropout (core/random.h)
constexpr int64_t kMostChannels = 1 << 20;
constexpr int64_t kMostContext = 1 << 24;
constexpr int64_t kMostVocab = INT32_MAX;              // ids are i32
constexpr int64_t kMostParameters = int64_t{1} << 40;  // 4 TiB of f32 masters

std::string heads_that_fit(int64_t heads, int64_t channels) {
  int64_t below = std::min(heads, channels), above = heads;
  while (channels % below != 0) --below;
  if (heads > channels) return std::to_string(below);
  while (channels % above != 0) ++above;
  return fmt::format("{} or {}", below, above);
}

}  // namespace

void validate(Config const& c, Fault fault, std::string const& origin) {
  std::string const from = origin.empty() ? "" : origin + ": ";
  auto in_range = [&](char const* name, int64_t value, int64_t most) {
    check(1 <= value && value <= most, fault, "{}{} {} is out of range: use 1 to {}", from, name, value, most);
  };
  in_range("layers", c.layers, kMostLayers);
  in_range("embd", c.channels, kMostChannels);
  in_range("context", c.context, kMostContext);
  in_range("vocab", c.vocab, kMostVocab);
  check(c.heads >= 1, fault, "{}heads {} is out of range: use 1 to {}", from, c.heads, c.channels);
  if (c.channels % c.heads != 0)
    fail(fault, "{}heads {} does not divide embd {}: use {}", from, c.heads, c.channels,
         heads_that_fit(c.heads, c.channels));
  auto const total = static_cast<double>(c.layers) * 12 * static_cast<double>(c.channels * c.channels) +
                     static_cast<double>(c.vocab * (c.tied ? 1 : 2) + c.context) * static_cast<double>(c.channels);
  check(
      total <= static_cast<double>(kMostParameters), fault,
      "{}layers {}, embd {}, vocab {} and context {} make {:.3g} parameters; the most is {:.3g}: use a smaller embd or "
      "fewer layers",
      from, c.layers, c.channels, c.vocab, c.context, total, static_cast<double>(kMostParameters));
  auto rate = [&](char const* name, double value) {
    check(0 <= value && value < 1, fault, "{}{} {} is out of range: a dropout rate is at least 0 and below 1", from,
          name, value);
  };
  rate("embedding-dropout", c.dropout.embedding);
  rate("attention-dropout", c.dropout.attention);
  rate("attention-residual-dropout", c.dropout.attention_residual);
  rate("mlp-residual-dropout", c.dropout.mlp_residual);
}

std::string describe(Config const& c) {
  auto text = fmt::format("{} layers, {} heads, {} channels, context {}, vocabulary {}", c.layers, c.heads, c.channels,
                          c.context, c.vocab);
  if (!c.bias) text += ", no biases";
  if (!c.tied) text += ", untied head";
  return text;
}

}  // namespace folio::model

// The shape of a GPT-2: what is refused and how, the sizes by name, parameters by part, options, config.json.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/config_json.h"
#include "model/sizes.h"
#include "model/weights.h"
#include "tests/support/scratch_folder.h"

namespace folio::model {
namespace {

using test::error_of;

Config shape(int64_t layers, int64_t heads, int64_t channels) {
  Config c;
  c.layers = layers, c.heads = heads, c.channels = channels;
  return c;
}

TEST(Config, RefusalOfHeadsNamesTheNearestDivisors) {
  auto sentence = [](int64_t heads, int64_t channels) {
    Error const e = error_of([&] { validate(shape(2, heads, channels)); });
    EXPECT_EQ(e.fault, Fault::value);
    return std::string(e.what());
  };
  EXPECT_EQ(sentence(24, 2048), "heads 24 does not divide embd 2048: use 16 or 32");
  EXPECT_EQ(sentence(7, 384), "heads 7 does not divide embd 384: use 6 or 8");
  EXPECT_EQ(sentence(500, 384), "heads 500 does not divide embd 384: use 384");
  EXPECT_EQ(sentence(5, 7), "heads 5 does not divide embd 7: use 1 or 7");
}

TEST(Config, EveryRangeIsCheckedAndNamed) {
  struct Case {
    Config config;
    char const* begins;
  };
  auto with = [](auto change) {
    Config c = shape(2, 2, 8);
    change(c);
    return c;
  };
  for (Case const& x : {Case{with([](Config& c) { c.layers = 0; }), "layers 0 is out of range: use 1 to 65535"},
                        {with([](Config& c) { c.layers = 65536; }), "layers 65536"},
                        {with([](Config& c) { c.heads = 0; }), "heads 0 is out of range: use 1 to 8"},
                        {with([](Config& c) { c.heads = -2; }), "heads -2"},
                        {with([](Config& c) { c.channels = 0; }), "embd 0"},
                        {with([](Config& c) { c.channels = INT64_MAX; }), "embd 9223372036854775807"},
                        {with([](Config& c) { c.context = 0; }), "context 0"},
                        {with([](Config& c) { c.context = INT64_MAX; }), "context 9223372036854775807"},
                        {with([](Config& c) { c.vocab = 0; }), "vocab 0"},
                        {with([](Config& c) { c.vocab = int64_t{1} << 31; }), "vocab 2147483648"},
                        {with([](Config& c) { c.channels = 1 << 20, c.layers = 65535; }), "layers 65535, embd 1048576"},
                        {with([](Config& c) { c.dropout.embedding = 1; }), "embedding-dropout 1 is out of range"},
                        {with([](Config& c) { c.dropout.attention = -0.1; }), "attention-dropout -0.1"},
                        {with([](Config& c) { c.dropout.attention_residual = NAN; }), "attention-residual-dropout nan"},
                        {with([](Config& c) { c.dropout.mlp_residual = 2; }), "mlp-residual-dropout 2"}}) {
    Error const e = error_of([&] { validate(x.config); });
    EXPECT_EQ(e.fault, Fault::value);
    EXPECT_TRUE(std::string(e.what()).starts_with(x.begins)) << e.what();
  }
  EXPECT_NO_THROW(validate(with([](Config& c) { c.dropout = {0.999, 0, 0, 0}, c.vocab = INT32_MAX; })));
}

TEST(Config, FromAFileTheFaultIsItsContent) {
  Error const e = error_of([] { validate(shape(2, 3, 8), Fault::content, "dir/config.json"); });
  EXPECT_EQ(e.fault, Fault::content);
  EXPECT_STREQ(e.what(), "dir/config.json: heads 3 does not divide embd 8: use 2 or 4");
}

Config named(char const* size) {
  ModelOptions o;
  o.size = size;
  return o.config();
}

TEST(Sizes, HaveThePublishedTotals) {
  EXPECT_EQ(count_parameters(named("124M")).total(), 124439808);
  EXPECT_EQ(count_parameters(named("355M")).total(), 354823168);
  EXPECT_EQ(count_parameters(named("774M")).total(), 774030080);
  EXPECT_EQ(count_parameters(named("1558M")).total(), 1557611200);
}

TEST(Sizes, PartsAddUpToWhatTheListOfTensorsHolds) {
  for (bool bias : {true, false})
    for (bool tied : {true, false}) {
      Config c = shape(3, 2, 8);
      c.vocab = 11, c.context = 5, c.bias = bias, c.tied = tied;
      Weights w{.config = c, .wte = {}, .wpe = {}, .blocks = std::vector<BlockWeights>(3), .ln_f = {}, .head = {}};
      ParameterCounts sum;
      for_each(w, [&](std::string const& name, Weight&, Spec const& s) {
        int64_t& part = name.starts_with("wte")            ? sum.token_embedding
                        : name.starts_with("wpe")          ? sum.position_embedding
                        : name.find(".attn.") != name.npos ? sum.attention
                        : name.find(".mlp.") != name.npos  ? sum.mlp
                        : name.starts_with("lm_head")      ? sum.head
                                                           : sum.norms;
        part += s.shape.size();
      });
      ParameterCounts const n = count_parameters(c);
      EXPECT_EQ(n.token_embedding, sum.token_embedding);
      EXPECT_EQ(n.position_embedding, sum.position_embedding);
      EXPECT_EQ(n.attention, sum.attention);
      EXPECT_EQ(n.mlp, sum.mlp);
      EXPECT_EQ(n.norms, sum.norms);
      EXPECT_EQ(n.head, sum.head);
      EXPECT_EQ(n.saved_by_tying, tied ? 11 * 8 : 0);
    }
}

TEST(Sizes, AnUnknownNameGetsTheNearestOne) {
  Error const e = error_of([] { size_named("124m"); });
  EXPECT_EQ(e.fault, Fault::value);
  EXPECT_STREQ(e.what(), "size \"124m\" is none of baby, 124M, 355M, 774M, 1558M; did you mean 124M?");
}

TEST(ModelOptions, WhatIsGivenRulesAndTheRestComesFromTheSize) {
  ModelOptions o;
  o.size = "124M", o.layers = 2, o.context = 64, o.dropout = 0.1, o.attention_dropout = 0, o.untied = true;
  Config const c = o.config(1000);
  EXPECT_EQ(c, (Config{.layers = 2,
                       .heads = 12,
                       .channels = 768,
                       .vocab = 1000,
                       .context = 64,
                       .bias = true,
                       .tied = false,
                       .dropout = {0.1, 0, 0.1, 0.1}}));
  EXPECT_EQ(o.config().vocab, 50257);
  o.vocab = 999;
  EXPECT_EQ(error_of([&] { o.config(1000); }).fault, Fault::value);
  o.vocab = 1024;
  EXPECT_EQ(o.config(1000).vocab, 1024);
}

TEST(ModelOptions, SpelledOutTheySurviveTomlAndGiveTheSameShape) {
  Config c = shape(3, 4, 32);
  c.vocab = 99, c.context = 17, c.bias = false, c.tied = false, c.dropout = {0.1, 0, 0.2, 0.3};
  ModelOptions written = ModelOptions::of(c), read;
  from_toml(read.fields(), to_toml(written.fields()), "test");
  EXPECT_EQ(read.config(), c);
  EXPECT_EQ(ModelOptions::of(named("355M")).config(), named("355M"));
}

Json gpt2() { return parse_json(config_json({.config = named("124M")}), "test"); }

TEST(ConfigJson, WrittenAndReadIsTheSame) {
  Config c = shape(3, 4, 32);
  c.vocab = 99, c.context = 17, c.bias = false, c.tied = false, c.dropout = {0.1, 0.05, 0.2, 0.3};
  ModelInfo const read = parse_config(parse_json(config_json({c, "char", 7}), "test"), "test");
  EXPECT_EQ(read.config, c);
  EXPECT_EQ(read.tokenizer, "char");
  EXPECT_EQ(read.end_of_text, 7);
  EXPECT_TRUE(read.by_folio);
}

TEST(ConfigJson, MissingKeysTakeGpt2sDefaults) {
  ModelInfo const read = parse_config(Json::object(), "test");
  Config c = named("124M");
  c.dropout = {0.1, 0.1, 0.1, 0.1};
  EXPECT_EQ(read.config, c);
  EXPECT_FALSE(read.by_folio);
  EXPECT_FALSE(read.end_of_text.has_value());
}

TEST(ConfigJson, AChangedResidualRateRulesOverTheRatesBySite) {
  Config c = named("124M");
  c.dropout = {0, 0, 0.2, 0.3};
  Json j = parse_json(config_json({.config = c}), "test");
  EXPECT_EQ(j["resid_pdrop"], 0.3);
  j["resid_pdrop"] = 0.5;
  EXPECT_EQ(parse_config(j, "test").config.dropout, (DropoutRates{0, 0, 0.5, 0.5}));
}

TEST(ConfigJson, WhatIsNotComputedIsRefusedByName) {
  struct Case {
    char const* key;
    Json value;
  };
  for (Case const& x : {Case{"model_type", "llama"},
                        {"activation_function", "relu"},
                        {"activation_function", "gelu"},
                        {"layer_norm_epsilon", 1e-6},
                        {"scale_attn_by_inverse_layer_idx", true},
                        {"reorder_and_upcast_attn", true},
                        {"add_cross_attention", true},
                        {"scale_attn_weights", false},
                        {"n_inner", 100},
                        {"quantization_config", Json::object()},
                        {"n_layer", "12"},
                        {"n_layer", -1},
                        {"n_layer", 1e30},
                        {"n_head", 7},
                        {"n_embd", 4000000000000000000},
                        {"vocab_size", 0},
                        {"n_positions", 1.5},
                        {"attn_pdrop", 1.0},
                        {"tie_word_embeddings", "yes"},
                        {"folio", 3},
                        {"folio", Json{{"version", 2}}},
                        {"folio", Json{{"bias", true}}}}) {
    Json j = gpt2();
    j[x.key] = x.value;
    Error const e = error_of([&] { parse_config(j, "config.json"); });
    EXPECT_EQ(e.fault, Fault::content) << x.key;
    EXPECT_TRUE(std::string(e.what()).starts_with("config.json")) << e.what();
  }
  for (Json const& j : {Json::array(), Json("gpt2"), Json(nullptr)})
    EXPECT_EQ(error_of([&] { parse_config(j, "config.json"); }).fault, Fault::content);
}

TEST(ConfigJson, EquivalentSpellingsAreTaken) {
  Json j = gpt2();
  j["activation_function"] = "gelu_pytorch_tanh";
  j["n_inner"] = 3072;
  EXPECT_EQ(parse_config(j, "test").config.layers, 12);
}

}  // namespace
}  // namespace folio::model

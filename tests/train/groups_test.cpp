// Groups of tensors: how their text is read, which tensors they take, and that a step moves each by its own rule.
#include "train/groups.h"

#include <gtest/gtest.h>

#include "tests/support/training.h"
#include "train/options.h"

namespace folio::train {
namespace {

using test::small;

void expect_fault(std::string const& text, Fault fault) {
  try {
    group_from(text);
    ADD_FAILURE() << text << " was taken";
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, fault) << e.what();
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << "names the group: " << e.what();
  }
}

TEST(Groups, AreReadFromText) {
  Group const both = group_from("h.*.attn.*: rate 0.5, decay 0");
  EXPECT_EQ(both.glob, "h.*.attn.*");
  EXPECT_EQ(both.rate, 0.5);
  EXPECT_EQ(both.decay, 0);
  Group const one = group_from("  wte* :decay   1e-2 ");
  EXPECT_EQ(one.glob, "wte*");
  EXPECT_FALSE(one.rate);
  EXPECT_EQ(one.decay, 0.01);
  for (char const* text : {"", "wte*", "wte*:", ": rate 1", "wte*: speed 1", "wte*: rate", "wte*: rate x",
                           "wte*: rate 1x", "wte*: rate 1,", "wte*: rate 1, rate 2", "wte*: rate 1 decay 2"})
    expect_fault(text, Fault::usage);
  for (char const* text : {"wte*: rate -1", "wte*: decay nan", "wte*: rate inf"}) expect_fault(text, Fault::value);
}

std::vector<TensorRule> rules_of(std::vector<Group> const& groups) {
  return tensor_rules(small(), {.decay = 0.1}, Decay::matrices, groups);
}

TEST(Groups, TakeTheTensorsThatTheirGlobMatchesAndALaterOneOverrides) {
  std::vector<TensorRule> const rules =
      rules_of({{"h.*", 0.5, 0.2}, {"h.1.*.weight", {}, 0.3}, {"*.c_proj.bias", 2.0, {}}, {"h.[1-9].ln_?.*", 0.0, {}}});
  ASSERT_EQ(rules.size(), 2u + 2 * 12 + 2);
  for (TensorRule const& r : rules) {
    bool const block = r.name.starts_with("h."), second = r.name.starts_with("h.1.");
    bool const weight = r.name.ends_with(".weight"), proj_bias = r.name.ends_with(".c_proj.bias");
    bool const norm = r.name.find("ln_") != r.name.npos;
    EXPECT_EQ(r.optimizer.rate, second && norm ? 0.0 : proj_bias ? 2.0 : block ? 0.5 : 1.0) << r.name;
    EXPECT_EQ(r.optimizer.decay, second && weight ? 0.3 : block ? 0.2 : r.shape.rank() == 2 ? 0.1 : 0.0) << r.name;
    EXPECT_EQ(r.globs.empty(), !block) << r.name;
  }
  auto const named = std::ranges::find(rules, "h.1.ln_1.weight", &TensorRule::name);
  ASSERT_NE(named, rules.end());
  EXPECT_EQ(named->globs, "h.*, h.1.*.weight, h.[1-9].ln_?.*");
}

TEST(Groups, OfMuonMoveTheMatricesOfTheBlocksAndAdamWTheRest) {
  Optimizer const muon{.rule = Optimizer::Rule::muon, .decay = 0.1, .momentum = 0.95};
  model::Config untied = small();
  untied.tied = false;
  for (TensorRule const& r : tensor_rules(untied, muon, Decay::linear, {{"h.1.*", 0.5, {}}})) {
    bool const matrix = r.name.starts_with("h.") && r.shape.rank() == 2;
    EXPECT_EQ(name_of(r.optimizer.rule), matrix ? "Muon" : "AdamW") << r.name;
    EXPECT_EQ(r.optimizer.moments(), matrix ? 1 : 2) << r.name;
    EXPECT_EQ(r.optimizer.parts, r.name.ends_with("c_attn.weight") ? 3 : 1) << r.name;
    EXPECT_EQ(r.optimizer.decay, matrix || r.name == "lm_head.weight" ? 0.1 : 0) << r.name;
    EXPECT_EQ(r.optimizer.rate, r.name.starts_with("h.1.") ? 0.5 : 1) << r.name;
  }
}

TEST(Groups, ThatMatchNothingAreRefusedWithTheNearestName) {
  for (auto const& [glob, nearest] : {std::pair{"h.*.atn.c_attn.weight", "h.0.attn.c_attn.weight"},
                                      {"wtf.*", "wte.weight"},
                                      {"h.7.mlp.c_fc.bias", "h.0.mlp.c_fc.bias"},
                                      {"transformer.wpe.weight", "wpe.weight"},
                                      {"*.wieght", "wte.weight"},
                                      {"ln_g.bias", "ln_f.bias"}}) {
    try {
      rules_of({{"*", 1.0, {}}, {glob, 0.5, {}}});
      ADD_FAILURE() << glob << " was taken";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::value);
      EXPECT_NE(std::string(e.what()).find(fmt::format("{} matches no tensor; the nearest is {} ", glob, nearest)),
                std::string::npos)
          << e.what();
    }
  }
}

// With gradients of zero a weight is only multiplied, by 1 − rate · decay.
TEST(Groups, MoveTheirTensorsByTheirOwnRateAndDecay) {
  auto const backend = make_reference_backend();
  TrainerOptions o = test::odd_options(DType::f64);
  o.optimizer.decay = 0.5;
  o.groups = {{"h.*", 0.25, {}}, {"h.1.*", {}, 0.75}, {"wpe.weight", 0.0, {}}, {"*.bias", {}, 0.125}};
  Trainer t(*backend, o);
  test::randomise(*backend, t.weights());
  auto nothing = test::batch(o.batch * o.accumulate, o.length, o.config.vocab);
  std::fill(nothing.token_weights.begin(), nothing.token_weights.end(), 0.f);
  std::vector<double> const before = test::read_state(*backend, t).w;
  t.step(nothing, 0.1);
  std::vector<double> const after = test::read_state(*backend, t).w;
  size_t i = 0;
  for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const& spec) {
    double const rate = name == "wpe.weight" ? 0 : name.starts_with("h.") ? 0.25 : 1;
    double const decay = name.ends_with(".bias") ? 0.125 : name.starts_with("h.1.") ? 0.75 : spec.matrix ? 0.5 : 0;
    for (int64_t k = 0; k < w.shape.size(); ++k, ++i)
      ASSERT_NEAR(after[i], before[i] * (1 - 0.1 * rate * decay), 1e-15) << name;
  });
}

}  // namespace
}  // namespace folio::train

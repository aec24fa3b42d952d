// folio inspect --gradients: the numbers are those of a training step, a new model is as it should be, and a trained
// one is told apart.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/runs.h"
#include "train/history.h"

namespace folio {
namespace {

using test::Ended;
using test::run;

class InspectGradients : public test::Runs {
 protected:
  static Json json_of(std::vector<std::string> words) {
    words.insert(words.begin(), "inspect");
    words.insert(words.end(), {"--gradients", "--json"});
    Ended const ended = run(words);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return ended.code == 0 ? parse_json(ended.out, "result") : Json();
  }
};

TEST_F(InspectGradients, ANewModelOnRandomTokens) {
  std::vector<std::string> const shape = {"--layers", "3",         "--heads", "2",       "--embd",
                                          "32",       "--context", "32",      "--vocab", "50"};
  Json const j = json_of(shape);
  EXPECT_EQ(j["read"], "random tokens");
  EXPECT_NEAR(j["loss"].get<double>(), std::log(50), 0.2);
  EXPECT_FALSE(j["initial"]["trained"].get<bool>());
  EXPECT_TRUE(j["initial"]["off"].empty());
  double squares = 0, shares = 0;
  for (Json const& t : j["tensors"])
    squares += std::pow(t["norm"].get<double>(), 2), shares += t["share"].get<double>();
  EXPECT_EQ(j["tensors"].size(), 4u + 12 * 3);
  EXPECT_NEAR(std::sqrt(squares), j["norm"].get<double>(), 1e-9);
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_EQ(j["types"].size(), 4u);
  auto words = shape;
  words.insert(words.begin(), "inspect");
  words.insert(words.end(), {"--gradients", "--clip", "0.001"});
  Ended const shown = run(words);
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (char const* part : {"h.2.mlp.c_proj.bias", "attention", "--clip 0.001 would act: ×",
                           "the usual 0.1 to 2 (a rule", "Initial weights: all 40 tensors"})
    EXPECT_NE(shown.out.find(part), std::string::npos) << part << "\n" << shown.out;
}

TEST_F(InspectGradients, ItsNormAndLossAreThoseOfTheFirstStepOfARun) {
  ASSERT_EQ(run({"prepare", at("text.txt"), "--out", at("data"), "--tokenizer", "char"}).code, 0);
  std::vector<std::string> const shape = {"--layers", "2",        "--heads", "2", "--embd", "32", "--context", "32",
                                          "--data",   at("data"), "--batch", "6", "--seed", "5",  "--dtype",   "f32"};
  auto words = shape;
  words.insert(words.begin(), "train");
  words.insert(words.end(), {"--out", at("run"), "--steps", "30", "--eval-batches", "1"});
  ASSERT_EQ(run(words).code, 0);
  train::StepReport const first = train::read_history(folder / "run" / "metrics.jsonl").steps.at(0);
  Json const j = json_of(shape);
  EXPECT_NEAR(j["norm"].get<double>(), first.norm, 1e-6 * first.norm);
  EXPECT_NEAR(j["loss"].get<double>(), first.loss, 1e-6);
  EXPECT_EQ(j["clip"]["acts"].get<bool>(), first.clipped < first.norm);

  Json const trained = json_of({at("run"), "--data", at("data")});
  EXPECT_TRUE(trained["initial"]["trained"].get<bool>());
  EXPECT_LT(trained["loss"].get<double>(), j["loss"].get<double>());
  EXPECT_EQ(json_of({at("run")})["read"], at("data"));  // the run's own, which its configuration names
  EXPECT_EQ(json_of({at("run")})["loss"], trained["loss"]);
  std::filesystem::rename(folder / "data", folder / "elsewhere");
  EXPECT_EQ(json_of({at("run")})["read"], "random tokens");
  Ended const shown = run({"inspect", at("run"), "--gradients"});
  EXPECT_NE(shown.err.find("are gone: random tokens"), std::string::npos) << shown.err;
  EXPECT_NE(shown.out.find("The model is trained: "), std::string::npos) << shown.out;
}

TEST_F(InspectGradients, AModelThatHasHardlyMovedIsNotSaidToBeUnlikeANewOne) {
  ASSERT_EQ(run({"train", "--data", at("text.txt"), "--out",          at("one"), "--layers", "1", "--heads",
                 "1",     "--embd", "64",           "--context",      "16",      "--batch",  "2", "--steps",
                 "1",     "--lr",   "1e-9",         "--eval-batches", "1"})
                .code,
            0);
  Ended const shown = run({"inspect", at("one"), "--gradients"});
  EXPECT_NE(shown.out.find("still as in a new one"), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out.find("0 of its"), std::string::npos) << shown.out;
}

TEST_F(InspectGradients, FlagsThatContradictAreRefused) {
  for (auto const& [words, part] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--size", "baby", "--clip", "2"}, "--clip is of --gradients"},
           {{"--size", "baby", "--gradients", "--batch", "0"}, "--batch"},
           {{at("nothing"), "--gradients"}, "nothing"}}) {
    auto all = words;
    all.insert(all.begin(), "inspect");
    Ended const refused = run(all);
    EXPECT_NE(refused.code, 0);
    EXPECT_NE(refused.err.find(part), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace folio

// Early stopping, label smoothing and dropout by site, from the command line.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/runs.h"

namespace folio {
namespace {

using test::Ended;
using test::last_checkpoint;
using test::run;

class Regularisation : public test::Runs {
 protected:
  Regularisation()
      : Runs(
            "--layers 1 --heads 1 --embd 16 --context 16 --batch 4 --steps 200 --eval-every 10 "
            "--eval-batches 4 --lr 1e-2 --dtype f32") {}
};

// No evaluation is 1 nat better than the one before, but the first few: the run ends as the losses in the log say.
TEST_F(Regularisation, PatienceEndsARunAndNamesTheBestCheckpoint) {
  std::vector<std::string> const flags = {"--patience", "3", "--min-improvement", "0.2"};
  auto with_json = flags;
  with_json.push_back("--json");
  Ended const ended = run(command("run", with_json));
  ASSERT_EQ(ended.code, 0) << ended.err;
  double to_beat = INFINITY;
  int64_t waited = 0, step = -1, best = 0;
  double least = INFINITY;
  for (Json const& e : lines("run", "eval")) {
    EXPECT_LT(waited, 3) << "it went on too long";
    double const val = e["val"].get<double>();
    step = e["step"].get<int64_t>();
    waited = val < to_beat - 0.2 ? 0 : waited + 1;
    if (waited == 0) to_beat = val;
    if (step > 0 && val < least) least = val, best = step;
  }
  EXPECT_EQ(waited, 3);
  EXPECT_LT(step, 200);
  std::vector<Json> const stops = lines("run", "stop");
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_EQ(stops[0], (Json{{"type", "stop"}, {"step", step}, {"why", "patience"}}));
  EXPECT_NE(ended.err.find(fmt::format("checkpoints/step-{:08}", best)), std::string::npos) << ended.err;
  Json const result = parse_json(ended.out, "result");
  EXPECT_EQ(result["stopped_early"], true);
  EXPECT_EQ(result["best"]["step"], best);
  EXPECT_TRUE(std::filesystem::exists(folder / "run" / fmt::format("checkpoints/step-{:08}", best)));

  Ended const one = run(command("one", {"--patience", "1", "--min-improvement", "9"}));
  EXPECT_NE(one.err.find(", 1 evaluation without improvement"), std::string::npos) << one.err;

  // Stopped anywhere before, it ends at the same step with the same bits.
  auto parts = flags;
  parts.insert(parts.end(), {"--stop-after", fmt::format("{}", step - 4)});
  ASSERT_EQ(run(command("parts", parts)).code, 75);
  EXPECT_EQ(lines("parts", "stop")[0]["why"], "stop-after");
  Ended const resumed = go_on("parts");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_same_run("run", "parts");

  // Resumed as it is, it ends at once; with more patience it goes on.
  ASSERT_EQ(go_on("run").code, 0);
  EXPECT_EQ(lines("run", "step").size(), size_t(step));
  Ended const longer = go_on("run", {"--patience", "5"});
  EXPECT_EQ(longer.code, 0) << longer.err;
  EXPECT_GE(lines("run", "step").size(), size_t(step) + 20);
}

TEST_F(Regularisation, WithoutPatienceARunGoesToItsEnd) {
  std::vector<std::string> const flags = {"--steps", "40"};
  ASSERT_EQ(run(command("run", flags), {.set = {{"FOLIO_MIN_IMPROVEMENT", "10"}}}).code, 0);
  EXPECT_EQ(lines("run", "step").size(), 40u);
  EXPECT_TRUE(lines("run", "stop").empty());
  EXPECT_EQ(run(command("other", {"--patience", "-1"})).code, 78);
  EXPECT_EQ(run(command("other", {"--min-improvement", "-0.1"})).code, 78);
}

// The smoothed objective moves the weights; the loss of the first step, before that, is reported as without.
TEST_F(Regularisation, LabelSmoothingChangesWhatIsLearntAndNotWhatIsReported) {
  ASSERT_EQ(run(command("sharp", {"--steps", "60"})).code, 0);
  ASSERT_EQ(run(command("smooth", {"--steps", "60", "--label-smoothing", "0.3"})).code, 0);
  auto const sharp = lines("sharp", "step"), smooth = lines("smooth", "step");
  EXPECT_EQ(sharp[0]["loss"], smooth[0]["loss"]);
  EXPECT_NE(sharp[0]["norm"], smooth[0]["norm"]);
  EXPECT_NE(sharp[1]["loss"], smooth[1]["loss"]);
  EXPECT_GT(lines("smooth", "eval").back()["val"].get<double>(), lines("sharp", "eval").back()["val"].get<double>());
  EXPECT_EQ(run(command("other", {"--label-smoothing", "1"})).code, 78);
  EXPECT_EQ(go_on("smooth", {"--label-smoothing", "0.1"}).code, 78);
}

TEST_F(Regularisation, EachSiteOfDropoutHasItsOwnRate) {
  ASSERT_EQ(run(command("none", {"--steps", "2", "--warmup", "0"})).code, 0);
  std::string const plain = dump(lines("none", "step")[0]["norm"]);
  char const* const sites[] = {"embedding-dropout", "attention-dropout", "attention-residual-dropout",
                               "mlp-residual-dropout"};
  std::set<std::string> norms = {plain};
  for (char const* site : sites) {
    ASSERT_EQ(run(command(site, {"--steps", "2", "--warmup", "0", "--" + std::string(site), "0.5"})).code, 0);
    norms.insert(dump(lines(site, "step")[0]["norm"]));
  }
  EXPECT_EQ(norms.size(), 5u) << "each site changes the first step in its own way";
  ASSERT_EQ(run(command("all", {"--steps", "2", "--warmup", "0", "--dropout", "0.3", "--embedding-dropout", "0.1",
                                "--attention-dropout", "0.2", "--mlp-residual-dropout", "0.4"}))
                .code,
            0);
  Json const config = read_json(Path(last_checkpoint(folder / "all")) / "config.json");
  EXPECT_EQ(config["embd_pdrop"], 0.1);
  EXPECT_EQ(config["attn_pdrop"], 0.2);
  EXPECT_EQ(config["folio"]["dropout"], (Json{{"attention_residual", 0.3}, {"mlp_residual", 0.4}}));
}

}  // namespace
}  // namespace folio

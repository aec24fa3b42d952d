// Training in f16 from the command line: overflows are skipped and said, do not count as divergence, and are the same
// bits however often the run is stopped; a short form of the comparison of f32, bf16 and f16 in docs/numerics.md.
#include <gtest/gtest.h>

#include "tests/support/runs.h"
#include "train/finding.h"

namespace folio {
namespace {

using test::Ended;
using test::run;

class Precision : public test::Runs {
 protected:
  Precision()
      : Runs(
            "--layers 2 --heads 2 --embd 32 --context 32 --batch 8 --steps 120 --eval-every 60 "
            "--eval-batches all --lr 3e-3 --seed 3") {}
  double val(std::string const& out) const { return lines(out, "eval").back()["val"].get<double>(); }
};

TEST_F(Precision, F16EndsWhereF32DoesWithOverflowsSkippedAndTheScaleGrownAgain) {
  ASSERT_EQ(run(command("f32", {"--dtype", "f32"})).code, 0);
  ASSERT_EQ(run(command("bf16", {"--dtype", "bf16"})).code, 0);
  Ended const ended = run(command("f16", {"--dtype", "f16", "--loss-scale", "1e9", "--loss-scale-every", "20"}));
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.err.find("gradients overflowed f16 at the loss scale 1000000000"), std::string::npos) << ended.err;
  int64_t overflows = 0, growths = 0;
  double before = 0;
  for (Json const& step : lines("f16", "step")) {
    double const scale = step["loss_scale"].get<double>();
    growths += before > 0 && scale == 2 * before;
    if (step.contains("accepted")) {
      ++overflows;
      EXPECT_TRUE(step["norm"].is_null() && step["loss"].is_number()) << dump(step);
    }
    before = scale;
  }
  EXPECT_GT(overflows, 5) << "more in a row than would end a run that diverged";
  EXPECT_GT(growths, 0);
  EXPECT_FALSE(lines("f32", "step")[0].contains("loss_scale"));
  std::printf("  val: f32 %.4f, bf16 %.4f, f16 %.4f; %ld overflows, %ld growths\n", val("f32"), val("bf16"), val("f16"),
              long(overflows), long(growths));
  EXPECT_NEAR(val("bf16"), val("f32"), 0.05);
  EXPECT_NEAR(val("f16"), val("f32"), 0.05);
  for (Json const& d : lines("f16", "diagnosis"))
    EXPECT_NE(d["state"], train::name_of(train::State::not_finite)) << dump(d);
}

TEST_F(Precision, F16ResumesBitForBitInTheMidstOfOverflowsAndGrowth) {
  std::vector<std::string> const flags = {"--dtype", "f16", "--loss-scale", "1e9", "--loss-scale-every", "20",
                                          "--steps", "60"};
  ASSERT_EQ(run(command("whole", flags)).code, 0);
  for (std::string const stop : {"3", "31"}) {
    auto parts = flags;
    parts.insert(parts.end(), {"--stop-after", stop});
    ASSERT_EQ(run(command("parts" + stop, parts)).code, 75);
    ASSERT_EQ(go_on("parts" + stop).code, 0);
    expect_same_run("whole", "parts" + stop);
  }
}

TEST_F(Precision, ARunThatWasBegunInAnotherTypeGetsItsScalerWhenItGoesOnInF16) {
  ASSERT_EQ(run(command("run", {"--dtype", "f32", "--stop-after", "3", "--steps", "6"})).code, 75);
  Ended const resumed = go_on("run", {"--dtype", "f16"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(lines("run", "step")[3]["loss_scale"], 65536.0);
}

TEST_F(Precision, ARunInF16ThatDivergesEndsWithThree) {
  Ended const ended =
      run(command("run", {"--dtype", "f16", "--lr", "1e30", "--warmup", "0", "--clip", "0", "--eval-every", "1000"}));
  EXPECT_EQ(ended.code, 3) << ended.err;
  EXPECT_NE(ended.err.find("bf16"), std::string::npos) << ended.err;
}

TEST_F(Precision, F16IsOfTheProcessor) {
  for (char const* device : {"reference", "cuda"}) {
    Ended const ended = run(command("run", {"--dtype", "f16", "--device", device}));
    EXPECT_EQ(ended.code, 78) << ended.err;
    EXPECT_NE(ended.err.find("--dtype f16"), std::string::npos) << ended.err;
  }
  EXPECT_EQ(run(command("run", {"--dtype", "f16", "--loss-scale", "0.5"})).code, 78);
  ASSERT_EQ(run(command("run", {"--dtype", "f16", "--steps", "2", "--warmup", "0"})).code, 0);
  Ended const text = run({"generate", at("run"), "--prompt", "First", "--max-new-tokens", "5", "--dtype", "f16"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(run({"eval", at("run"), "--data", at("run") + "/data", "--dtype", "f16"}).code, 0);
}

}  // namespace
}  // namespace folio

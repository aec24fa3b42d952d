// What `folio train` shows and logs of a run beside its losses: samples and statistics change nothing of the run, and a
// resumed run logs what one that was never stopped logs.
#include <gtest/gtest.h>

#include "tests/support/runs.h"
#include "train/history.h"

namespace folio {
namespace {

using test::Ended;
using test::run;

class TrainWatch : public test::Runs {
 protected:
  TrainWatch()
      : Runs(
            "--layers 2 --heads 2 --embd 16 --context 16 --batch 4 --steps 24 --warmup 2 --lr 3e-3 "
            "--eval-batches 2 --dropout 0.1 --eval-every 12") {}
  Ended train(std::string const& out, std::vector<std::string> const& more = {}) const {
    return run(command(out, more));
  }
  train::History history(std::string const& name) const { return train::read_history(folder / name / "metrics.jsonl"); }
  std::string weights(std::string const& name) const {
    return read_file(Path(test::last_checkpoint(folder / name)) / "model.safetensors");
  }
};

std::vector<std::string> const kSamples = {"--sample-every", "8", "--sample-prompt", "First", "--sample-tokens", "12"};

TEST_F(TrainWatch, SamplesAndStatisticsChangeNoBitOfTheRun) {
  ASSERT_EQ(train("plain", {"--stats-every", "0"}).code, 0);
  auto more = kSamples;
  more.insert(more.end(), {"--stats-every", "3", "--tensorboard"});
  Ended const watched = train("watched", more);
  ASSERT_EQ(watched.code, 0) << watched.err;
  EXPECT_TRUE(weights("plain") == weights("watched"));
  train::History const plain = history("plain"), h = history("watched");
  EXPECT_TRUE(plain.statistics.empty() && plain.samples.empty());
  EXPECT_EQ(h.statistics.size(), 8u);
  ASSERT_EQ(h.samples.size(), 3u);
  for (size_t i = 0; i < plain.steps.size(); ++i) EXPECT_EQ(plain.steps[i].loss, h.steps[i].loss);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(h.samples[i].step, int64_t(8 * (i + 1)));
    EXPECT_EQ(h.samples[i].prompt, "First");
    EXPECT_EQ(h.samples[i].text.size(), 12u) << "a token is a character";
  }
  EXPECT_NE(h.samples[0].text, h.samples[2].text) << "the model is another one";
  EXPECT_NE(watched.err.find("step 8, a sample:\n  \"First"), std::string::npos) << watched.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "plain" / "tensorboard"));
  EXPECT_TRUE(std::filesystem::exists(folder / "watched" / "tensorboard"));
}

TEST_F(TrainWatch, AResumedRunLogsTheSameSamplesAndStatistics) {
  auto more = kSamples;
  more.insert(more.end(), {"--stats-every", "5"});
  ASSERT_EQ(train("whole", more).code, 0);
  more.insert(more.end(), {"--stop-after", "7"});
  ASSERT_EQ(train("pieces", more).code, 75);
  for (int const code : {75, 75, 0}) ASSERT_EQ(go_on("pieces", {"--stop-after", "7"}).code, code);
  expect_same_run("whole", "pieces");
  EXPECT_EQ(history("pieces").samples.size(), 3u);
}

TEST_F(TrainWatch, ClippingIsLoggedWhereItActs) {
  ASSERT_EQ(train("run", {"--clip", "0.1"}).code, 0);
  int acted = 0;
  for (train::StepReport const& step : history("run").steps) {
    bool const acts = step.norm > 0.1;
    EXPECT_NEAR(step.clipped, acts ? 0.1 : step.norm, 1e-5);
    acted += acts;
  }
  EXPECT_GT(acted, 0);
  ASSERT_EQ(train("free", {"--clip", "0"}).code, 0);
  EXPECT_EQ(read_file(folder / "free" / "metrics.jsonl").find("clipped"), std::string::npos);
}

TEST_F(TrainWatch, APromptThatCannotBeReadIsRefusedBeforeTheFirstStep) {
  Ended const refused = train("run", {"--sample-every", "5", "--sample-prompt", "§"});
  EXPECT_EQ(refused.code, 65) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  write_file(folder / "ids.bin", std::string(4000, '\0'));
  Ended const no_tokenizer = run({"train", "--data", at("ids.bin"), "--vocab", "20", "--out", at("ids"), "--context",
                                  "16", "--sample-every", "5"});
  EXPECT_EQ(no_tokenizer.code, 78) << no_tokenizer.err;
  EXPECT_NE(no_tokenizer.err.find("--sample-every 5: the data bring no tokenizer"), std::string::npos)
      << no_tokenizer.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "ids"));
}

}  // namespace
}  // namespace folio

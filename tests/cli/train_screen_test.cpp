// What `folio train` says of its memory before the first step, where all lies in the process and where a GPU has its
// own.
#include "cli/train_screen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace folio::cli {
namespace {

std::string memory_line(train::MemoryPlan const& plan) {
  model::Config const config{
      .layers = 1, .heads = 1, .channels = 8, .vocab = 9, .context = 4, .bias = true, .tied = true, .dropout = {}};
  std::istringstream words(opening_lines(config, {}, "f32", 100, plan));
  std::string line;
  for (std::string word; words >> word;) line += word + ' ';
  return line.substr(line.find("memory "));
}

TEST(EvaluationLine, SaysNotFiniteOfALossThatIsNot) {
  testing::internal::CaptureStderr();
  TrainScreen(100, "run")
      .evaluated(
          {.step = 20, .train = -std::nan(""), .val = NAN, .val_bits_per_byte = NAN, .best = false, .seconds = 1});
  std::string const said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("step 20: train not finite"), said.npos) << said;
  EXPECT_EQ(said.find("nan"), said.npos) << said;
}

TEST(EvaluationLine, SaysWhetherTheBestIsBetterThanTheBeginning) {
  TrainScreen screen(100, "run");
  auto const said_of = [&](int64_t step, double val, bool best) {
    testing::internal::CaptureStderr();
    screen.evaluated({.step = step, .train = 3, .val = val, .val_bits_per_byte = NAN, .best = best, .seconds = 1});
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said_of(0, 2.5, false).find("best"), std::string::npos);
  EXPECT_NE(said_of(5, 2.6, true).find("the best so far but for the 2.5000 it began with\n"), std::string::npos);
  EXPECT_EQ(said_of(10, 2.7, false).find("best"), std::string::npos);
  EXPECT_NE(said_of(15, 2.4, true).find("the best so far\n"), std::string::npos);
}

TEST(ProgressLine, SaysNotFiniteOfANumberThatIsNot) {
  EXPECT_EQ(number_text("norm", 0.126, 2), "norm 0.13");
  for (double const v : {double(NAN), double(INFINITY)}) EXPECT_EQ(number_text("norm", v, 2), "norm not finite");
}

constexpr size_t kMiB = size_t{1} << 20;

TEST(MemoryLine, AddsUpWhatTheProcessHolds) {
  train::MemoryPlan const plan{{{"weights", 30 * kMiB}, {"scratch", 10 * kMiB}}, {"program", 5 * kMiB}, {}, 0};
  EXPECT_EQ(plan.total(), 45 * kMiB);
  EXPECT_EQ(memory_line(plan), "memory 45.0 MiB: weights 30.0 MiB, scratch 10.0 MiB, program 5.0 MiB ");
}

TEST(MemoryLine, TellsWhatLiesOnTheGpuFromWhatTheProcessHolds) {
  train::MemoryPlan const plan{{{"weights", 30 * kMiB}, {"scratch", 10 * kMiB}},
                               {"program", 5 * kMiB},
                               {.free = 90 * kMiB, .total = 100 * kMiB},
                               0};
  EXPECT_EQ(plan.total(), 5 * kMiB) << "of the process";
  EXPECT_EQ(
      memory_line(plan),
      "memory on the GPU 40.0 MiB: weights 30.0 MiB, scratch 10.0 MiB; 50.0 MiB of its 100.0 MiB stay free in the "
      "process program 5.0 MiB ");
}

}  // namespace
}  // namespace folio::cli

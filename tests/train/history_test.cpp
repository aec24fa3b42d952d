// What a run logs is read back as it was; what cannot be read is said and costs nothing else.
#include "train/history.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/files.h"
#include "tests/support/sanitizers.h"
#include "train/log_lines.h"

namespace folio::train {
namespace {

struct Log {
  test::ScratchFolder folder;
  Path path = folder.path() / "metrics.jsonl";
  explicit Log(std::string const& text) { write_file(path, text); }
};

std::string line(Json const& json) { return dump(json) + "\n"; }

Statistics statistics() {
  return {
      .step = 100,
      .period = 100,
      .tensors = {{"wte.weight", {.mean = 1.25e-3, .deviation = 0.02, .norm = 12.5, .gradient = 0.125, .update = 1e-3}},
                  {"h.0.ln_1.bias", {.mean = 0, .deviation = 0, .norm = 0, .gradient = 0.5, .update = NAN}}},
      .types = {{"embedding", {.mean = 1, .deviation = 2, .norm = 3, .gradient = 4, .update = 5}}},
      .activations = {{"h.0.gelu", {.mean = 0.5, .deviation = 1, .least = -0.17, .largest = 123456.7}}},
      .quiet = {0, 0.25}};
}

TEST(History, ReadsBackWhatWasLogged) {
  StepReport const step{.step = 1,
                        .loss = 4.125,
                        .rate = 1e-3,
                        .norm = INFINITY,
                        .accepted = false,
                        .seconds = 0.5,
                        .tokens_per_second = 1000,
                        .memory_bytes = 4096};
  EvalReport const eval{.step = 1, .train = 4, .val = 4.5, .val_bits_per_byte = NAN, .best = true, .seconds = 1};
  Finding const finding{.state = State::overfitting,
                        .grade = "severe",
                        .step = 1,
                        .since = 0,
                        .evidence = {"val rose", "train fell"},
                        .advice = "Stop.",
                        .flags = "--dropout 0.2"};
  Log const log(line(metrics_header()) + line(to_json(step)) + line(to_json(eval)) + line(to_json(statistics())) +
                line(to_json(Sample{1, "ROMEO:", "a \"line\"\n"})) + line(to_json(finding)) +
                line({{"type", "resume"}, {"step", 1}}) +
                line({{"type", "change"}, {"options", {{"lr", {{"was", "1"}, {"is", "2"}}}}}}));
  History const h = read_history(log.path);
  EXPECT_EQ(h.damage, "");
  ASSERT_EQ(h.steps.size(), 1u);
  EXPECT_EQ(h.steps[0].loss, 4.125);
  EXPECT_TRUE(std::isnan(h.steps[0].norm));
  EXPECT_FALSE(h.steps[0].accepted);
  EXPECT_EQ(h.steps[0].memory_bytes, 4096);
  ASSERT_EQ(h.evals.size(), 1u);
  EXPECT_EQ(h.evals[0].val, 4.5);
  EXPECT_TRUE(h.evals[0].best && std::isnan(h.evals[0].val_bits_per_byte));
  ASSERT_EQ(h.samples.size(), 1u);
  EXPECT_EQ(h.samples[0].text, "a \"line\"\n");
  ASSERT_EQ(h.findings.size(), 1u);
  EXPECT_EQ(h.findings[0].state, State::overfitting);
  EXPECT_EQ(h.findings[0].evidence, finding.evidence);
  EXPECT_EQ(h.findings[0].flags, "--dropout 0.2");
  ASSERT_EQ(h.notes.size(), 2u);
  EXPECT_EQ(h.notes[1].type, "change");
  EXPECT_EQ(h.notes[1].step, 1);
  ASSERT_EQ(h.notes[1].changes.size(), 1u);
  EXPECT_EQ(h.notes[1].changes[0].what + h.notes[1].changes[0].was + h.notes[1].changes[0].is, "lr12");
}

TEST(History, StatisticsComeBackAtFiveDigits) {
  Log const log(line(to_json(statistics())));
  History const h = read_history(log.path);
  ASSERT_EQ(h.statistics.size(), 1u);
  Statistics const &is = h.statistics[0], was = statistics();
  EXPECT_EQ(dump(to_json(is)), dump(to_json(was)));
  EXPECT_EQ(is.tensors[0].first, "wte.weight");
  EXPECT_EQ(is.tensors[0].second.gradient, 0.125);
  EXPECT_TRUE(std::isnan(is.tensors[1].second.update));
  EXPECT_EQ(is.activations[0].second.largest, 123460);
  EXPECT_EQ(is.quiet, was.quiet);
}

TEST(History, ATornLastLineIsSaidAndAllBeforeItIsRead) {
  StepReport const step{.step = 1, .loss = 4};
  Log const log(line(to_json(step)) + line(to_json(step)).substr(0, 20));
  History const h = read_history(log.path);
  EXPECT_EQ(h.steps.size(), 1u);
  EXPECT_NE(h.damage.find("line 2, the last, has no end"), std::string::npos) << h.damage;
}

TEST(History, LinesThatCannotBeReadArePassedOverAndCounted) {
  StepReport const step{.step = 1, .loss = 4};
  for (std::string const bad : {"[]\n", "{\"type\":\"step\"}\n", "{\"type\":1}\n", "{\n", "\xff\n",
                                "{\"type\":\"statistics\",\"step\":1,\"tensors\":[]}\n",
                                "{\"type\":\"diagnosis\",\"step\":1,\"since\":1,\"state\":\"odd\"}\n"}) {
    Log const log(line(to_json(step)) + bad + line(to_json(step)));
    History const h = read_history(log.path);
    EXPECT_EQ(h.steps.size(), 2u) << bad;
    EXPECT_NE(h.damage.find("1 line(s) cannot be read, the first is line 2"), std::string::npos) << bad << h.damage;
  }
}

TEST(History, WhatANewerFolioAddsIsPassedOverButANewerVersionIsRefused) {
  Log const log("{\"type\":\"weather\",\"sun\":true}\n");
  EXPECT_EQ(read_history(log.path).damage, "");
  Log const newer("{\"type\":\"format\",\"format\":\"folio-metrics\",\"version\":99}\n");
  test::expect_fault(Fault::content, {"99"}, [&] { read_history(newer.path); });
  test::expect_fault(Fault::missing, {"metrics.jsonl"}, [] { read_history("/nowhere/metrics.jsonl"); });
}

// Bytes that this process has come to hold at most while it does something.
template <class F>
double held_during(F what) {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  double const before = resident_memory();
  bool const begun = peak_memory() < before + (1 << 20);  // not every kernel lets it
  what();
  return begun ? peak_memory() - before : 0;
}

TEST(History, ALongLogIsReadWithoutBeingHeld) {
  constexpr double kMiB = 1 << 20;
  std::string text = line(metrics_header());
  for (int64_t i = 1; i <= 400; ++i)
    text += line(to_json(StepReport{.step = i, .loss = 2})) + line(to_json(Sample{i, "", std::string(100000, 'x')}));
  size_t const bytes = text.size();
  text += line(to_json(Rollback{.step = 400, .to = 300, .why = "spike", .data = {}}));
  Log const log(text);
  text = {};
  History h;
  std::optional<LoggedRollback> rollback;
  double const read = held_during([&] { h = read_history(log.path, {.steps = 400, .samples = false}); });
  double const looked =
      held_during([&] { rollback = rollback_behind(log.path, bytes, 300, [](auto&) { return true; }); });
  EXPECT_EQ(h.steps.size(), 300u);
  EXPECT_TRUE(h.samples.empty());
  ASSERT_TRUE(rollback);
  EXPECT_GT(rollback->metrics_bytes, bytes);
  if (!test::kSanitized) {
    EXPECT_LT(read, 8 * kMiB) << "of a log of " << double(bytes) / kMiB << " MiB";
    EXPECT_LT(looked, 2 * kMiB);
  }
  EXPECT_EQ(read_history(log.path).samples.size(), 300u);
}

TEST(LogLines, BeginWhereTheyAreAskedToAndEndWithTheLastWholeOne) {
  Log const log("first\n\nthird\ntorn");
  LogLines lines(log.path, 6);
  std::string line;
  ASSERT_TRUE(lines.next(line));
  EXPECT_EQ(line, "");
  ASSERT_TRUE(lines.next(line));
  EXPECT_EQ(line, "third");
  EXPECT_EQ(lines.at(), 13u);
  EXPECT_FALSE(lines.is_torn());
  EXPECT_FALSE(lines.next(line));
  EXPECT_TRUE(lines.is_torn());
  EXPECT_EQ(lines.at(), 13u);
  EXPECT_FALSE(LogLines(log.path, 1000).next(line)) << "a log that has lost lines";
  test::expect_fault(Fault::content, {"is a folder"}, [&] { LogLines(log.folder.path()); });
}

TEST(History, EveryStateHasItsOwnNameThatComesBack) {
  for (int i = 0; i <= static_cast<int>(State::not_finite); ++i)
    EXPECT_EQ(state_of(name_of(static_cast<State>(i)), "here"), static_cast<State>(i));
  test::expect_fault(Fault::content, {"here", "fine"}, [] { state_of("fine", "here"); });
}

}  // namespace
}  // namespace folio::train

// folio schedule as a shell runs it: the table, JSON against the library's rates, the drawing, and what it refuses.
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "tests/support/runs.h"
#include "train/history.h"
#include "train/schedule.h"

namespace folio::test {
namespace {

Ended schedule(std::vector<std::string> words) {
  words.insert(words.begin(), "schedule");
  return run(words);
}

TEST(ScheduleVerb, TabulatesAComparisonAndNothingElseOnAPipe) {
  Ended const e = schedule({"--compare", "constant,step", "--steps", "1000", "--warmup", "0"});
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.err, "");
  EXPECT_EQ(e.out,
            "schedule     start  middle     end    peak    mean\n"
            "A constant  1.0e-3  1.0e-3  1.0e-3  1.0e-3  1.0e-3\n"
            "B step      1.0e-3  1.0e-4  1.0e-4  1.0e-3  4.0e-4\n"
            "1,000 steps, 0 of them warm-up\n"
            "step: assumed --step-every 334\n");
}

TEST(ScheduleVerb, JsonHasTheLibrarysRates) {
  Ended const e = schedule({"--schedule", "wsd", "--steps", "400", "--warmup", "20", "--wsd-tail", "linear", "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  Json const all = parse_json(e.out, "folio schedule");
  Json const& one = all["schedules"][0];
  train::ScheduleOptions o;
  o.schedule = "wsd", o.warmup = 20, o.wsd_tail = "linear";
  EXPECT_EQ(all["steps"], 400);
  EXPECT_EQ(one["options"]["wsd-tail"], "linear");
  EXPECT_EQ(one["points"].size(), 400u);
  for (Json const& p : one["points"])
    EXPECT_EQ(p[1].get<double>(), train::rate_at(o, p[0].get<int64_t>() - 1, 400)) << p[0];
  EXPECT_EQ(one["end"].get<double>(), train::rate_at(o, 399, 400));
}

TEST(ScheduleVerb, DrawsEverySchedule) {
  ScratchFolder const folder;
  std::string const file = (folder.path() / "all.svg").string();
  std::string names;
  for (std::string const& name : train::schedule_names()) names += (names.empty() ? "" : ",") + name;
  Ended const e = schedule({"--compare", names, "--out", file});
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.err.find("written: "), e.err.npos);
  std::string const svg = read_file(file, 1 << 20);
  EXPECT_LT(svg.size(), size_t{1} << 16);
  EXPECT_EQ(svg.find("nan"), svg.npos);
  for (std::string const& name : train::schedule_names()) EXPECT_NE(svg.find(" " + name + "</text>"), svg.npos) << name;
}

TEST(ScheduleVerb, RefusesWithASentence) {
  struct Row {
    std::vector<std::string> words;
    int code;
    char const* with;
  };
  for (Row const& r : std::vector<Row>{{{"--warmup", "9000"}, 78, "longer than --steps"},
                                       {{"--min-lr", "1"}, 78, "above --lr"},
                                       {{"--schedule", "step"}, 78, "needs --step-every"},
                                       {{"--schedule", "restarts"}, 78, "needs --restart-every"},
                                       {{"--schedule", "wsd", "--wsd-tail-steps", "4950"}, 78, "longer together"},
                                       {{"--schedule", "nope"}, 78, "is none of"},
                                       {{"--restart-growth", "0.5"}, 78, "--restart-growth"},
                                       {{"--compare", "lineer"}, 78, "did you mean linear?"},
                                       {{"--compare", "cosine,"}, 78, "no schedule \"\""},
                                       {{"--compare", "cosine,cosine"}, 78, "twice"},
                                       {{"--schedule", "cosine", "--compare", "step"}, 78, "give one of them"},
                                       {{"--lr", "x"}, 2, "cannot be read"},
                                       {{"--out", "/nowhere/at/all.svg"}, 74, "/nowhere/at"}}) {
    Ended const e = schedule(r.words);
    EXPECT_EQ(e.code, r.code) << r.with << ": " << e.err;
    EXPECT_EQ(e.out, "") << r.with;
    EXPECT_NE(e.err.find(r.with), e.err.npos) << e.err;
  }
}

class ScheduledRun : public Runs {
 protected:
  ScheduledRun()
      : Runs("--layers 1 --heads 1 --embd 16 --context 16 --batch 2 --steps 40 --warmup 5 --eval-batches 1") {}
};

TEST_F(ScheduledRun, ResumedWithAnotherScheduleFollowsItFromThere) {
  Ended const begun = run(command("run", {"--stop-after", "15"}));
  ASSERT_EQ(begun.code, 75) << begun.err;
  Ended const resumed = go_on("run", {"--schedule", "wsd", "--wsd-tail-steps", "10"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  train::ScheduleOptions cosine, wsd;
  cosine.warmup = wsd.warmup = 5;
  wsd.schedule = "wsd", wsd.wsd_tail_steps = 10;
  train::History const h = train::history_of(folder / "run");
  ASSERT_EQ(h.steps.size(), 40u);
  for (train::StepReport const& s : h.steps)
    EXPECT_EQ(s.rate, rate_at(s.step <= 15 ? cosine : wsd, s.step - 1, 40)) << "step " << s.step;
  ASSERT_FALSE(h.notes.empty());
  train::Note const& change = h.notes.back();
  EXPECT_EQ(change.type, "change");
  ASSERT_EQ(change.changes.size(), 2u);
  EXPECT_EQ(change.changes[0].what + " " + change.changes[0].was + " " + change.changes[0].is, "schedule cosine wsd");
}

}  // namespace
}  // namespace folio::test

// The order of a sweep's work: who goes on at each halving, what a diverged or failed run does to the others, and that
// a sweep taken up again decides as the one that nothing interrupted. Runs are written by hand; nothing is trained.
#include "train/sweep.h"

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/scratch_folder.h"
#include "train/metrics.h"
#include "train/run_directory.h"
#include "train/summary.h"
#include "train/sweep_report.h"

namespace folio::train {
namespace {

using test::error_of;
using test::ScratchFolder;

class SweepWork : public testing::Test {
 protected:
  // Settings whose loss after s steps is value + 1 / s.
  Sweep begin(std::vector<double> const& values, std::optional<Halving> halving, std::vector<uint64_t> seeds = {}) {
    values_ = values;
    SweepSpec spec;
    std::vector<SweepRun> runs;
    for (size_t i = 0; i < values.size(); ++i) {
      spec.settings.push_back({fmt::format("s{}", i), {{"lr", fmt::format("{}", i)}}});
      for (uint64_t const seed : seeds.empty() ? std::vector<uint64_t>{1} : seeds)
        runs.push_back({.folder = folder_name(i + 1, spec.settings[i].name, seed),
                        .setting = i,
                        .seed = seed,
                        .steps = 90,
                        .eval_every = 10,
                        .toml = "x"});
    }
    spec.seeds = seeds, spec.halving = halving;
    return Sweep(folder / "sweep", spec, runs);
  }
  // Trains to `step`, as far as a sweep can see.
  void train(Sweep const& sweep, size_t run, int64_t step) {
    SweepRun const& r = sweep.runs()[run];
    Path const path = sweep.folder_of(r);
    make_folders(path);
    write_file(path / "config.toml", "");
    make_folders(checkpoint_path(path, step));
    std::string log = dump(metrics_header()) + "\n";
    for (int64_t s = r.eval_every; s <= step; s += r.eval_every)
      log += dump(to_json(EvalReport{.step = s, .train = 1, .val = values_[r.setting] + 1 / double(s)})) + "\n";
    write_file(path / "metrics.jsonl", log);
  }
  // Does what the sweep asks for, and writes it down.
  std::vector<std::string> work(Sweep& sweep, size_t most = SIZE_MAX) {
    std::vector<std::string> done;
    while (done.size() < most) {
      auto const job = sweep.next();
      if (!job) break;
      done.push_back(fmt::format("{} to {}", job->run, job->until));
      train(sweep, job->run, job->until);
      sweep.ended(*job, job->until == 90 ? 0 : 75, "");
    }
    return done;
  }
  ScratchFolder folder;
  std::vector<double> values_;
};

using Lines = std::vector<std::string>;

TEST_F(SweepWork, WithoutHalvingEveryRunIsTrainedToItsEnd) {
  Sweep sweep = begin({3, 1, 2}, {});
  EXPECT_EQ(work(sweep), (Lines{"0 to 90", "1 to 90", "2 to 90"}));
  auto const ranks = sweep.ranking();
  EXPECT_EQ((std::vector<size_t>{ranks[0].setting, ranks[1].setting, ranks[2].setting}),
            (std::vector<size_t>{1, 2, 0}));
  EXPECT_NEAR(ranks[0].val, 1 + 1 / 90.0, 1e-12);
}

TEST_F(SweepWork, HalvingKeepsTheBestOfEachRound) {
  Sweep sweep = begin({5, 1, 4, 2, 3}, Halving{.eta = 2, .first = 20});
  EXPECT_EQ(work(sweep), (Lines{"0 to 20", "1 to 20", "2 to 20", "3 to 20", "4 to 20",  // 5: the best 3 go on
                                "1 to 40", "3 to 40", "4 to 40",                        // 2
                                "1 to 80", "3 to 80",                                   // 1
                                "1 to 90"}));
  std::string became;
  for (Ranked const& r : sweep.ranking()) became += fmt::format("{} {} {}, ", r.setting, r.step, name_of(r.status));
  EXPECT_EQ(became, "1 90 finished, 3 80 dropped, 4 40 dropped, 2 20 dropped, 0 20 dropped, ");
}

TEST_F(SweepWork, SettingsAreHalvedByTheMeanOverTheirSeeds) {
  Sweep sweep = begin({2, 1}, Halving{.eta = 2, .first = 10}, {1, 2});
  EXPECT_EQ(work(sweep).size(), 4u + 2 * 4);  // 10 for all four; 20, 40, 80, 90 for both seeds of the better
  EXPECT_EQ(sweep.runs()[0].status, RunStatus::dropped);
  EXPECT_EQ(sweep.runs()[1].status, RunStatus::dropped);
  EXPECT_EQ(sweep.ranking()[0].setting, 1u);
}

TEST_F(SweepWork, SideBySideNothingIsHalvedBeforeTheLastOfARoundHasEnded) {
  Sweep sweep = begin({1, 2}, Halving{.eta = 2, .first = 20});
  auto const a = sweep.next(), b = sweep.next();
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(sweep.next());
  train(sweep, 0, 20), sweep.ended(*a, 75, "");
  EXPECT_FALSE(sweep.next());
  train(sweep, 1, 20), sweep.ended(*b, 75, "");
  auto const c = sweep.next();
  ASSERT_TRUE(c);
  EXPECT_EQ(c->run, 0u);
  EXPECT_FALSE(sweep.next());
}

TEST_F(SweepWork, InterruptedAfterAnyJobItDecidesAsTheWholeOne) {
  std::vector<double> const values = {5, 1, 4, 2, 3};
  Halving const halving{.eta = 2, .first = 20};
  Lines whole;
  {
    Sweep sweep = begin(values, halving);
    whole = work(sweep);
  }
  for (size_t stop = 0; stop <= whole.size(); ++stop) {
    std::filesystem::remove_all(folder / "sweep");
    Lines done;
    {
      Sweep sweep = begin(values, halving);
      done = work(sweep, stop);
    }
    Sweep sweep = begin(values, halving);
    EXPECT_TRUE(sweep.resumed());
    for (std::string const& line : work(sweep)) done.push_back(line);
    EXPECT_EQ(done, whole) << stop;
    EXPECT_EQ(sweep.ranking()[0].setting, 1u);
  }
}

TEST_F(SweepWork, ItsFindingComparesWhatHalvingDroppedWhereBothHadCome) {
  Sweep sweep = begin({1, 1.01}, Halving{.eta = 2, .first = 20});
  work(sweep);
  EXPECT_EQ(finding_of(sweep),
            "“s0” reaches the lowest validation loss, 1.011; at step 20, the last of “s1”, 1.050 against 1.060");
  EXPECT_EQ(sweep.val_by(0, 30), 1 + 1.0 / 30);
}

TEST_F(SweepWork, ARunStoppedInTheMiddleGoesOnAndAnEndedOneIsNotRepeated) {
  {
    Sweep sweep = begin({1, 2}, {});
    auto const job = sweep.next();
    train(sweep, 0, 90), sweep.ended(*job, 0, "");
    auto const second = sweep.next();
    train(sweep, 1, 30), sweep.ended(*second, 75, "");
    EXPECT_EQ(sweep.runs()[1].status, RunStatus::waiting);
  }
  Sweep sweep = begin({1, 2}, {});
  EXPECT_EQ(sweep.runs()[1].step, 30);
  EXPECT_EQ(work(sweep), Lines{"1 to 90"});
}

TEST_F(SweepWork, ADivergedRunIsNotRepeatedAFailedOneIs) {
  {
    Sweep sweep = begin({1, 2, 3}, Halving{.eta = 3, .first = 10});
    auto const a = sweep.next();
    sweep.ended(*a, 3, "");
    auto const b = sweep.next();
    sweep.ended(*b, 71, "out of memory");
    EXPECT_EQ(work(sweep), (Lines{"2 to 10", "2 to 30", "2 to 90"}));
    EXPECT_EQ(sweep.ranking()[0].setting, 2u);
    EXPECT_EQ(sweep.runs()[1].why, "out of memory");
  }
  Sweep sweep = begin({1, 2, 3}, Halving{.eta = 3, .first = 10});
  EXPECT_EQ(sweep.runs()[0].status, RunStatus::diverged);
  EXPECT_EQ(work(sweep), (Lines{"1 to 10", "1 to 30", "1 to 90"}));
}

TEST_F(SweepWork, AFolderOfOtherThingsAndOtherSettingsAreRefused) {
  {
    Sweep sweep = begin({1, 2}, {});
    EXPECT_EQ(error_of([&] { begin({1, 2}, {}); }).fault, Fault::exists);  // somebody works in it
  }
  for (std::function<void()> const& again :
       std::vector<std::function<void()>>{[&] {
                                            begin({1, 2, 3}, {});
                                          },
                                          [&] {
                                            begin({1, 2}, Halving{.eta = 2, .first = 10});
                                          },
                                          [&] {
                                            begin({1, 2}, {}, {1, 2});
                                          }}) {
    Error const e = error_of(again);
    EXPECT_EQ(e.fault, Fault::value);
    EXPECT_NE(std::string(e.what()).find("was begun with"), std::string::npos) << e.what();
  }
  write_file(folder / "sweep/runs/001-s0-seed-1.toml", "y");
  EXPECT_EQ(error_of([&] { begin({1, 2}, {}); }).fault, Fault::value);
  write_file(folder / "sweep/sweep.json", "{}");
  EXPECT_EQ(error_of([&] { begin({1, 2}, {}); }).fault, Fault::content);
  make_folders(folder / "other");
  write_file(folder / "other/x", "");
  EXPECT_EQ(error_of([&] { Sweep(folder / "other", {}, {}); }).fault, Fault::exists);
}

TEST_F(SweepWork, OneThatWasKilledBeforeItsRecordWasThereBeginsAgain) {
  make_folders(folder / "sweep/runs");
  write_file(folder / "sweep/lock", "");
  write_file(folder / "sweep/runs/001-s0-seed-1.toml", "of a spec since mended");
  EXPECT_FALSE(begin({1, 2}, {}).resumed());
  EXPECT_EQ(read_file(folder / "sweep/runs/001-s0-seed-1.toml"), "x");

  std::filesystem::remove(folder / "sweep/sweep.json");
  make_folders(folder / "sweep/runs/001-s0-seed-1");  // a run, which no sweep has before its record
  EXPECT_EQ(error_of([&] { begin({1, 2}, {}); }).fault, Fault::exists);
}

TEST_F(SweepWork, ALookBeforeTheFirstEvaluationIsRefused) {
  Error const e = error_of([&] { begin({1}, Halving{.eta = 2, .first = 9}); });
  EXPECT_EQ(e.fault, Fault::value);
  EXPECT_NE(std::string(e.what()).find("before the first evaluation"), std::string::npos) << e.what();
  EXPECT_FALSE(std::filesystem::exists(folder / "sweep"));
}

TEST(SweepFolder, NamesAreOfPlainCharacters) {
  EXPECT_EQ(folder_name(7, "half the rate", {}), "007-half-the-rate");
  EXPECT_EQ(folder_name(12, "../é lr 0.001, x ", 5), "012-..-lr-0.001-x-seed-5");
}

TEST(SweepTable, ALossThatIsLostIsWrittenShort) {
  EXPECT_EQ(loss_number(1.58172, 4), "1.5817");
  EXPECT_EQ(loss_number(2402348244533248.0, 4), "2.4e+15");
}

}  // namespace
}  // namespace folio::train

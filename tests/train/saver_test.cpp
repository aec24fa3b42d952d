// Saves in the background and in the foreground: the bits, the order of their calls, what is kept, and what becomes of
// a run whose saves fail at any call.
#include "train/saver.h"

#include <gtest/gtest.h>

#include <latch>
#include <mutex>

#include "tests/support/checkpoints.h"

namespace folio::train {
namespace {

using test::error_of;

class Saves : public test::Checkpoints, public testing::WithParamInterface<bool> {
 protected:
  Saves() { log.write_line("{}"); }

  SaveOptions with(SaveOptions o = {}) const {
    o.background = GetParam();
    return o;
  }
  Saver saver(SaveOptions const& o) { return Saver(*backend, trainer, run, o, info, tokenizer); }
  // A state whose step is the trainer's; the best is that of this step or an earlier one.
  RunState at(int64_t best) {
    RunState s = state();
    s.best = Best{best, 1.5};
    s.metrics_bytes = 3;
    return s;
  }
  // Step by step to `last`, each saved; all are told of at the end.
  std::vector<SaveReport> save_to(int64_t last, Saver& saver, int64_t best = 1) {
    for (int64_t n = trainer.state().attempted; n <= last; ++n) {
      saver.save(at(std::min(n, best)), log);
      if (n < last) step(int(n) + 1);
    }
    saver.wait();
    return saver.reports();
  }
  std::vector<int64_t> steps() const { return checkpoint_steps(run.path()); }
  // What is there is whole, and best.json names one of them.
  void expect_sound() {
    for (int64_t const n : steps()) EXPECT_EQ(model::damage_of(run.checkpoint(n)), "");
    Path const best = run.path() / "best.json";
    if (there(best)) {
      EXPECT_TRUE(there(run.checkpoint(get_integer(read_json(best), "step", "best.json"))));
    }
  }

  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  AppendFile log{run.metrics()};
};

TEST_P(Saves, HoldTheBitsOfTheMomentTheyWereAskedFor) {
  save(folder / "expected");
  RunState const asked = state();
  std::latch go_on(1);
  if (GetParam())  // the writer begins when the trainer has gone on
    set_io_hook([&](std::string_view, Path const&) { return go_on.wait(), 0; });
  Saver s = saver(with());
  s.save(asked, log);
  step(2);
  step(3);
  go_on.count_down();
  s.wait();
  EXPECT_EQ(test::Checkpoints::files(run.checkpoint(1)), test::Checkpoints::files(folder / "expected"));
  auto const reports = s.reports();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_TRUE(reports[0].saved && reports[0].error.empty()) << reports[0].error;
  EXPECT_EQ(reports[0].step, 1);
  EXPECT_EQ(reports[0].path, run.checkpoint(1));
  EXPECT_GT(reports[0].waited, 0);
  EXPECT_TRUE(s.reports().empty()) << "each is told of once";
}

TEST_P(Saves, AreToldOfWithoutWaiting) {
  std::latch go_on(1);
  if (GetParam()) set_io_hook([&](std::string_view, Path const&) { return go_on.wait(), 0; });
  Saver s = saver(with());
  s.save(state(), log);
  EXPECT_EQ(s.reports().empty(), GetParam()) << "the writer has not begun";
  go_on.count_down();
  if (GetParam())
    while (s.reports().empty()) std::this_thread::yield();
}

TEST_P(Saves, AreInOrder) {  // each call with its path; a removal comes after the sync that made the newer one durable
  Saver s = saver(with());
  save_to(3, s);
  step(4);
  std::mutex mutex;
  std::vector<std::pair<std::string, std::string>> calls;
  set_io_hook([&](std::string_view what, Path const& path) {
    std::lock_guard const lock(mutex);
    calls.emplace_back(what, path.lexically_relative(run.path()).string());
    return 0;
  });
  s.save(at(4), log);
  s.wait();
  set_io_hook({});
  auto const first = [&](std::string const& what, std::string const& in) {
    auto const found = std::ranges::find_if(
        calls, [&](auto const& c) { return c.first == what && c.second.find(in) != std::string::npos; });
    EXPECT_NE(found, calls.end()) << what << " " << in;
    return found - calls.begin();
  };
  auto const folder_synced =
      std::ranges::find_if(calls,
                           [](auto const& c) {
                             return c.first == "sync" &&
                                    Path(c.second).filename().string().starts_with(".step-00000004");
                           }) -
      calls.begin();
  auto const log_synced = first("sync", "metrics.jsonl"), begun = first("make_folder", "step-00000004"),
             named = first("rename", "checkpoints/step-00000004"), best = first("rename", "best.json"),
             removed = first("rename", ".step-00000002.tmp");
  auto durable = named;
  while (durable < std::ssize(calls) &&
         calls[size_t(durable)] != std::pair<std::string, std::string>("sync", "checkpoints"))
    ++durable;
  EXPECT_LT(log_synced, named) << "the state names the length of a log that is there";
  EXPECT_LT(begun, folder_synced);
  EXPECT_LT(folder_synced, named);
  EXPECT_LT(named, durable);
  EXPECT_LT(durable, best);
  EXPECT_LT(best, removed);
  EXPECT_EQ(steps(), (std::vector<int64_t>{3, 4}));
}

TEST_P(Saves, MakeRoomEvenWhereTheBestCanNotBeRecorded) {  // on a disk that the run itself has filled
  Saver s = saver(with());
  save_to(3, s);
  s.reports();
  step(4);
  set_io_hook([](std::string_view, Path const& path) {
    return path.string().find("best.json") == std::string::npos ? 0 : ENOSPC;
  });
  s.save(at(4), log);
  s.wait();
  set_io_hook({});
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 3, 4})) << "2 was to go";
  SaveReport const report = s.reports().at(0);
  EXPECT_TRUE(report.saved);
  EXPECT_NE(report.error.find("best.json"), std::string::npos) << report.error;
  EXPECT_EQ(read_best(run.path())->step, 1) << "as it was";
  s.finish(4);
  EXPECT_EQ(read_best(run.path())->step, 4);
  EXPECT_EQ(steps(), (std::vector<int64_t>{3, 4}));
}

TEST_P(Saves, KeepTheNewestTheBestAndEveryMth) {
  Saver s = saver(with({.keep = 2, .keep_every = 4}));
  save_to(11, s, 6);
  EXPECT_EQ(steps(), (std::vector<int64_t>{4, 6, 8, 10, 11}));
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(6));
  expect_sound();
}

TEST_P(Saves, RemoveNothingWhileStepsAreRefused) {
  Saver s = saver(with());
  save_to(3, s, 3);
  for (int n : {4, 5, 6}) {
    step(n);
    RunState refused = at(3);
    refused.refused_in_a_row = n - 3;
    s.save(refused, log);
  }
  s.wait();
  EXPECT_EQ(steps(), (std::vector<int64_t>{2, 3, 4, 5, 6}));
  step(7);
  s.save(at(3), log);
  s.wait();
  EXPECT_EQ(steps(), (std::vector<int64_t>{3, 6, 7}));
}

TEST_P(Saves, OfAStepThatIsThereReplaceIt) {
  Saver s = saver(with());
  s.save(state(), log);
  RunState other = state();
  other.seconds = 7;
  s.save(other, log);
  s.wait();
  EXPECT_EQ(run_state_from(read_json(run.checkpoint(1) / "state.json"), "state").seconds, 7);
  for (auto const& entry : std::filesystem::directory_iterator(run.path() / "checkpoints"))
    EXPECT_FALSE(is_temporary(entry.path()));
}

TEST_P(Saves, ThatFailAreToldOfAndTriedAgain) {
  Saver s = saver(with());
  save_to(2, s, 2);
  step(3);
  for (int64_t failed = 1; failed <= 2; ++failed) {
    set_io_hook([&](std::string_view what, Path const&) { return what == "write" ? ENOSPC : 0; });
    s.save(at(3), log);
    s.wait();
    set_io_hook({});
    auto const reports = s.reports();
    ASSERT_EQ(reports.size(), 1u);
    SaveReport const& r = reports[0];
    EXPECT_FALSE(r.saved);
    EXPECT_EQ(r.fault, Fault::io);
    EXPECT_EQ(r.failed_in_a_row, failed);
    EXPECT_EQ(r.standing, run.checkpoint(2));
    for (std::string const& part :
         {std::string("no checkpoint of step 3 was saved: cannot write "),
          std::string("No space left on device; free some space there"), "the newest is " + run.checkpoint(2).string()})
      EXPECT_NE(in_words(r).find(part), std::string::npos) << in_words(r);
    EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2})) << "nothing is removed for one that is not there";
    EXPECT_EQ(read_best(run.path())->step, 2);
  }
  s.save(at(3), log);
  s.wait();
  EXPECT_EQ(s.reports().at(0).failed_in_a_row, 0);
  EXPECT_EQ(read_best(run.path())->step, 3);
  EXPECT_EQ(steps(), (std::vector<int64_t>{2, 3}));
}

TEST_P(Saves, OfABestThatFailedLeaveTheOneBefore) {
  Saver s = saver(with());
  save_to(2, s, 2);
  step(3);
  set_io_hook([](std::string_view what, Path const&) { return what == "sync" ? EIO : 0; });
  s.save(at(3), log);
  s.wait();
  set_io_hook({});
  for (int n : {4, 5}) {
    step(n);
    s.save(at(3), log);  // as a run whose next evaluations are worse
  }
  s.wait();
  EXPECT_EQ(steps(), (std::vector<int64_t>{2, 4, 5}));
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(2));
  expect_sound();
}

TEST_P(Saves, TheLastIsTriedOnceMore) {
  int failing = 1;
  set_io_hook([&](std::string_view what, Path const&) { return what == "rename" && failing-- > 0 ? EIO : 0; });
  {
    Saver s = saver(with());
    s.save(at(1), log);
    s.finish(1);
    auto const reports = s.reports();
    ASSERT_EQ(reports.size(), 2u);
    EXPECT_FALSE(reports[0].saved);
    EXPECT_TRUE(reports[1].saved && reports[1].error.empty());
    s.finish(1);
    EXPECT_TRUE(s.reports().empty()) << "nothing is left to be done";
  }
  EXPECT_EQ(read_best(run.path())->step, 1);
  set_io_hook([](std::string_view what, Path const&) { return what == "sync" ? EIO : 0; });
  Saver s = saver(with());
  step(2);
  s.save(at(1), log);
  Error const e = error_of([&] { s.finish(2); });
  set_io_hook({});
  EXPECT_EQ(e.fault, Fault::io);
  EXPECT_NE(std::string(e.what()).find("tried twice"), std::string::npos) << e.what();
  EXPECT_NE(std::string(e.what()).find("the newest is " + run.checkpoint(1).string()), std::string::npos) << e.what();
}

// Once, or from there on, with a full disk and with a broken one: then the run is as a reader wants it, the next save
// works as soon as the disk does, and whatever was durable before loads.
TEST_P(Saves, EveryCallFailingInTurnLosesNothing) {
  int calls = 0;
  {
    Saver s = saver(with());
    save_to(3, s, 3);
    step(4);
    set_io_hook([&](std::string_view, Path const&) { return ++calls, 0; });
    s.save(at(4), log);
    s.wait();
    set_io_hook({});
  }
  ASSERT_GT(calls, 30);
  auto const fresh = [&] {
    std::filesystem::remove_all(run.path() / "checkpoints");
    std::filesystem::remove(run.path() / "best.json");
    make_folders(run.path() / "checkpoints");
    for (int64_t const n : {2, 3}) {
      RunState s = at(3);
      s.step = s.step_state.attempted = s.step_state.accepted = n;
      save_checkpoint(run.checkpoint(n), {*backend, trainer.weights(), trainer.moments()}, info, tokenizer, s);
    }
    run.set_best({3, 1.5});
  };
  int unsaved = 0, besides = 0;
  for (bool const on : {false, true})
    for (int const error : {ENOSPC, EIO})
      for (int failing = 1; failing <= calls; ++failing) {
        fresh();
        SCOPED_TRACE(fmt::format("call {} of {}{}, error {}", failing, calls, on ? " and all after it" : "", error));
        Saver s = saver(with());
        std::atomic<int> call = 0;
        set_io_hook([&](std::string_view, Path const&) {
          int const n = ++call;
          return n == failing || (on && n > failing) ? error : 0;
        });
        s.save(at(4), log);
        s.wait();
        set_io_hook({});
        SaveReport const r = s.reports().at(0);
        EXPECT_TRUE(r.error.empty() || r.fault == Fault::io) << r.error;
        unsaved += !r.saved, besides += r.saved && !r.error.empty();
        expect_sound();
        auto const left = steps();
        EXPECT_TRUE(std::ranges::binary_search(left, r.saved ? 4 : 3)) << in_words(r);
        Trainer other(*backend, options());
        EXPECT_GE(load_newest(run, *backend, other).step, r.saved ? 4 : 3);
        // The disk is mended: at the end of a run, and at the next save.
        s.finish(4);
        EXPECT_EQ(steps(), (std::vector<int64_t>{3, 4}));
        EXPECT_EQ(read_best(run.path())->step, 4);
        expect_sound();
        if (HasFailure()) return;
      }
  std::printf("  %d calls of a save: %d failures cost the checkpoint, %d came after it was durable\n", calls, unsaved,
              besides);
  EXPECT_GT(unsaved, 2 * calls);
  EXPECT_GT(besides, 10);
}

TEST_P(Saves, TheSnapshotIsAsLargeAsWasPlanned) {
  for (auto const rule : {Optimizer::Rule::adamw, Optimizer::Rule::sgd, Optimizer::Rule::muon}) {
    TrainerOptions o = options();
    o.optimizer.rule = rule, o.optimizer.momentum = 0.9;
    Trainer const by_rule(*backend, o);
    MemoryRole const role = Saver::plan(with(), Trainer::plan(*backend, o));
    EXPECT_EQ(role.name, "snapshot");
    EXPECT_EQ(role.bytes, GetParam() ? Snapshot(*backend, by_rule.weights(), by_rule.moments()).bytes() : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(, Saves, testing::Bool(),
                         [](auto const& info) { return info.param ? "background" : "foreground"; });

}  // namespace
}  // namespace folio::train

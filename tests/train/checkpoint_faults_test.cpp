// A save that fails at any of its calls leaves the checkpoints before it as they were, and nothing half-written; what
// a checkpoint holds comes back bit for bit, and what was damaged is refused.
#include <random>

#include "tests/support/checkpoints.h"

namespace folio::train {
namespace {

using test::error_of;

class CheckpointFaults : public test::Checkpoints {
 protected:
  static std::vector<float> floats(Backend& b, Tensor t) {
    std::vector<float> v(size_t(t.size()));
    b.download(v.data(), t);
    return v;
  }
  // All that a checkpoint fills: weights, moments, state.
  std::string loaded(Path const& from) {
    Trainer other(*backend, options());
    RunState const state = load_checkpoint(from, *backend, other);
    return bytes_of(state, other);
  }
  std::string newest_of(RunDirectory& run) {
    Trainer other(*backend, options());
    RunState const state = load_newest(run, *backend, other);
    return bytes_of(state, other);
  }
  std::string bytes_of(RunState const& state, Trainer const& other) {
    std::string all = dump(to_json(state));
    size_t i = 0;
    for_each(other.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
      for (Tensor const& t : {w.master, other.moments()[i].m, other.moments()[i].v}) {
        auto const v = floats(*backend, t);
        all.append(reinterpret_cast<char const*>(v.data()), v.size() * sizeof(float));
      }
      ++i;
    });
    return all;
  }
};

TEST_F(CheckpointFaults, AllThatMovesComesBackBitForBit) {
  save(folder / "one");
  Trainer other(*backend, options());
  RunState const back = load_checkpoint(folder / "one", *backend, other);
  EXPECT_EQ(dump(to_json(back)), dump(to_json(state())));
  size_t i = 0;
  std::vector<std::vector<float>> of_trainer;
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    of_trainer.push_back(floats(*backend, w.master));
    of_trainer.push_back(floats(*backend, trainer.moments()[i].m));
    of_trainer.push_back(floats(*backend, trainer.moments()[i++].v));
  });
  size_t at = i = 0;
  for_each(other.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    EXPECT_EQ(of_trainer[at++], floats(*backend, w.master)) << name;
    EXPECT_EQ(of_trainer[at++], floats(*backend, other.moments()[i].m)) << name;
    EXPECT_EQ(of_trainer[at++], floats(*backend, other.moments()[i++].v)) << name;
  });
}

TEST_F(CheckpointFaults, EveryCallOfASaveFailingInTurnLeavesTheOneBeforeWhole) {
  save(folder / "before");
  int calls = 0;
  set_io_hook([&](std::string_view, Path const&) { return ++calls, 0; });
  save(folder / "counted");
  ASSERT_GT(calls, 20);
  step(2);
  for (int failing = 1; failing <= calls; ++failing)
    for (int error : {ENOSPC, EIO}) {
      int call = 0;
      set_io_hook([&](std::string_view, Path const&) { return ++call == failing ? error : 0; });
      Error const e = error_of([&] { save(folder / "after"); });
      set_io_hook({});
      EXPECT_EQ(e.fault, Fault::io) << e.what();
      Trainer other(*backend, options());
      EXPECT_EQ(load_checkpoint(folder / "before", *backend, other).step, 1);
      std::error_code ignored;
      if (std::filesystem::exists(folder / "after", ignored)) {  // the last sync failed: it is there, and whole
        EXPECT_EQ(load_checkpoint(folder / "after", *backend, other).step, 2);
        std::filesystem::remove_all(folder / "after");
      }
      for (auto const& entry : std::filesystem::directory_iterator(folder.path()))
        EXPECT_FALSE(is_temporary(entry.path())) << "call " << failing << " left " << entry.path();
    }
}

// Each file cut at 50 places and with 500 single bits turned over: named, or what is loaded is the same; and a run that
// is resumed goes on from it where it is the same, else from the one before it.
TEST_F(CheckpointFaults, DamageIsNamedOrChangesNothing) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  save(run.checkpoint(1));
  std::string const before = loaded(run.checkpoint(1));
  step(2);
  Path const newest = run.checkpoint(2), aside = newest.string() + ".damaged";
  save(newest);
  std::string const whole = loaded(newest);
  std::mt19937 random(20261122);
  for (auto const& [file, content] : files(newest)) {
    std::vector<std::string> damaged;
    for (size_t i = 0; i < 50; ++i) damaged.push_back(content.substr(0, content.size() * i / 50));
    for (int i = 0; i < 500; ++i) {
      damaged.push_back(content);
      damaged.back()[random() % content.size()] ^= char(1 << random() % 8);
    }
    if (file == "manifest.json")  // its version
      for (int bit = 0; bit < 8; ++bit) {
        damaged.push_back(content);
        damaged.back()[content.find("\"version\": 1") + 11] ^= char(1 << bit);
      }
    int named = 0, harmless = 0;
    for (std::string const& bytes : damaged) {
      write_file(newest / file, bytes);
      bool is_named = false;
      try {
        EXPECT_TRUE(loaded(newest) == whole) << file;
        ++harmless;
      } catch (Error const& e) {
        is_named = true;
        EXPECT_EQ(e.fault, Fault::content) << e.what();
        EXPECT_NE(std::string(e.what()).find(newest.string()), std::string::npos) << e.what();
        if (file != "manifest.json") {
          EXPECT_NE(std::string(e.what()).find(file), std::string::npos) << e.what();
        }
        ++named;
      }
      EXPECT_TRUE(newest_of(run) == (is_named ? before : whole)) << file << ": " << bytes.substr(0, 100);
      EXPECT_EQ(there(aside), is_named) << "set aside where it is damaged";
      if (there(aside)) std::filesystem::rename(aside, newest);
      if (HasFailure()) return;
    }
    write_file(newest / file, content);
    std::printf("  %-22s %zu bytes: of %zu damages %d are named, %d change nothing\n", file.c_str(), content.size(),
                damaged.size(), named, harmless);
    EXPECT_EQ(size_t(named + harmless), damaged.size());
    if (file != "manifest.json") {
      EXPECT_EQ(harmless, 0) << file;
    }
  }
  EXPECT_TRUE(loaded(newest) == whole);
}

TEST_F(CheckpointFaults, ADamagedOneIsSetAsideAndTheOneBeforeIsUsed) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  for (int n : {1, 2, 3}) {
    if (n > 1) step(n);
    save(run.checkpoint(n));
  }
  for (int n : {2, 3}) {
    std::string content = read_file(run.checkpoint(n) / "model.safetensors");
    content[content.size() / 2] ^= 1;
    write_file(run.checkpoint(n) / "model.safetensors", content);
  }
  Trainer other(*backend, options());
  EXPECT_EQ(load_newest(run, *backend, other).step, 1);
  EXPECT_EQ(checkpoint_steps(run.path()), std::vector<int64_t>{1});
  for (int n : {2, 3}) EXPECT_TRUE(there(run.checkpoint(n).string() + ".damaged"));
}

// As killed writers leave them, hundreds; and one whose writer lives.
TEST_F(CheckpointFaults, AFolderFullOfUnfinishedSavesIsCleanedWithASentence) {
  Path const at = folder / "run";
  {
    RunDirectory run = RunDirectory::create(at, [](Path const&) { return "steps = 1\n"; });
    save(run.checkpoint(1));
    for (int i = 0; i < 300; ++i) {
      Path const left = at / "checkpoints" / fmt::format(".step-{:08}.tmp-{}-{}", i % 7, 4000000 + i, i);
      make_folders(left / "deeper");
      write_file(left / "model.safetensors", "half");
      write_file(left / fmt::format(".optimizer.safetensors.tmp-{}-{}", 4000000 + i, i), "ha");
      write_file(at / fmt::format(".best.json.tmp-{}-{}", 4000000 + i, i), "");
    }
  }
  FolderWriter const living(at / "checkpoints" / "step-00000009");
  RunDirectory const run = RunDirectory::open(at);
  EXPECT_EQ(run.notes(), std::vector<std::string>{"cleared away 600 unfinished save(s) of an interrupted run"});
  for (Path const& at_all : {at, at / "checkpoints"})
    for (auto const& entry : std::filesystem::directory_iterator(at_all))
      EXPECT_TRUE(!is_temporary(entry.path()) || entry.path() == living.path()) << entry.path();
  EXPECT_TRUE(there(living.path()));
  EXPECT_EQ(model::damage_of(run.checkpoint(1)), "");
}

TEST_F(CheckpointFaults, AStateOfANewerVersionOrWithoutItsPartsIsRefused) {
  Json const good = to_json(state());
  EXPECT_EQ(run_state_from(good, "state").step, 1);
  Json newer = good;
  newer["version"] = 2;
  EXPECT_NE(std::string(error_of([&] { run_state_from(newer, "state"); }).what()).find("newer folio"),
            std::string::npos);
  for (auto const& [key, value] : good.items()) {
    Json without = good, wrong = good;
    without.erase(key);
    wrong[key] = Json::array({1});
    if (key == "best" || key == "patience" || key == "longest")
      EXPECT_NO_THROW(run_state_from(without, "state")) << "may be absent: " << key;
    else EXPECT_EQ(error_of([&] { run_state_from(without, "state"); }).fault, Fault::content) << key;
    EXPECT_EQ(error_of([&] { run_state_from(wrong, "state"); }).fault, Fault::content) << key;
  }
  for (char const* text : {"[]", "3", "null", "{}"})
    EXPECT_EQ(error_of([&] { run_state_from(parse_json(text, "state"), "state"); }).fault, Fault::content) << text;
}

TEST_F(CheckpointFaults, AStateWithNumbersThatNoRunHasIsRefused) {
  Json good = to_json(state());
  good["best"] = {{"step", 1}, {"val_loss", bits_of(1.5)}};
  good["rollbacks"] =
      Json::array({to_json(Rollback{.step = 1, .to = 0, .why = "spike", .in_a_row = 1, .skipped = 0, .data = {}})});
  ASSERT_NO_THROW(run_state_from(good, "state"));
  for (auto const& [place, value] : std::vector<std::pair<char const*, Json>>{{"/step_state/spikes/scored", INT64_MAX},
                                                                              {"/step_state/spikes/scored", -1},
                                                                              {"/step_state/spikes/in_a_row", 6},
                                                                              {"/step_state/accept", 7},
                                                                              {"/step_state/non_finite", 9},
                                                                              {"/step_state/loss_scale", bits_of(NAN)},
                                                                              {"/best/step", 2},
                                                                              {"/best/step", -1},
                                                                              {"/best/val_loss", bits_of(NAN)},
                                                                              {"/patience/waited", -1},
                                                                              {"/refused_in_a_row", INT64_MAX},
                                                                              {"/metrics_bytes", -1},
                                                                              {"/seconds", bits_of(-INFINITY)},
                                                                              {"/rollbacks/0/step", INT64_MAX},
                                                                              {"/rollbacks/0/skipped", -1},
                                                                              {"/rollbacks/0/in_a_row", 0}}) {
    Json hostile = good;
    hostile[Json::json_pointer(place)] = value;
    EXPECT_EQ(error_of([&] { run_state_from(hostile, "state"); }).fault, Fault::content) << place << " " << value;
  }
}

TEST_F(CheckpointFaults, RotationKeepsTheNewestAndTheBest) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  for (int64_t n : {10, 20, 30, 40, 50}) make_folders(run.checkpoint(n));
  run.set_best({20, 1.5});
  for (int64_t n : {35, 45}) make_folders(run.checkpoint(n));
  run.rotate(2, 0, {}, [](int64_t step) { return step % 10 == 0; });
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<int64_t>{20, 40, 45, 50})) << "45 was asked for, 40 was due";
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(20));
  for (int64_t n : {60, 61, 62, 63}) make_folders(run.checkpoint(n));
  run.rotate(2, 0, {}, [](int64_t step) { return step % 10 == 0; });
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<int64_t>{20, 40, 50, 60, 62, 63}))
      << "what was due stays until the next that is: a run that was not asked for 63 has it still";
  make_folders(run.checkpoint(70));
  run.rotate(2, 0, {}, [](int64_t step) { return step % 10 == 0; });
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<int64_t>{20, 60, 63, 70}));
  make_folders(run.checkpoint(0));
  run.rotate(2, 30, {}, [](int64_t step) { return step % 10 == 0 && step > 0; });
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<int64_t>{20, 60, 63, 70})) << "0 is no multiple to keep";
  std::filesystem::remove_all(run.checkpoint(20));
  EXPECT_FALSE(read_best(run.path()).has_value());
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(70));
  write_file(run.path() / "best.json", R"({"format":"other"})");
  EXPECT_EQ(error_of([&] { read_best(run.path()); }).fault, Fault::content);
}

TEST_F(CheckpointFaults, WhatWasDueIsToldOfOlderStatesToo) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  auto const due = [&](int64_t step, std::optional<int64_t> best, int64_t refused, std::optional<bool> said) {
    RunState s = state();
    s.step = s.step_state.attempted = step, s.step_state.accepted = 0;
    s.best = best ? std::optional(Best{*best, 1.5}) : std::nullopt;
    s.refused_in_a_row = refused, s.due = said;
    make_folders(run.checkpoint(step));
    write_json(run.checkpoint(step) / "state.json", to_json(s));
    return was_due(run, step, 20);
  };
  EXPECT_TRUE(due(40, {}, 0, {}));
  EXPECT_FALSE(due(40, {}, 1, {}));
  EXPECT_FALSE(due(30, 20, 0, {}));
  EXPECT_TRUE(due(30, 30, 0, {}));
  EXPECT_FALSE(due(0, {}, 0, {})) << "a run that nobody stops has none of step 0";
  EXPECT_FALSE(due(40, 40, 0, false));
  EXPECT_TRUE(due(30, {}, 0, true)) << "by the period that it was saved with";
  write_file(run.checkpoint(30) / "state.json", "{");
  EXPECT_FALSE(was_due(run, 30, 20));
  write_file(run.checkpoint(40) / "state.json", "{");
  EXPECT_TRUE(was_due(run, 40, 20));
  Json hostile = to_json(state());
  hostile["due"] = 1;
  EXPECT_EQ(error_of([&] { run_state_from(hostile, "state"); }).fault, Fault::content);
}

TEST_F(CheckpointFaults, TheBestIsRestoredAsTheStateHasIt) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  for (int64_t n : {10, 20}) make_folders(run.checkpoint(n));
  run.restore_best({});
  EXPECT_FALSE(there(run.path() / "best.json"));
  run.set_best({30, 1.5});  // that checkpoint is gone
  run.restore_best(Best{10, 2.5});
  EXPECT_EQ(read_best(run.path())->step, 10);
  run.restore_best(Best{30, 1.5});
  EXPECT_EQ(read_best(run.path())->step, 10) << "what it names is there";
  for (char const* text : {R"({"format":"folio-best","version":1,"step":30,"val_loss":"3ff8000000000000"})", "kept"}) {
    write_file(run.path() / "best.json", text);
    run.restore_best(Best{30, 1.5});
    EXPECT_FALSE(there(run.path() / "best.json")) << text;
  }
}

TEST_F(CheckpointFaults, ARunWhoseBeginningFailsLeavesNothing) {
  error_of(
      [&] { RunDirectory::create(folder / "run", [](Path const&) -> std::string { fail(Fault::content, "no"); }); });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace folio::train

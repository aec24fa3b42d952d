// A save that fails at any of its calls leaves the checkpoints before it as they were, and nothing half-written; what
// a checkpoint holds comes back bit for bit, and what was damaged is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/scratch_folder.h"
#include "train/checkpoint.h"

namespace folio::train {
namespace {

using test::error_of;
using test::ScratchFolder;

class CheckpointFaults : public testing::Test {
 protected:
  CheckpointFaults() { step(1); }
  ~CheckpointFaults() override { set_io_hook({}); }

  static model::Config shape() {
    return {
        .layers = 1, .heads = 2, .channels = 8, .vocab = 13, .context = 6, .bias = true, .tied = true, .dropout = {}};
  }
  static TrainerOptions options() {
    return {.config = shape(), .batch = 2, .length = 6, .chunk = 4, .optimizer = {}, .decide = {}, .classifier = {}};
  }
  void step(int n) {
    data::HostBatch batch;
    for (int i = 0; i < 12; ++i) {
      batch.tokens.push_back((i * 5 + n) % 13);
      batch.targets.push_back((i * 7 + n) % 13);
      batch.token_weights.push_back(1);
    }
    batch.sequences = {0, 1};
    batch.total_weight = 12;
    trainer.step(batch, 1e-2);
  }
  RunState state() {
    RunState s;
    s.step_state = trainer.state();
    s.step = s.step_state.attempted;
    s.data = {.epoch = 3, .position = 17};
    s.data_fingerprint = "these";
    s.best = Best{1, 0.1 + 0.2};
    s.seconds = 1.0 / 3;
    s.made = {{"build", "this"}};
    s.options = {{"steps", "10"}};
    return s;
  }
  void save(std::string const& name) {
    save_checkpoint(folder / name, *backend, trainer, {.config = shape()}, {{{"vocab.json", "{}"}}}, state());
  }
  static std::vector<float> floats(Backend& b, Tensor t) {
    std::vector<float> v(size_t(t.size()));
    b.download(v.data(), t);
    return v;
  }

  ScratchFolder folder;
  std::unique_ptr<Backend> backend = make_reference_backend();
  Trainer trainer{*backend, options()};
};

TEST_F(CheckpointFaults, AllThatMovesComesBackBitForBit) {
  save("one");
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
  save("before");
  int calls = 0;
  set_io_hook([&](std::string_view, Path const&) { return ++calls, 0; });
  save("counted");
  ASSERT_GT(calls, 20);
  step(2);
  for (int failing = 1; failing <= calls; ++failing)
    for (int error : {ENOSPC, EIO}) {
      int call = 0;
      set_io_hook([&](std::string_view, Path const&) { return ++call == failing ? error : 0; });
      Error const e = error_of([&] { save("after"); });
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

TEST_F(CheckpointFaults, DamageIsNamed) {
  for (char const* file : {"model.safetensors", "optimizer.safetensors", "state.json", "config.json", "vocab.json"}) {
    save("damaged");
    Path const path = folder / "damaged" / file;
    std::string content = read_file(path);
    content[content.size() / 2] ^= 1;
    write_file(path, content);
    Trainer other(*backend, options());
    Error const e = error_of([&] { load_checkpoint(folder / "damaged", *backend, other); });
    EXPECT_EQ(e.fault, Fault::content);
    EXPECT_NE(std::string(e.what()).find(file), std::string::npos) << e.what();
    std::filesystem::remove_all(folder / "damaged");
  }
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
    if (key == "best" || key == "patience")
      EXPECT_NO_THROW(run_state_from(without, "state")) << "may be absent: " << key;
    else EXPECT_EQ(error_of([&] { run_state_from(without, "state"); }).fault, Fault::content) << key;
    EXPECT_EQ(error_of([&] { run_state_from(wrong, "state"); }).fault, Fault::content) << key;
  }
  for (char const* text : {"[]", "3", "null", "{}"})
    EXPECT_EQ(error_of([&] { run_state_from(parse_json(text, "state"), "state"); }).fault, Fault::content) << text;
}

TEST_F(CheckpointFaults, RotationKeepsTheNewestAndTheBest) {
  RunDirectory run = RunDirectory::create(folder / "run", [](Path const&) { return "steps = 1\n"; });
  for (int64_t n : {10, 20, 30, 40, 50}) make_folders(run.checkpoint(n));
  run.set_best({20, 1.5});
  run.rotate(2);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<int64_t>{20, 40, 50}));
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(20));
  std::filesystem::remove_all(run.checkpoint(20));
  EXPECT_FALSE(read_best(run.path()).has_value());
  EXPECT_EQ(preferred_checkpoint(run.path()), run.checkpoint(50));
  write_file(run.path() / "best.json", R"({"format":"other"})");
  EXPECT_EQ(error_of([&] { read_best(run.path()); }).fault, Fault::content);
}

TEST_F(CheckpointFaults, ARunWhoseBeginningFailsLeavesNothing) {
  error_of(
      [&] { RunDirectory::create(folder / "run", [](Path const&) -> std::string { fail(Fault::content, "no"); }); });
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace folio::train

// What a run was begun with stays: a call that is refused changes nothing of it, and a config.toml that was edited or
// damaged in what may not change is refused.
#include <nlohmann/json.hpp>

#include "model/checkpoint.h"
#include "tests/support/runs.h"
#include "tests/support/sanitizers.h"
#include "train/run_directory.h"

namespace folio::test {
namespace {

class Kept : public Runs {
 protected:
  Kept()
      : Runs(
            "--layers 2 --heads 2 --embd 32 --context 32 --batch 4 --steps 30 --warmup 5 --dropout 0.1 "
            "--eval-every 20 --eval-batches 4 --checkpoint-every 25 --lr 3e-3") {}
};

TEST_F(Kept, ACallThatIsRefusedChangesNothing) {
  ASSERT_EQ(run(command("run", {"--stop-after", "10", "--checkpoint-every", "3", "--keep", "8"})).code, 75);
  std::string const config = read_file(folder / "run/config.toml"), logged = read_file(folder / "run/metrics.jsonl");
  auto const checkpoints = train::checkpoint_steps(folder / "run");
  ASSERT_EQ(checkpoints, (std::vector<int64_t>{3, 6, 9, 10}));
  auto const expect_unchanged = [&] {
    EXPECT_EQ(read_file(folder / "run/config.toml"), config);
    EXPECT_EQ(read_file(folder / "run/metrics.jsonl"), logged);
  };
  EXPECT_EQ(go_on("run", {"--steps", "5", "--warmup", "0"}).code, 78) << "behind the checkpoint";
  expect_unchanged();
  // They come when the checkpoint is loaded, and would have cut the log and rotated.
  std::vector<std::string> const less = {"--eval-every", "9", "--keep", "2", "--checkpoint-every", "3"};
  for (auto const& [flag, value, code] : {std::tuple("--time-limit", "0.1s", 78), {"--tensorboard", "", 73}}) {
    write_file(folder / "run/tensorboard", "a file");
    std::vector<std::string> words = less;
    words.push_back(flag);
    if (*value) words.push_back(value);
    Ended const refused = go_on("run", words);
    EXPECT_EQ(refused.code, code) << refused.err;
    expect_unchanged();
    std::filesystem::remove(folder / "run/tensorboard");
  }
  EXPECT_EQ(train::checkpoint_steps(folder / "run"), checkpoints);
  if (!kSanitized) {
    Ended const narrow = run({"train", "--out", at("run"), "--resume", "--eval-every", "9"}, {.data_limit = 8 << 20});
    EXPECT_EQ(narrow.code, 71) << narrow.err;
    expect_unchanged();
  }
  std::filesystem::rename(folder / "run/data", folder / "data");
  EXPECT_NE(go_on("run", {"--eval-every", "9"}).code, 0);
  expect_unchanged();
  std::filesystem::rename(folder / "data", folder / "run/data");
  EXPECT_EQ(go_on("run", {"--stop-after", "1"}).code, 75) << "as it was";
  EXPECT_EQ(read_file(folder / "run/config.toml"), config);
  EXPECT_EQ(go_on("run", {"--eval-every", "9", "--stop-after", "1"}).code, 75);
  EXPECT_NE(read_file(folder / "run/config.toml").find("eval-every = 9"), std::string::npos);
}

TEST_F(Kept, AConfigurationThatWasEditedInWhatMayNotChangeIsRefused) {
  ASSERT_EQ(run(command("run", {"--stop-after", "10"})).code, 75);
  Path const config = folder / "run/config.toml", state = Path(last_checkpoint(folder / "run")) / "state.json";
  std::string const good = read_file(config);
  auto const edit = [&](std::string const& was, std::string const& is) {
    std::string text = read_file(config);
    size_t const at = text.find("\n" + was + " ");
    ASSERT_NE(at, text.npos) << was;
    write_file(config, text.replace(at + 1, was.size(), is));
  };
  for (auto const& [was, is, says] :
       {std::tuple("batch = 4", "batch = 5", "batch is 5 and was 4"),
        std::tuple("optimizer = \"adamw\"", "optimizer = \"adam\"", "optimizer is adam and was adamw"),
        std::tuple("seed = 1337", "seed = 1336", "seed is 1336 and was 1337"),
        std::tuple("heads = 2", "heads = 4",
                   "2 heads, 32 channels, context 32, vocabulary 23, and config.toml has 2 layers, 4 heads"),
        std::tuple("attention-dropout = 0.1", "attention-dropout = 0.3", "attention-dropout is 0.3 and was 0.1"),
        std::tuple("clip = 1.0", "clip = 5.0", "clip is 5 and was 1")}) {
    edit(was, is);
    Ended const refused = go_on("run");
    EXPECT_EQ(refused.code, 65) << refused.err;
    EXPECT_NE(refused.err.find(says), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("config.toml has "), std::string::npos) << refused.err;
    write_file(config, good);
  }
  edit("batch = 4", "batch = 5");  // beside a checkpoint of a folio that did not record it
  Json older = read_json(state);
  older.erase("kept");
  write_json(state, older);
  model::write_manifest(state.parent_path());
  EXPECT_EQ(go_on("run").code, 0);
}

}  // namespace
}  // namespace folio::test

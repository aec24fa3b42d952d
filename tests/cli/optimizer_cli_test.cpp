// The optimizers from the command line: what they keep, that they resume bit for bit, and what is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/runs.h"

namespace folio {
namespace {

using test::Ended;
using test::last_checkpoint;
using test::run;
using test::ScratchFolder;

class OptimizerFlags : public testing::Test {
 protected:
  OptimizerFlags() { write_file(folder / "text.txt", test::speeches()); }
  std::string at(std::string const& name) const { return (folder / name).string(); }
  std::vector<std::string> command(std::string const& out, std::vector<std::string> const& more) const {
    std::vector<std::string> words = {"train",    "--data",    at("text.txt"), "--out",   at(out),
                                      "--layers", "1",         "--heads",      "2",       "--embd",
                                      "16",       "--context", "16",           "--batch", "4",
                                      "--steps",  "20",        "--eval-every", "10",      "--eval-batches",
                                      "2",        "--dropout", "0.1",          "--dtype", "f32"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  // Names of the tensors in a checkpoint's optimizer.safetensors.
  std::vector<std::string> moments(std::string const& out) const {
    std::string const bytes = read_file(Path(last_checkpoint(folder / out)) / "optimizer.safetensors");
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    std::vector<std::string> names;
    Json const header = parse_json(std::string_view(bytes).substr(8, size), "header");
    for (auto const& [name, entry] : header.items())
      if (name != "__metadata__") names.push_back(name);
    return names;
  }
  ScratchFolder folder;
};

TEST_F(OptimizerFlags, KeepTheirMomentsAndResumeBitForBit) {
  struct Row {
    char const* name;
    std::vector<std::string> flags;
    size_t moments;  // of each weight
    char const* said;
  };
  size_t constexpr kWeights = 16;  // of one layer, tied
  for (Row const& row : std::vector<Row>{
           {"adamw", {}, 2, "AdamW, β 0.9 and 0.95, decay 0.1 (matrices), clip 1"},
           {"adam",
            {"--optimizer", "adam", "--weight-decay", "0.01"},
            2,
            "Adam, β 0.9 and 0.95, decay 0.01 (matrices)"},
           {"sgd", {"--optimizer", "sgd", "--momentum", "0", "--lr", "0.1"}, 0, "SGD, no momentum"},
           {"momentum", {"--optimizer", "sgd", "--lr", "0.1", "--decay", "none"}, 1, "SGD, momentum 0.9, no decay"},
           {"nesterov", {"--optimizer", "sgd", "--nesterov", "--lr", "0.1"}, 1, "SGD, momentum 0.9, Nesterov"}}) {
    std::string const whole = row.name, parts = whole + "-parts";
    Ended const ended = run(command(whole, row.flags));
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_NE(ended.err.find(row.said), std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("optimizer state") != std::string::npos, row.moments > 0)
        << "the memory plan: " << ended.err;
    auto flags = row.flags;
    flags.insert(flags.end(), {"--stop-after", "7"});
    ASSERT_EQ(run(command(parts, flags)).code, 75);
    EXPECT_EQ(moments(parts).size(), row.moments * kWeights) << row.name;
    ASSERT_EQ(run({"train", "--out", at(parts), "--resume"}).code, 0);
    test::expect_same_run(folder / whole, folder / parts);
  }
  EXPECT_EQ(moments("momentum").front(), "wte.weight.m");
}

TEST_F(OptimizerFlags, ThatContradictAreRefused) {
  for (std::vector<std::string> const& flags : std::vector<std::vector<std::string>>{
           {"--nesterov"}, {"--optimizer", "sgd", "--nesterov", "--momentum", "0"}, {"--momentum", "1"}}) {
    Ended const ended = run(command("run", flags));
    EXPECT_EQ(ended.code, 78) << ended.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  }
  EXPECT_EQ(run(command("run", {"--optimizer", "adamv"})).code, 78);
  ASSERT_EQ(run(command("run", {"--stop-after", "2"})).code, 75);
  Ended const other = run({"train", "--out", at("run"), "--resume", "--optimizer", "sgd"});
  EXPECT_EQ(other.code, 78) << "its moments are another's: " << other.err;
}

}  // namespace
}  // namespace folio

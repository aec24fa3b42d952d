// The optimizers from the command line: what they keep, that they resume bit for bit, and what is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/runs.h"

namespace folio {
namespace {

using test::Ended;
using test::last_checkpoint;
using test::run;

class OptimizerFlags : public test::Runs {
 protected:
  OptimizerFlags()
      : Runs(
            "--layers 1 --heads 2 --embd 16 --context 16 --batch 4 --steps 20 --eval-every 10 "
            "--eval-batches 2 --dropout 0.1 --dtype f32") {}
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
};

TEST_F(OptimizerFlags, KeepTheirMomentsAndResumeBitForBit) {
  struct Row {
    char const* name;
    std::vector<std::string> flags;
    size_t moments;  // of all weights
    char const* said;
  };
  size_t constexpr kWeights = 16, kMatrices = 4;  // of one layer, tied
  for (Row const& row : std::vector<Row>{
           {"adamw", {}, 2 * kWeights, "AdamW, β 0.9 and 0.95, decay 0.1 (matrices), clip 1"},
           {"adam",
            {"--optimizer", "adam", "--weight-decay", "0.01"},
            2 * kWeights,
            "Adam, β 0.9 and 0.95, decay 0.01 (matrices)"},
           {"sgd", {"--optimizer", "sgd", "--momentum", "0", "--lr", "0.1"}, 0, "SGD, no momentum"},
           {"momentum",
            {"--optimizer", "sgd", "--lr", "0.1", "--decay", "none"},
            kWeights,
            "SGD, momentum 0.9, no decay"},
           {"nesterov", {"--optimizer", "sgd", "--nesterov", "--lr", "0.1"}, kWeights, "SGD, momentum 0.9, Nesterov"},
           {"muon",
            {"--optimizer", "muon"},
            2 * kWeights - kMatrices,
            "Muon, momentum 0.95, Nesterov; AdamW for the rest"}}) {
    std::string const whole = row.name, parts = whole + "-parts";
    Ended const ended = run(command(whole, row.flags));
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_NE(ended.err.find(row.said), std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("optimizer state") != std::string::npos, row.moments > 0)
        << "the memory plan: " << ended.err;
    auto flags = row.flags;
    flags.insert(flags.end(), {"--stop-after", "7"});
    ASSERT_EQ(run(command(parts, flags)).code, 75);
    EXPECT_EQ(moments(parts).size(), row.moments) << row.name;
    ASSERT_EQ(go_on(parts).code, 0);
    expect_same_run(whole, parts);
  }
  EXPECT_EQ(moments("momentum").front(), "wte.weight.m");
}

TEST_F(OptimizerFlags, DecayAsLittleAsTheirGradientBearsAndWarnOfMore) {
  struct Row {
    std::vector<std::string> flags;
    char const *decay, *warned;  // null: no warning
  };
  for (Row const& row : std::vector<Row>{
           {{}, "decay 0.1 (", nullptr},
           {{"--optimizer", "adam"}, "decay 0.0001 (", nullptr},
           {{"--optimizer", "sgd", "--lr", "0.1"}, "decay 0.0001 (", nullptr},
           {{"--optimizer", "adam", "--weight-decay", "0.1"}, "decay 0.1 (", "outweighs it; usual is 0.0001"},
           {{"--optimizer", "sgd", "--lr", "0.3", "--weight-decay", "0.1"},
            "decay 0.1 (",
            "half of a weight every 2.3 steps"},
           {{"--optimizer", "sgd", "--lr", "0.3", "--decay", "none"}, "no decay", nullptr}}) {
    std::filesystem::remove_all(folder / "run");
    auto flags = row.flags;
    flags.insert(flags.end(), {"--stop-after", "1"});
    Ended const ended = run(command("run", flags));
    ASSERT_EQ(ended.code, 75) << ended.err;
    EXPECT_NE(ended.err.find(row.decay), std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("usual is") != std::string::npos, row.warned != nullptr) << ended.err;
    if (row.warned) {
      EXPECT_NE(ended.err.find(row.warned), std::string::npos) << ended.err;
    }
  }
}

TEST_F(OptimizerFlags, MuonsMomentumIsItsOwnUnlessGiven) {
  auto const momentum = [&](std::vector<std::string> const& flags) {
    std::string const out = fmt::format("of-{}", flags.size());
    auto with = flags;
    with.insert(with.end(), {"--stop-after", "1"});
    EXPECT_EQ(run(command(out, with)).code, 75);
    std::string const toml = read_file(folder / out / "config.toml");
    return toml.substr(toml.find("\nmomentum = ") + 12, 4);
  };
  EXPECT_EQ(momentum({"--optimizer", "muon"}), "0.95");
  EXPECT_EQ(momentum({"--optimizer", "muon", "--momentum", "0.9"}), "0.9 ");
  EXPECT_EQ(momentum({}), "0.9 ");
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
  Ended const other = go_on("run", {"--optimizer", "sgd"});
  EXPECT_EQ(other.code, 78) << "its moments are another's: " << other.err;
}

TEST_F(OptimizerFlags, OfGroupsAreShownKeptInTheRunAndRefusedWhereTheyMatchNothing) {
  std::vector<std::string> const groups = {"--group", "h.*.attn.*: rate 0.5, decay 0", "--group", "wte*: rate 0"};
  auto shown = command("run", groups);
  shown.insert(shown.end(), {"--show-groups", "--vocab", "30", "--lr", "2e-3"});
  Ended const table = run(shown);
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run")) << "nothing is begun";
  EXPECT_NE(table.out.find("h.0.attn.c_attn.weight  (16, 48)      768  AdamW  0.001      0  h.*.attn.*\n"),
            std::string::npos)
      << table.out;
  EXPECT_NE(table.out.find("wte.weight              (30, 16)      480  AdamW      0    0.1  wte*\n"), std::string::npos)
      << table.out;
  shown.push_back("--json");
  Json const json = parse_json(run(shown).out, "groups");
  ASSERT_EQ(json.size(), 16u);
  EXPECT_EQ(json[0], (Json{{"name", "wte.weight"},
                           {"shape", {30, 16}},
                           {"numbers", 480},
                           {"by", "AdamW"},
                           {"rate", 0.0},
                           {"decay", 0.1},
                           {"group", "wte*"}}));

  ASSERT_EQ(run(command("run", groups)).code, 0);
  EXPECT_NE(
      read_file(folder / "run" / "config.toml").find(R"(group = ["h.*.attn.*: rate 0.5, decay 0", "wte*: rate 0"])"),
      std::string::npos);
  Ended const of_run = go_on("run", {"--show-groups"});
  EXPECT_EQ(of_run.code, 0) << of_run.err;
  EXPECT_NE(of_run.out.find("wte*"), std::string::npos) << of_run.out;

  Ended const none = run(command("none", {"--group", "h.*.atn.*: rate 0.5"}));
  EXPECT_EQ(none.code, 78) << none.err;
  EXPECT_NE(none.err.find("h.*.atn.* matches no tensor; the nearest is h.0.attn."), std::string::npos) << none.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
  EXPECT_EQ(run(command("none", {"--group", "wte*: speed 2"})).code, 2);
  write_file(folder / "bad.toml", "steps = 3\ngroup = [\"wte*: speed 2\"]\n");
  Ended const in_file = run(command("none", {"--config", at("bad.toml")}));
  EXPECT_EQ(in_file.code, 65);
  EXPECT_NE(in_file.err.find("bad.toml, line 2: the group"), std::string::npos) << in_file.err;
}

// A tensor with rate 0 keeps its initial values while the others learn.
TEST_F(OptimizerFlags, ARateOfZeroFreezes) {
  ASSERT_EQ(run(command("one", {"--group", "wpe*: rate 0", "--steps", "2"})).code, 0);
  ASSERT_EQ(run(command("two", {"--group", "wpe*: rate 0", "--steps", "20"})).code, 0);
  auto const tensor = [&](char const* out, std::string const& name) {
    std::string const bytes = read_file(Path(last_checkpoint(folder / out)) / "model.safetensors");
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    Json const header = parse_json(std::string_view(bytes).substr(8, size), "header");
    Json const& at = header["transformer." + name]["data_offsets"];
    return bytes.substr(8 + size + at[0].get<uint64_t>(), at[1].get<uint64_t>() - at[0].get<uint64_t>());
  };
  EXPECT_EQ(tensor("one", "wpe.weight"), tensor("two", "wpe.weight"));
  EXPECT_NE(tensor("one", "wte.weight"), tensor("two", "wte.weight"));
}

}  // namespace
}  // namespace folio

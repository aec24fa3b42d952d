// folio sweep from the command line: runs that are trained, ranked and dropped; stopped or killed anywhere it goes on,
// and its runs end as those that nothing interrupted.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/runs.h"
#include "train/run_directory.h"

namespace folio {
namespace {

using test::Child;
using test::Ended;
using test::run;
using test::ScratchFolder;

class SweepVerb : public test::Runs {
 protected:
  static std::string base(int steps) {
    return fmt::format(
        "layers = 1\nheads = 2\nembd = 16\ncontext = 16\nbatch = 4\nsteps = {}\nwarmup = 2\neval-every = 10\n"
        "eval-batches = \"2\"\n",
        steps);
  }
  std::vector<std::string> command(std::string const& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"sweep", at("s.toml"), "--data", at("text.txt"), "--out", at(out)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Json result(std::string const& out) const { return read_json(folder / out / "sweep.json"); }
};

TEST_F(SweepVerb, TrainsRanksAndDropsAndADivergedRunEndsNothingElse) {
  write_file(folder / "s.toml", base(40) +
                                    "[grid]\nlr = [1e-2, 1e-5, 1e-6]\n[[list]]\nname = \"too high\"\nlr = 1e30\n"
                                    "clip = 0.0\n[halving]\nfirst = 10\neta = 2\n");
  Ended const ended = run(command("sweep", {"--json"}));
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.err.find("too high diverged; the sweep goes on"), std::string::npos) << ended.err;
  Json const json = parse_json(ended.out, "");
  EXPECT_EQ(json, result("sweep"));
  EXPECT_EQ(json["ranking"][0]["name"], "lr 0.01");
  EXPECT_EQ(json["ranking"][0]["status"], "finished");
  EXPECT_EQ(json["ranking"][1]["status"], "dropped");
  EXPECT_EQ(json["ranking"][3]["name"], "too high");
  EXPECT_EQ(json["runs"][3]["status"], "diverged");
  EXPECT_EQ(json["runs"][1]["step"].get<int>() + json["runs"][2]["step"].get<int>(), 30);
  std::string const page = read_file(folder / "sweep/sweep.html");
  for (char const* part : {"“lr 0.01” reaches the lowest validation loss", "<figure id=\"loss\"", "too high",
                           "diverged", "Successive halving from step 10"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  // One rate alone was trained to the end.
  EXPECT_EQ(page.find("id=\"values\""), std::string::npos);
  Json const runs = json["runs"];
  auto const before = std::filesystem::last_write_time(folder / "sweep/runs/001-lr-0.01/metrics.jsonl");
  Ended const again = run(command("sweep"));  // nothing is left to do
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(result("sweep")["runs"], runs);
  EXPECT_EQ(std::filesystem::last_write_time(folder / "sweep/runs/001-lr-0.01/metrics.jsonl"), before);
  EXPECT_NE(again.out.find("1  lr 0.01"), std::string::npos) << again.out;
}

TEST_F(SweepVerb, ARunOfASweepIsTheRunThatTrainMakesOfItsFlags) {
  write_file(folder / "s.toml", base(20) + "[grid]\nlr = [3e-3]\ndropout = [0.1]\n");
  ASSERT_EQ(run({"prepare", at("text.txt"), "--tokenizer", "char", "--out", at("data")}).code, 0);
  std::vector<std::string> words = command("sweep");
  words[3] = at("data");
  Ended const ended = run(words);
  ASSERT_EQ(ended.code, 0) << ended.err;
  write_file(folder / "base.toml", base(20));
  ASSERT_EQ(run({"train", "--data", at("data"), "--config", at("base.toml"), "--lr", "3e-3", "--dropout", "0.1",
                 "--out", at("alone")})
                .code,
            0);
  test::expect_same_run(folder / "alone", folder / "sweep/runs/001-lr-0.003-dropout-0.1");
}

TEST_F(SweepVerb, KilledOrStoppedAnywhereItGoesOnBitForBit) {
  write_file(folder / "s.toml",
             base(60) + "checkpoint-every = 5\nseeds = [1, 2]\ndropout = 0.1\n[grid]\nlr = [1e-2, 1e-3]\n");
  ASSERT_EQ(run(command("whole", {"--jobs", "2", "--threads", "1"})).code, 0);
  int stopped = 0;
  for (int call = 0; call < 40; ++call) {
    Child child(command("sweep", {"--threads", "1"}), folder / "err");
    std::this_thread::sleep_for(std::chrono::milliseconds(150 + 40 * (call % 7)));
    if (!child.ended()) child.signal(call % 2 ? SIGKILL : SIGTERM);
    Ended const ended = child.wait();
    stopped += ended.code == 75;
    if (ended.code == 0) break;
    ASSERT_TRUE(ended.code == 75 || ended.signal == SIGKILL || ended.signal == SIGTERM || ended.code == 1 ||
                ended.code == 73)
        << ended.code << ended.err;
  }
  Ended const last = run(command("sweep", {"--threads", "1"}));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_GT(stopped, 0);
  for (auto const& entry : std::filesystem::directory_iterator(folder / "whole/runs"))
    if (entry.is_directory())
      test::expect_same_run(entry.path(), folder / "sweep/runs" / entry.path().filename().string());
  Json whole = result("whole"), sweep = result("sweep");
  EXPECT_EQ(whole["ranking"], sweep["ranking"]);
}

TEST_F(SweepVerb, ThePageDrawsWhatLearntAndComparesWhatIsComparable) {
  write_file(folder / "s.toml", base(40) +
                                    "stats-every = 10\n[grid]\nlr = [1e-2, 1e-3]\nweight-decay = [0.1, 0.0]\n"
                                    "[[list]]\nname = \"hopeless\"\nlr = 5.0\nmin-lr = 5.0\nbeta1 = 0.5\n"
                                    "[[list]]\nname = \"none decays\"\ndecay = \"none\"\n");
  Ended const ended = run(command("sweep"));
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("> ln V"), std::string::npos) << ended.out;
  std::string const page = read_file(folder / "sweep/sweep.html");
  for (char const* part : {"<code>lr</code>", "<code>weight-decay</code>", "&gt; ln V", "Not drawn: “hopeless”",
                           "Norm of the weights that decay", "Penalty of the decay"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  for (char const* part : {"<code>beta1</code>", "<code>decay</code>", "<code>min-lr</code>"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;

  write_file(folder / "s.toml",
             base(20) + "stats-every = 20\neval-every = 20\ndecay = \"none\"\n[grid]\nlr = [1e-2]\n");
  std::string text = read_file(folder / "s.toml");
  text.erase(text.find("eval-every = 10\n"), 16);
  write_file(folder / "s.toml", text);
  ASSERT_EQ(run(command("short")).code, 0);
  std::string const plain = read_file(folder / "short/sweep.html");
  for (char const* part : {"Norm of the weights", "Penalty"})  // of one point, of nothing that decays
    EXPECT_EQ(plain.find(part), std::string::npos) << part;
}

TEST_F(SweepVerb, ARunOfAKilledSweepSavesAndStopsAndOneThatStillWorksIsWaitedFor) {
  write_file(folder / "s.toml", base(4000) + "[grid]\nlr = [1e-2]\n");
  Path const trained = folder / "sweep/runs/001-lr-0.01", lock = trained / "lock";
  auto const until = [](auto const& what) {
    for (int i = 0; i < 600 && !what(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return what();
  };
  {
    Child child(command("sweep", {"--threads", "1"}), folder / "err");
    ASSERT_TRUE(until([&] { return std::filesystem::exists(trained / "metrics.jsonl"); }));
    child.signal(SIGKILL);
    EXPECT_EQ(child.wait().signal, SIGKILL);
  }
  ASSERT_TRUE(until([&] { return !is_locked(lock); })) << "the run goes on without its sweep";
  ASSERT_FALSE(train::checkpoint_steps(trained).empty());
  ASSERT_LT(train::checkpoint_steps(trained).back(), 4000);
  auto held = std::make_unique<FileLock>(lock, "somebody", "the run");
  Child child(command("sweep", {"--threads", "1"}), folder / "err");
  auto const waits = [&] { return read_file(folder / "err").find("waits for somebody") != std::string::npos; };
  ASSERT_TRUE(until([&] { return child.ended() || waits(); }));
  EXPECT_FALSE(child.ended());
  held.reset();
  Ended const ended = child.wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(waits()) << ended.err;
  EXPECT_EQ(ended.err.find("failed"), std::string::npos) << ended.err;
  EXPECT_EQ(result("sweep")["runs"][0]["status"], "finished");
}

TEST_F(SweepVerb, FlagsWinOverTheFileAndVariablesDoNotReachTheRunsTwice) {
  write_file(folder / "base.toml", base(99) + "lr = 2e-3\n");
  write_file(folder / "s.toml", "config = \"base.toml\"\nbatch = 3\n[grid]\nweight-decay = [0.2, 0.1]\n");
  Ended const ended = test::run(command("sweep", {"--steps", "3", "--warmup", "0"}),
                                {.set = {{"FOLIO_BATCH", "2"}, {"FOLIO_STOP_AFTER", "1"}}});
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::string const config = read_file(folder / "sweep/runs/001-weight-decay-0.2/config.toml");
  for (char const* line : {"steps = 3 ", "batch = 2 ", "lr = 0.002 ", "weight-decay = 0.2 ", "min-lr = 0.0001"})
    EXPECT_NE(config.find(line), std::string::npos) << line << config;
  Ended const varied = test::run(command("other"), {.set = {{"FOLIO_WEIGHT_DECAY", "0"}}});
  EXPECT_EQ(varied.code, 78) << varied.err;
  EXPECT_NE(varied.err.find("FOLIO_WEIGHT_DECAY: weight-decay is varied"), std::string::npos) << varied.err;
  EXPECT_EQ(run(command("sweep", {"--steps", "4", "--warmup", "0"})).code, 78);  // begun with other values
}

TEST_F(SweepVerb, AFailedRunIsSaidAndTriedAgain) {
  write_file(folder / "short.txt", "To be or not to be, that is the question whether.");
  write_file(
      folder / "s.toml",
      base(3) + fmt::format("[[list]]\nname = \"short\"\ndata = \"{}\"\n[[list]]\nname = \"long\"\ndata = \"{}\"\n",
                            at("short.txt"), at("text.txt")));
  std::vector<std::string> const words = {"sweep", at("s.toml"), "--out", at("sweep"), "--context", "64"};
  Ended const ended = run(words);
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.err.find("short failed: "), std::string::npos) << ended.err;
  EXPECT_NE(result("sweep")["runs"][0]["why"].get<std::string>().find("--context"), std::string::npos);
  write_file(folder / "short.txt", test::speeches());
  EXPECT_EQ(run(words).code, 0);
  EXPECT_EQ(result("sweep")["runs"][0]["status"], "finished");
}

TEST_F(SweepVerb, RefusalsHaveTheirCodeAndLeaveNothingBehind) {
  struct Row {
    std::string text;
    std::vector<std::string> more;
    int code;
    char const* says;
  };
  std::string const small = "layers = 1\nembd = 16\ncontext = 16\nbatch = 4\nsteps = 40\neval-every = 10\n";
  for (Row const& row :
       std::vector<Row>{{base(40), {}, 65, "names no parameter to vary"},
                        {base(40) + "[grid]\nlr = [1]\nlaeyrs = [1]\n", {}, 65, "did you mean layers?"},
                        {"heads = 2\n" + small + "[grid]\nwarmup = [2, 50]\n",
                         {},
                         78,
                         "the setting \"warmup 50\": --warmup 50 is longer"},
                        {small + "[grid]\nheads = [3]\n", {"--embd", "16"}, 78, "the setting \"heads 3\": "},
                        {base(40) + "[grid]\nmin-lr = [1e-2]\n", {"--lr", "1e-3"}, 78, "the setting \"min-lr 0.01\": "},
                        {base(40) + "[grid]\nlr = [1]\n[halving]\nfirst = 5\n", {}, 78, "before the first evaluation"},
                        {base(40) + "[grid]\nlr = [1]\n", {"--lr", "2"}, 78, "--lr: lr is varied by"},
                        {base(40) + "[grid]\nlr = [1]\n", {"--data", at("nowhere")}, 66, "does not exist"},
                        {base(40) + "[grid]\nlr = [1]\n", {"--group", "wte*: speed 2"}, 2, "--group: the group"},
                        {base(40) + "group = [\"wte*: speed 2\"]\n[grid]\nlr = [1]\n", {}, 65, "the group \"wte*"},
                        {base(40) + "group = [\"wtf*: rate 2\"]\n[grid]\nlr = [1]\n", {}, 78, "matches no tensor"},
                        {"lr = ", {}, 65, "not TOML"},
                        {base(40) + "[[list]]\nname = \"\\u001b[31mred\"\n", {}, 65, "setting 1 holds a control"},
                        {base(40) + "[grid]\nlr = [1]\n", {"--jobs", "0"}, 78, "--jobs"}}) {
    write_file(folder / "s.toml", row.text);
    Ended const ended = run(command("sweep", row.more));
    EXPECT_EQ(ended.code, row.code) << ended.err;
    EXPECT_NE(ended.err.find(row.says), std::string::npos) << ended.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "sweep")) << row.says;
  }
  EXPECT_EQ(run({"sweep", at("nowhere.toml"), "--out", at("x")}).code, 66);
  EXPECT_EQ(run({"sweep", at("s.toml")}).code, 2);
}

}  // namespace
}  // namespace folio

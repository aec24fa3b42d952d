// A run from the command line: it learns, it can be stopped anywhere and goes on bit for bit, and what it refuses
// leaves nothing behind.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "backend/info.h"
#include "tests/support/runs.h"

namespace folio {
namespace {

using test::Ended;
using test::last_checkpoint;
using test::log_of;
using test::run;

class Train : public test::Runs {
 protected:
  Train()
      : Runs(
            "--layers 2 --heads 2 --embd 32 --context 32 --batch 4 --steps 60 --warmup 5 --dropout 0.1 "
            "--eval-every 20 --eval-batches 4 --stats-every 7 --checkpoint-every 25 --lr 3e-3") {}
};

TEST_F(Train, LearnsLogsAndKeepsBestAndNewest) {
  Ended const ended = run(command("run"));
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("val "), std::string::npos) << "a curve is drawn: " << ended.out;
  EXPECT_EQ(log_of(folder / "run").size(), 74u) << "the format, the data, 60 steps, 4 evaluations, 8 statistics";
  std::vector<double> losses;
  for (Json const& step : lines("run", "step")) losses.push_back(step["loss"].get<double>());
  EXPECT_NEAR(losses.front(), std::log(25.0), 0.6);
  EXPECT_LT(losses.back(), 0.8 * losses.front());
  EXPECT_EQ(Path(last_checkpoint(folder / "run")).filename(), "step-00000060");
  EXPECT_TRUE(std::filesystem::exists(folder / "run" / "best.json"));
  size_t const kept = size_t(std::distance(std::filesystem::directory_iterator(folder / "run" / "checkpoints"), {}));
  EXPECT_LE(kept, 3u);
}

TEST_F(Train, StoppedAtAnyStepAndResumedItIsTheUninterruptedRunBitForBit) {
  ASSERT_EQ(run(command("whole")).code, 0);
  for (std::string const stop : {"1", "13", "25", "40", "59"}) {
    Ended const stopped = run(command("stop" + stop, {"--stop-after", stop}));
    EXPECT_EQ(stopped.code, 75) << stopped.err;
    EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << "says how to go on";
    Ended const resumed = go_on("stop" + stop);
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_NE(resumed.err.find("resumed from step " + stop), std::string::npos) << resumed.err;
    expect_same_run("whole", "stop" + stop);
  }
}

TEST_F(Train, ResumedAtAnotherLevelItSaysThatTheBitsChange) {
  if (processor().level() <= CpuLevel::avx2) GTEST_SKIP() << "this machine has no second level";
  ASSERT_EQ(run(command("levels", {"--stop-after", "3", "--dtype", "f32"})).code, 75);
  Ended const resumed = run({"train", "--out", at("levels"), "--resume", "--steps", "5"},
                            {.set = {{"FOLIO_ISA", "avx2"}, {"ONEDNN_VERBOSE", "1"}}});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find(std::string("instruction set was ") + name_of(processor().level()) + " and is now avx2"),
            std::string::npos)
      << resumed.err;
  EXPECT_NE(resumed.out.find("exec,cpu,matmul"), std::string::npos) << resumed.out;  // oneDNN is held to the level too
  EXPECT_EQ(resumed.out.find("avx512"), std::string::npos) << resumed.out;
}

TEST_F(Train, StoppedInManyPiecesWithRandomWindowsAndAccumulation) {
  std::vector<std::string> const choices = {"--windows", "random", "--accumulate", "2", "--batch", "2"};
  ASSERT_EQ(run(command("whole", choices)).code, 0);
  auto first = choices;
  first.insert(first.end(), {"--stop-after", "17"});
  ASSERT_EQ(run(command("pieces", first)).code, 75);
  ASSERT_EQ(go_on("pieces", {"--stop-after", "17"}).code, 75);
  ASSERT_EQ(go_on("pieces", {"--stop-after", "17"}).code, 75);
  ASSERT_EQ(go_on("pieces").code, 0);
  expect_same_run("whole", "pieces");
}

TEST_F(Train, ASignalSavesAndTheRunGoesOnBitForBit) {
  std::vector<std::string> const more = {"--steps", "400", "--eval-every", "200", "--eval-batches", "200"};
  ASSERT_EQ(run(command("whole", more)).code, 0);
  for (auto const& [signal, logged] : {std::pair(SIGTERM, 3000u), std::pair(SIGINT, 3000u), std::pair(SIGTERM, 1u)}) {
    // As soon as a few steps are logged; and in the long evaluation before the first.
    std::string const name = fmt::format("signal{}-{}", signal, logged);
    test::Child child(command(name, more), folder / "err");
    std::error_code error;
    while (std::filesystem::file_size(folder / name / "metrics.jsonl", error) + 1 <= logged)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    child.signal(signal);
    ASSERT_EQ(child.wait().code, 75);
    ASSERT_EQ(go_on(name).code, 0);
    expect_same_run("whole", name);
  }
}

TEST_F(Train, StepsLoggedAfterTheCheckpointAreDroppedOnResuming) {
  ASSERT_EQ(run(command("whole")).code, 0);
  ASSERT_EQ(run(command("run", {"--stop-after", "30"})).code, 75);
  AppendFile(folder / "run" / "metrics.jsonl").write_line(R"({"type":"step","step":31,"loss":9})");
  AppendFile(folder / "run" / "metrics.jsonl").write_line(R"({"type":"st)");
  ASSERT_EQ(go_on("run").code, 0);
  expect_same_run("whole", "run");
}

TEST_F(Train, RecomputationMayChangeWhenARunIsResumedAndChangesNoBit) {
  ASSERT_EQ(run(command("whole")).code, 0);
  ASSERT_EQ(run(command("run", {"--recompute", "block", "--stop-after", "13"})).code, 75);
  ASSERT_EQ(go_on("run", {"--recompute", "mlp", "--stop-after", "20"}).code, 75);
  ASSERT_EQ(go_on("run", {"--recompute", "none"}).code, 0);
  expect_same_run("whole", "run");
  std::string const log = read_file(folder / "run" / "metrics.jsonl");
  EXPECT_NE(log.find(R"("recompute":{"was":"block","is":"mlp"})"), std::string::npos) << log;
  EXPECT_EQ(run(command("other", {"--recompute", "all"})).code, 78);
}

TEST_F(Train, ResumeAutoStartsOrContinues) {
  Ended const started = run(command("run", {"--resume", "auto", "--stop-after", "10"}));
  EXPECT_EQ(started.code, 75) << started.err;
  Ended const continued = run(command("run", {"--resume", "auto"}));
  EXPECT_EQ(continued.code, 0) << continued.err;
  EXPECT_NE(continued.err.find("resumed from step 10"), std::string::npos);
}

TEST_F(Train, TheCommandThatStartedARunAlsoContinuesItHoweverItsFlagsAreWritten) {
  std::vector<std::string> const words = {
      "train", "--data",       "text.txt", "--out",          "run", "--size",
      "baby",  "--layers",     "1",        "--heads",        "2",   "--embd",
      "32",    "--context",    "32",       "--dropout",      "0.1", "--embedding-dropout",
      "0",     "--steps",      "20",       "--warmup",       "2",   "--resume",
      "auto",  "--stop-after", "10",       "--eval-batches", "2"};
  Ended const started = run(words, {.folder = folder.path().string()});
  EXPECT_EQ(started.code, 75) << started.err;
  Ended const continued = run(words, {.folder = folder.path().string()});
  EXPECT_EQ(continued.code, 0) << continued.err;
  EXPECT_NE(continued.err.find("resumed from step 10"), std::string::npos) << continued.err;
}

TEST_F(Train, ARunThatDivergesEndsWithThree) {
  Ended const ended = run(command("run", {"--lr", "1e30", "--warmup", "0", "--clip", "0", "--eval-every", "1000"}));
  EXPECT_EQ(ended.code, 3) << ended.err;
  EXPECT_NE(ended.err.find("--lr"), std::string::npos) << "says what to change: " << ended.err;
}

TEST_F(Train, TheRecordOfTheBestCheckpointIsMendedOnResuming) {
  ASSERT_EQ(run(command("run", {"--stop-after", "45"})).code, 75);
  Json const best = read_json(folder / "run" / "best.json");
  std::filesystem::remove(folder / "run" / "best.json");  // killed between the checkpoint and the record
  ASSERT_EQ(go_on("run", {"--stop-after", "1"}).code, 75);
  EXPECT_EQ(dump(best), dump(read_json(folder / "run" / "best.json")));
}

TEST_F(Train, WithoutAHeldOutPartThereIsNoValidationLossToShow) {
  ASSERT_EQ(run({"prepare", at("text.txt"), "--tokenizer", "char", "--val", "0", "--out", at("data")}).code, 0);
  Ended const ended = run(command("run", {"--data", at("data"), "--steps", "5", "--warmup", "0"}));
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.err.find("nan"), std::string::npos) << ended.err;
  EXPECT_EQ(read_file(folder / "run" / "metrics.jsonl").find("bits_per_byte"), std::string::npos);
}

TEST_F(Train, MemoryThatIsNotToBeHadEndsWithSeventyOneAndLeavesNothing) {
  Ended const ended = run(command("run", {"--batch", "1000000", "--embd", "65536"}));
  EXPECT_EQ(ended.code, 71) << ended.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_F(Train, AFolderOfFoldersWithTextsIsPreparedFirst) {
  make_folders(folder / "texts/below");
  std::filesystem::rename(folder / "text.txt", folder / "texts/below/a.txt");
  Ended const ended = run(command("run", {"--data", at("texts"), "--steps", "2", "--warmup", "0"}));
  EXPECT_EQ(ended.code, 0) << ended.err;
}

TEST_F(Train, PlainIdsTakeTheirVocabularyFromTheFlag) {
  std::string ids;
  for (int i = 0; i < 4000; ++i) ids += {char(i * 7 % 23), 0};
  write_file(folder / "ids.bin", ids);
  Ended const ended = run(command("run", {"--data", at("ids.bin"), "--vocab", "23", "--steps", "5", "--warmup", "0"}));
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(read_json(Path(last_checkpoint(folder / "run")) / "config.json")["vocab_size"], 23);
}

TEST_F(Train, AResumedRunKeepsItsShapeAndMayChangeItsLength) {
  ASSERT_EQ(run(command("run", {"--stop-after", "10"})).code, 75);
  Ended const drier = go_on("run", {"--dropout", "0.3"});
  EXPECT_EQ(drier.code, 78);
  EXPECT_NE(drier.err.find("--dropout 0.3 differs from the run's --dropout 0.1: a resumed run keeps"),
            std::string::npos)
      << drier.err;
  Ended const of_words = go_on("run", {"--vocab", "1000", "--size", "124M"});
  EXPECT_NE(of_words.err.find("--size 124M, --vocab 1000 differs from the run's --layers 2, --heads 2, --embd 32, "
                              "--context 32 and the vocabulary of its data: "),
            std::string::npos)
      << of_words.err;
  Ended const wider = go_on("run", {"--embd", "64"});
  EXPECT_EQ(wider.code, 78);
  EXPECT_NE(wider.err.find("--embd 64"), std::string::npos) << wider.err;
  EXPECT_EQ(go_on("run", {"--seed", "4"}).code, 78);
  EXPECT_EQ(go_on("run", {"--dropout", "0.5"}).code, 78);
  EXPECT_EQ(go_on("run", {"--steps", "5", "--warmup", "0"}).code, 78) << "behind the checkpoint";
  Ended const longer = go_on("run", {"--steps", "70", "--lr", "1e-3"});
  EXPECT_EQ(longer.code, 0) << longer.err;
  std::string const log = read_file(folder / "run" / "metrics.jsonl");
  EXPECT_NE(log.find(R"("type":"change")"), std::string::npos);
  EXPECT_EQ(Path(last_checkpoint(folder / "run")).filename(), "step-00000070");
}

TEST_F(Train, WhatEqualBitsDependOnIsLoggedWhereItChanges) {
  ASSERT_EQ(run(command("run", {"--dtype", "f32", "--threads", "1", "--stop-after", "10"})).code, 75);
  ASSERT_EQ(go_on("run", {"--threads", "1", "--stop-after", "1"}).code, 75);
  EXPECT_EQ(read_file(folder / "run" / "metrics.jsonl").find(R"("type":"change")"), std::string::npos);
  Ended const ended = go_on("run", {"--dtype", "bf16", "--threads", "2"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.err.find("dtype was f32 and is now bf16"), std::string::npos) << ended.err;
  std::vector<Json> const changes = lines("run", "change");
  Json const expected = {
      {"type", "change"},
      {"made", {{"dtype", {{"was", "f32"}, {"is", "bf16"}}}, {"threads", {{"was", "1"}, {"is", "2"}}}}}};
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0], expected);
}

TEST_F(Train, ARunKeepsTheTypeThatItWasBegunInBitForBit) {
  for (std::string const dtype : {"f32", "bf16"}) {
    ASSERT_EQ(run(command("whole-" + dtype, {"--dtype", dtype})).code, 0);
    ASSERT_EQ(run(command("parts-" + dtype, {"--dtype", dtype, "--stop-after", "13"})).code, 75);
    Ended const resumed = go_on("parts-" + dtype);
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_NE(resumed.err.find("computes in  " + dtype + " on"), std::string::npos) << resumed.err;
    expect_same_run("whole-" + dtype, "parts-" + dtype);
  }
  EXPECT_FALSE(read_file(last_checkpoint(folder / "whole-f32") + "/model.safetensors") ==
               read_file(last_checkpoint(folder / "whole-bf16") + "/model.safetensors"));
  ASSERT_EQ(run(command("default", {"--stop-after", "1"})).code, 75);
  std::string const config = read_file(folder / "default" / "config.toml");
  EXPECT_TRUE(config.find("dtype = \"bf16\"") != config.npos || config.find("dtype = \"f32\"") != config.npos)
      << config;
  Ended const refused = run(command("other", {"--dtype", "bf16", "--device", "reference"}));
  EXPECT_EQ(refused.code, 78);
  EXPECT_NE(refused.err.find("--dtype bf16: the reference device"), std::string::npos) << refused.err;
}

TEST_F(Train, RefusalsHaveTheirCodeAndLeaveNothingBehind) {
  write_file(folder / "empty.txt", "");
  write_file(folder / "short.txt", "To be");
  struct Row {
    std::vector<std::string> more;
    int code;
    char const* says;
  };
  for (Row const& row : std::vector<Row>{{{"--data", at("nowhere")}, 66, "does not exist"},
                                         {{"--data", at("empty.txt")}, 65, "empty"},
                                         {{"--data", at("short.txt")}, 65, "--context"},
                                         {{"--heads", "5"}, 78, "heads 5 does not divide embd 32"},
                                         {{"--dropout", "1"}, 78, "dropout"},
                                         {{"--lr", "fast"}, 2, "--lr"},
                                         {{"--lr", "-1"}, 78, "--lr"},
                                         {{"--warmup", "1000"}, 78, "--warmup"},
                                         {{"--leayers", "2"}, 2, "--layers"}}) {
    Ended const ended = run(command("run", row.more));
    EXPECT_EQ(ended.code, row.code) << ended.err;
    EXPECT_EQ(ended.signal, 0);
    EXPECT_NE(ended.err.find(row.says), std::string::npos) << ended.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "run")) << row.says;
    for (auto const& entry : std::filesystem::directory_iterator(folder.path()))
      EXPECT_FALSE(is_temporary(entry.path())) << entry.path() << " is left after: " << ended.err;
  }
  ASSERT_EQ(run(command("run", {"--steps", "5", "--warmup", "0"})).code, 0);
  Ended const again = run(command("run"));
  EXPECT_EQ(again.code, 73);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
}

TEST_F(Train, FromAModelKeepsItsShapeAndBeginsAtItsLoss) {
  ASSERT_EQ(run(command("first", {"--steps", "120"})).code, 0);
  std::vector<std::string> const words = {
      "train", "--data", at("text.txt"), "--out", at("second"), "--from", at("first"), "--steps", "5", "--warmup", "0"};
  Ended const tuned = run(words);
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NEAR(lines("second", "eval").front()["val"].get<double>(), lines("first", "eval").back()["val"].get<double>(),
              0.15);
  write_file(folder / "other.txt", test::speeches() + "XYZ $%&");
  ASSERT_EQ(run({"prepare", at("other.txt"), "--tokenizer", "char", "--out", at("other")}).code, 0);
  auto foreign = words;
  foreign[2] = at("other"), foreign[4] = at("third");
  Ended const refused = run(foreign);
  EXPECT_TRUE(refused.code == 65 || refused.code == 78) << refused.code << refused.err;
  EXPECT_NE(refused.err.find("tokenizer"), std::string::npos) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "third"));
  auto of_text = words;  // a text is named as it was given, not by where it was prepared
  of_text[2] = at("other.txt"), of_text[4] = at("third");
  of_text.insert(of_text.end(), {"--tokenizer", "char"});
  Ended const named = run(of_text);
  EXPECT_EQ(named.code, 65) << named.err;
  EXPECT_NE(named.err.find(at("other.txt") + " was prepared with another tokenizer"), std::string::npos) << named.err;
  auto conflicting = words;
  conflicting[4] = at("third");
  conflicting.insert(conflicting.end(), {"--layers", "3"});
  EXPECT_EQ(run(conflicting).code, 78);
}

TEST_F(Train, FromAModelTheContextMayBeCutOrExtended) {
  ASSERT_EQ(run(command("first", {"--steps", "4", "--warmup", "0"})).code, 0);
  auto const from = [&](std::string const& out, std::vector<std::string> const& flags) {
    std::vector<std::string> words = {"train",   "--data", at("text.txt"), "--out", at(out), "--from", at("first"),
                                      "--steps", "3",      "--warmup",     "0"};
    words.insert(words.end(), flags.begin(), flags.end());
    return run(words);
  };
  for (auto const& [context, says] : {std::pair{"8", "of its 32 positions the first 8"}, {"48", "33 to 48 are new"}}) {
    Ended const ended = from(context, {"--context", context});
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_NE(ended.err.find(says), std::string::npos) << ended.err;
    EXPECT_NE(read_file(folder / context / "config.toml").find("context = " + std::string(context)), std::string::npos);
    EXPECT_EQ(read_json(Path(last_checkpoint(folder / context)) / "config.json")["n_positions"].dump(), context);
  }
  Ended const shown = run({"config", "show", "--from", at("first"), "--context", "48"});
  EXPECT_NE(shown.out.find("context = 48"), std::string::npos) << shown.out << shown.err;
  EXPECT_EQ(go_on("48", {"--steps", "6"}).code, 0);
  for (auto const& [flags, says] :
       {std::pair<std::vector<std::string>, char const*>{{"--context", "8", "--embd", "64"}, "--context alone"},
        {{"--size", "baby"}, "contradicts --from"}}) {
    Ended const refused = from("third", flags);
    EXPECT_EQ(refused.code, 78) << refused.err;
    EXPECT_NE(refused.err.find(says), std::string::npos) << refused.err;
  }
}

TEST_F(Train, AModelToStartFromIsVerifiedHoweverTheRunBegins) {
  ASSERT_EQ(run(command("first", {"--steps", "2", "--warmup", "0"})).code, 0);
  std::vector<std::string> const words = {
      "train", "--data", at("text.txt"), "--out", at("second"), "--from", at("first"), "--steps", "2", "--warmup", "0"};
  ASSERT_EQ(run(words).code, 0);
  for (auto const& entry : std::filesystem::directory_iterator(folder / "second/checkpoints"))
    std::filesystem::remove_all(entry.path());
  Ended const again = go_on("second", {"auto"});  // from its first step
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("weights from"), std::string::npos) << again.err;
  for (auto const& entry : std::filesystem::directory_iterator(folder / "second/checkpoints"))
    std::filesystem::remove_all(entry.path());
  Path const weights = Path(last_checkpoint(folder / "first")) / "model.safetensors";
  std::string bytes = read_file(weights);
  bytes.back() ^= 1;
  write_file(weights, bytes);
  Ended const refused = go_on("second", {"auto"});
  EXPECT_EQ(refused.code, 65) << refused.err;
  EXPECT_NE(refused.err.find("model.safetensors"), std::string::npos) << refused.err;
}

TEST_F(Train, ACheckpointThatIsNotWholeIsNamedAndTheOneBeforeItIsUsed) {
  std::vector<std::string> often = {"--checkpoint-every", "5", "--keep", "3"};
  ASSERT_EQ(run(command("whole", often)).code, 0);
  often.insert(often.end(), {"--stop-after", "37"});
  ASSERT_EQ(run(command("run", often)).code, 75);
  Path const checkpoints = folder / "run" / "checkpoints";
  auto damage = [&](char const* step, char const* file) {
    std::string content = read_file(checkpoints / step / file);
    content[content.size() / 2] ^= 1;
    write_file(checkpoints / step / file, content);
    return content;
  };
  std::string const optimizer = damage("step-00000037", "optimizer.safetensors");
  std::filesystem::remove(checkpoints / "step-00000035" / "manifest.json");
  for (int64_t step : {20, 25, 30}) {
    Path const path = checkpoints / fmt::format("step-{:08}", step);
    if (std::filesystem::exists(path)) std::filesystem::rename(path, folder / fmt::format("{}", step));
  }
  Ended const none = go_on("run");
  EXPECT_EQ(none.code, 65) << none.err;
  EXPECT_NE(none.err.find("optimizer.safetensors is damaged"), std::string::npos) << none.err;
  EXPECT_TRUE(std::filesystem::exists(checkpoints / "step-00000037")) << "nothing is touched";
  std::filesystem::rename(folder / "30", checkpoints / "step-00000030");
  Ended const ended = go_on("run");
  EXPECT_EQ(ended.code, 0) << ended.err;
  for (char const* part : {"optimizer.safetensors is damaged", "step-00000037.damaged", "manifest.json does not exist",
                           "step-00000035.damaged", "resumed from step 30"})
    EXPECT_NE(ended.err.find(part), std::string::npos) << part << " is not in: " << ended.err;
  expect_same_run("whole", "run");
  EXPECT_TRUE(read_file(checkpoints / "step-00000037.damaged" / "optimizer.safetensors") == optimizer)
      << "nothing is deleted";
}

TEST_F(Train, ALogThatHoldsSomethingElseIsNotWrittenOn) {
  ASSERT_EQ(run(command("run", {"--stop-after", "10"})).code, 75);
  Path const log = folder / "run" / "metrics.jsonl";
  std::string whole = read_file(log);
  whole.resize(whole.rfind("{\"type\":\"save\""));  // the line that tells of the save came after it
  size_t const first = whole.find('\n'), last = whole.rfind('\n', whole.size() - 2) + 1;
  std::string const junk(whole.size(), 'x');
  for (std::string const& damaged :
       {junk, junk.substr(1) + "\n", junk.substr(0, first) + whole.substr(first),
        whole.substr(0, last) + junk.substr(last + 1) + "\n",
        whole.substr(0, last) + "[1]" + std::string(whole.size() - last - 4, ' ') + "\n"}) {
    write_file(log, damaged);
    Ended const refused = go_on("run");
    EXPECT_EQ(refused.code, 65) << refused.err;
    EXPECT_NE(refused.err.find("metrics.jsonl"), std::string::npos) << refused.err;
    EXPECT_EQ(read_file(log), damaged) << "nothing is cut";
  }
  write_file(log, whole);
  EXPECT_EQ(go_on("run").code, 0);
}

TEST_F(Train, GoesOnWithTheSameBitsWhereItsLogLostItsTail) {
  ASSERT_EQ(run(command("whole")).code, 0);
  for (bool const gone : {false, true}) {
    std::string const name = gone ? "gone" : "cut";
    ASSERT_EQ(run(command(name, {"--stop-after", "30"})).code, 75);
    Path const log = folder / name / "metrics.jsonl";
    gone ? void(std::filesystem::remove(log)) : std::filesystem::resize_file(log, 1500);
    Ended const resumed = go_on(name);
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_NE(resumed.err.find("has lost lines"), std::string::npos) << resumed.err;
    for (char const* file : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(read_file(Path(last_checkpoint(folder / name)) / file) ==
                  read_file(Path(last_checkpoint(folder / "whole")) / file))
          << file;
    EXPECT_EQ(lines(name, "format").size(), 1u);
    EXPECT_EQ(lines(name, "data").size(), 1u);
    EXPECT_EQ(lines(name, "step").back()["step"], 60);
    EXPECT_EQ(run({"report", at(name), "--out", at(name + ".html")}).code, 0);
  }
}

TEST_F(Train, ACheckpointUnderAnotherStepsNameIsSetAside) {
  ASSERT_EQ(run(command("run", {"--stop-after", "30"})).code, 75);
  Path const checkpoints = folder / "run/checkpoints";
  std::filesystem::copy(checkpoints / "step-00000025", checkpoints / "step-00000055");
  Ended const resumed = go_on("run");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("step-00000055 holds step 25"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find("resumed from step 30"), std::string::npos) << resumed.err;
  EXPECT_TRUE(std::filesystem::exists(checkpoints / "step-00000055.damaged"));
}

TEST_F(Train, LeavesAloneASignalThatWasIgnoredWhenItBegan) {
  for (int const signal : {SIGHUP, SIGINT}) {
    Path const out = folder / fmt::format("signal-{}", signal);
    auto const before = ::signal(signal, SIG_IGN);
    test::Child child(command(out.filename().string(), {"--steps", "400"}), folder / "err");
    ::signal(signal, before);
    while (!std::filesystem::exists(out / "metrics.jsonl")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    child.signal(signal);
    EXPECT_EQ(child.wait().code, 0);
  }
}

TEST_F(Train, WritesThroughNoLinkInARun) {
  ASSERT_EQ(run(command("run", {"--stop-after", "3"})).code, 75);
  for (char const* name : {"lock", "metrics.jsonl", "best.json", "config.toml"}) {
    Path const link = folder / "run" / name, aside = folder / "precious";
    if (std::filesystem::exists(link)) std::filesystem::rename(link, aside);
    else write_file(aside, "kept");
    std::string const before = read_file(aside);
    std::filesystem::create_symlink("../precious", link);
    Ended const refused = go_on("run", {"--steps", "70"});
    EXPECT_EQ(refused.code, 65) << refused.err;
    EXPECT_NE(refused.err.find(link.string() + " is a link"), std::string::npos) << refused.err;
    EXPECT_EQ(read_file(aside), before) << name;
    std::filesystem::remove(link);
    std::filesystem::rename(aside, link);
  }
  Ended const after = go_on("run");
  EXPECT_EQ(after.code, 0) << after.err;
}

TEST_F(Train, ASecondProcessIsKeptOutAndAStaleLockIsTakenOver) {
  ASSERT_EQ(run(command("run", {"--stop-after", "10"})).code, 75);
  {
    FileLock const lock(folder / "run" / "lock", "process 1 on elsewhere", "the run");
    Ended const refused = go_on("run");
    EXPECT_EQ(refused.code, 73);
    EXPECT_NE(refused.err.find("process 1 on elsewhere"), std::string::npos) << refused.err;
  }
  write_file(folder / "run" / "lock", "process 99999 on this host");  // its holder died
  Ended const resumed = go_on("run");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("process 99999"), std::string::npos) << resumed.err;
}

}  // namespace
}  // namespace folio

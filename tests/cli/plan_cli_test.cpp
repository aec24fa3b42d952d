// folio plan, --fit, and what refuses before it takes memory: under real limits, of a control group where this machine
// lets one be made, and of the process' own data.
#include <fstream>
#include <set>
#include <thread>

#include "tests/support/runs.h"
#include "tests/support/sanitizers.h"

namespace folio {
namespace {

using test::Ended;
using test::run;
using test::ScratchFolder;
using test::Surroundings;
using Words = std::vector<std::string>;

constexpr size_t kMiB = size_t{1} << 20;

// A group of this process' own with a limit of memory; none where that may not be.
class Group {
 public:
  explicit Group(size_t limit) {
    std::ifstream in("/proc/self/cgroup");
    for (std::string line; std::getline(in, line);) {
      size_t const first = line.find(':'), second = line.find(':', first + 1);
      if (second == line.npos) continue;
      std::string const names = ',' + line.substr(first + 1, second - first - 1) + ',', own = line.substr(second + 1);
      if (names == ",,") make("/sys/fs/cgroup" + own, "memory.max", limit);
      if (names.find(",memory,") != names.npos) make("/sys/fs/cgroup/memory" + own, "memory.limit_in_bytes", limit);
    }
  }
  ~Group() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove(path, ignored);
  }
  Group(Group const&) = delete;
  std::string path;

 private:
  void make(std::string const& parent, char const* file, size_t limit) {
    std::string const name = parent + "/folio-test-" + std::to_string(::getpid());
    std::error_code error;
    if (!path.empty() || !std::filesystem::create_directory(name, error)) return;
    std::ofstream out(name + "/" + file);
    out << limit << std::flush;
    if (out && std::filesystem::exists(name + "/cgroup.procs", error)) path = name;
    else std::filesystem::remove(name, error);
  }
};

// A limit of addresses for what is started meanwhile, as `ulimit -v` sets it.
class AddressLimit {
 public:
  explicit AddressLimit(size_t bytes) {
    ::getrlimit(RLIMIT_AS, &before_);
    rlimit const limit{bytes, before_.rlim_max};
    set_ = ::setrlimit(RLIMIT_AS, &limit) == 0;
  }
  ~AddressLimit() { ::setrlimit(RLIMIT_AS, &before_); }
  AddressLimit(AddressLimit const&) = delete;
  bool is_set() const { return set_; }

 private:
  rlimit before_{};
  bool set_ = false;
};

class PlanCli : public testing::Test {
 protected:
  PlanCli() { write_file(folder / "text.txt", test::speeches()); }
  void SetUp() override {
    if (test::kSanitized) GTEST_SKIP() << "a sanitizer's own memory is several times the program's";
  }
  std::string at(std::string const& name) const { return (folder / name).string(); }
  Words words(std::string const& verb, Words const& more) const {
    Words all = {verb,        "--layers",      "2",       "--heads", "2",       "--embd",    "64",
                 "--context", "256",           "--dtype", "f32",     "--vocab", "300",       "--eval-batches",
                 "2",         "--stats-every", "0",       "--seed",  "5",       "--threads", "2"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Words train(std::string const& out, Words more) const {
    more.insert(more.begin(), {"--data", at("text.txt"), "--tokenizer", "char", "--out", at(out)});
    return words("train", more);
  }
  static Json json_of(Ended const& ended) {
    EXPECT_TRUE(ended.code == 0 || ended.code == 71) << ended.err;
    return parse_json(ended.out, "result");
  }
  Json plan(Words const& more, Surroundings const& s = {}) const {
    Words all = words("plan", more);
    all.insert(all.end(), {"--json", "--no-measure"});
    return json_of(run(all, s));
  }
  std::vector<double> losses(std::string const& out, char const* type, char const* key) const {
    std::vector<double> found;
    std::istringstream in(read_file(folder / out / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);)
      if (Json json = parse_json(line, ""); json["type"] == type) found.push_back(json[key].get<double>());
    return found;
  }
  // The most that a line of /proc/PID/status says while the program runs, in bytes.
  double most_of(char const* key, Words const& words) const {
    double most = 0;
    test::Child child(words, folder / "err", {{"MALLOC_ARENA_MAX", "1"}});  // as under a limit of addresses
    while (!child.ended()) {
      std::ifstream in("/proc/" + std::to_string(child.pid()) + "/status");
      for (std::string line; std::getline(in, line);)
        if (line.starts_with(key)) most = std::max(most, 1024 * std::strtod(line.c_str() + strlen(key), nullptr));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    Ended const ended = child.wait();
    EXPECT_EQ(ended.code, 0) << ended.err;
    return most;
  }
  Words two_steps(std::string const& out, int64_t batch) const {
    return train(out, {"--batch", std::to_string(batch), "--steps", "2", "--warmup", "0"});
  }
  // A batch a few per cent above the largest really takes about as much as the limit, where there is none.
  void expect_not_too_careful(int64_t largest, size_t limit, char const* key) const {
    double const most = most_of(key, two_steps("above", largest + largest / 20 + 1));
    std::printf("  %s %.1f MiB for batch %ld without the limit of %.1f\n", key, most / double(kMiB),
                long(largest + largest / 20 + 1), double(limit) / double(kMiB));
    EXPECT_GT(most, 0.95 * double(limit));
  }
  // The largest batch that is named trains under the limit; one more is refused before anything is taken.
  int64_t expect_largest(Surroundings const& limited) const {
    Json const planned = plan({"--data", at("text.txt"), "--tokenizer", "char"}, limited);
    int64_t const most = planned["largest_batch"].get<int64_t>();
    std::printf("  largest batch %ld, %.1f MiB can be had: %s\n", long(most),
                planned["memory"]["available"].get<double>() / double(kMiB),
                planned["memory"]["available_by"].get<std::string>().c_str());
    EXPECT_GT(most, 4);
    Ended const fits = run(two_steps("fits", most), limited);
    EXPECT_EQ(fits.code, 0) << fits.err << fits.signal;
    Ended const more = run(two_steps("more", most + 1), limited);
    EXPECT_EQ(more.code, 71) << more.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "more")) << "a run that never began";
    EXPECT_NE(more.err.find("activations"), more.err.npos) << "what asks for how much: " << more.err;
    EXPECT_NE(more.err.find(" stay free"), more.err.npos) << more.err;
    Ended const twice = run(two_steps("more", 2 * most), limited);
    EXPECT_NE(twice.err.find("give --fit, which takes --batch"), twice.err.npos) << twice.err;
    return most;
  }
  ScratchFolder folder;
};

TEST_F(PlanCli, TellsMemoryByRoleStepTimeAndEndAndTakesNothing) {
  Ended const ended = run(words("plan", {"--data", at("text.txt"), "--batch", "4", "--out", at("run")}));
  ASSERT_EQ(ended.code, 0) << ended.err;
  for (char const* word :
       {"weights ", "gradients ", "optimizer state ", "activations ", "activation gradients ", "scratch ", "snapshot ",
        "evaluation ", "program and libraries ", "--batch ", "tok/s", "evaluations", "saves", "from now"})
    EXPECT_NE(ended.out.find(word), ended.out.npos) << word << " in " << ended.out;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  std::set<std::string> left;
  for (auto const& entry : std::filesystem::directory_iterator(folder.path())) left.insert(entry.path().filename());
  EXPECT_EQ(left, (std::set<std::string>{"text.txt"}));
  Surroundings const no_temporaries{.set = {{"TMPDIR", at("nowhere")}}};
  EXPECT_EQ(run(words("plan", {}), no_temporaries).code, 0) << "no text is to be prepared";
  EXPECT_EQ(run(words("plan", {"--data", at("text.txt")}), no_temporaries).code, 74);
}

TEST_F(PlanCli, KnowsWhatSavesInTheBackgroundHoldAndThatTheySaveTime) {
  auto const of = [&](char const* save) {
    return json_of(run(words("plan", {"--data", at("text.txt"), "--embd", "256", "--save", save, "--checkpoint-every",
                                      "500", "--sample-every", "500", "--json"})));
  };
  Json const behind = of("background"), before = of("foreground");
  EXPECT_FALSE(before["memory"]["roles"].contains("snapshot"));
  double const snapshot = behind["memory"]["roles"]["snapshot"].get<double>();
  EXPECT_GE(snapshot, 12 * behind["parameters"].get<double>());
  EXPECT_NEAR(behind["memory"]["planned"].get<double>() - before["memory"]["planned"].get<double>(), snapshot,
              0.1 * snapshot + 2 * double(kMiB));
  for (Json const& plan : {behind, before}) {
    Json const& r = plan["run"];
    EXPECT_EQ(r["samples"], 10);
    for (char const* part : {"seconds_in_saves", "seconds_in_samples", "seconds_in_evaluations"})
      EXPECT_GT(r[part].get<double>(), 0) << part;
    EXPECT_GE(r["seconds_in_statistics"].get<double>(), 0) << "at this size less than steps differ by";
    EXPECT_GT(r["seconds"].get<double>(), 5000 * plan["step"]["seconds"].get<double>() +
                                              r["seconds_in_saves"].get<double>() +
                                              r["seconds_in_samples"].get<double>());
  }
}

TEST_F(PlanCli, SaysWhereTheSnapshotAloneIsTooMuch) {
  Words const flags = {"--data", at("text.txt"), "--embd", "512", "--batch", "1", "--context", "64"};
  Words foreground = flags;
  foreground.insert(foreground.end(), {"--save", "foreground"});
  double const least = plan(foreground)["memory"]["planned"].get<double>();
  Words train_flags = flags;
  train_flags.insert(train_flags.end(), {"--tokenizer", "char", "--out", at("run"), "--steps", "1"});
  Ended const refused = run(words("train", train_flags), {.data_limit = size_t(least) + 30 * kMiB});
  EXPECT_EQ(refused.code, 71) << refused.err;
  EXPECT_NE(refused.err.find("give --save foreground, which has no snapshot"), refused.err.npos) << refused.err;
  Surroundings const limited{.data_limit = size_t(least) + 30 * kMiB};
  EXPECT_EQ(plan(flags, limited)["mends"].get<std::string>().find("give --save foreground"), 0u);
  train_flags.push_back("--fit");
  Ended const fitted = run(words("train", train_flags), limited);
  EXPECT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_NE(fitted.err.find("it takes --save foreground, "), fitted.err.npos) << fitted.err;
  EXPECT_NE(read_file(folder / "run" / "config.toml").find("save = \"foreground\""), std::string::npos);
}

TEST_F(PlanCli, ARunThatIsThereIsToldWhatKeepsItsBitsAlone) {
  ASSERT_EQ(run(two_steps("run", 64)).code, 0);
  Words const on = {"train", "--out", at("run"), "--resume", "--steps", "3"};
  Words fitting = on;
  fitting.push_back("--fit");
  double const least = plan({"--data", at("text.txt"), "--batch", "64", "--recompute", "block"})["memory"]["planned"];
  for (size_t const limit : {80 * kMiB, size_t(least) + 40 * kMiB})
    for (Words const& command : {on, fitting}) {
      Ended const ended = run(command, {.data_limit = limit});
      bool const fits = limit > 100 * kMiB && command == fitting;
      EXPECT_EQ(ended.code, fits ? 0 : 71) << limit << ended.err;
      EXPECT_EQ(ended.err.find("--batch"), ended.err.npos) << ended.err;
      char const* const said = fits                 ? "it takes --recompute"
                               : limit > 100 * kMiB ? "give --recompute"
                                                    : "free memory, or go on on a larger machine";
      EXPECT_NE(ended.err.find(said), ended.err.npos) << limit << ended.err;
    }
}

TEST_F(PlanCli, SaysWhatTrainThenSaysAndWhatGoingOnTakes) {
  Words const same = {"--data",  at("text.txt"), "--tokenizer", "char", "--batch",       "32",
                      "--steps", "10",           "--warmup",    "0",    "--stats-every", "10"};
  Json const planned = plan(same);
  Words more = {"--batch", "32", "--stats-every", "10", "--steps", "2", "--warmup", "0", "--json"};
  Ended const trained = run(train("run", more));
  ASSERT_EQ(trained.code, 0) << trained.err;
  double const said = parse_json(trained.out, "result")["memory"]["planned"].get<double>();
  EXPECT_NEAR(planned["memory"]["planned"].get<double>(), said, 0.02 * said + 2 * double(kMiB));
  Ended const of_run = run({"plan", at("run"), "--steps", "10", "--json"});
  ASSERT_EQ(of_run.code, 0) << of_run.err;
  Json const going_on = parse_json(of_run.out, "result");
  EXPECT_EQ(going_on["batch"], 32);
  EXPECT_EQ(going_on["run"]["steps"], 8) << "two are taken";
  EXPECT_EQ(going_on["memory"]["roles"], planned["memory"]["roles"]);
  EXPECT_GT(going_on["step"]["seconds"].get<double>(), 0);
  EXPECT_EQ(run({"plan", at("text.txt")}).code, 66);
  Ended const behind = run({"plan", at("run"), "--steps", "1"});
  EXPECT_EQ(behind.code, 78);
  EXPECT_NE(behind.err.find("--steps 1 lies behind the checkpoint of step 2"), behind.err.npos) << behind.err;
  Ended const done = run({"plan", at("run")});
  EXPECT_NE(done.out.find("the run is at step 2, its last"), done.out.npos) << done.out << done.err;
}

TEST_F(PlanCli, LargestBatchFitsUnderALimitOfTheProcessAndOneMoreDoesNot) {
  expect_not_too_careful(expect_largest({.data_limit = 300 * kMiB}), 300 * kMiB, "VmData:");
}

TEST_F(PlanCli, LargestBatchFitsUnderALimitOfAddressesAndOneMoreDoesNot) {
  constexpr size_t kLimit = 400 * kMiB;
  int64_t largest = 0;
  {
    AddressLimit const limit(kLimit);
    ASSERT_TRUE(limit.is_set());
    largest = expect_largest({});
  }
  expect_not_too_careful(largest, kLimit, "VmPeak:");
}

TEST_F(PlanCli, LargestBatchFitsUnderAContainersLimitAndOneMoreDoesNot) {
  Group const group(250 * kMiB);
  if (group.path.empty()) GTEST_SKIP() << "this machine lets no control group be made";
  expect_not_too_careful(expect_largest({.group = group.path}), 250 * kMiB, "VmHWM:");
}

TEST_F(PlanCli, FitKeepsTheLossAndTheRunResumesAsItWasFitted) {
  Surroundings const limited{.data_limit = 300 * kMiB};
  Words const more = {"--batch", "96", "--steps", "6", "--warmup", "0", "--eval-every", "3", "--checkpoint-every", "3"};
  ASSERT_EQ(run(train("whole", more)).code, 0);
  EXPECT_EQ(run(train("refused", more), limited).code, 71);
  Words fitting = more;
  fitting.push_back("--fit");
  Ended const fitted = run(train("fitted", fitting), limited);
  ASSERT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_NE(fitted.err.find("--fit: the run would hold"), fitted.err.npos) << fitted.err;
  std::string const config = read_file(folder / "fitted" / "config.toml");
  EXPECT_EQ(config.find("batch = 96"), config.npos) << config;
  for (auto const& [type, key] : {std::pair{"step", "loss"}, {"step", "norm"}, {"eval", "val"}, {"eval", "train"}}) {
    auto const whole = losses("whole", type, key), now = losses("fitted", type, key);
    ASSERT_EQ(whole.size(), now.size());
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(now[i], whole[i], 2e-4 * std::abs(whole[i])) << type << key;
  }
  // The same command again, stopped in the middle and taken up: the bits of the run that was not stopped.
  Words stopped = fitting;
  stopped.insert(stopped.end(), {"--resume", "auto", "--stop-after", "4"});
  EXPECT_EQ(run(train("parts", stopped), limited).code, 75);
  Ended const resumed = run(train("parts", stopped), limited);
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  test::expect_same_run(folder / "fitted", folder / "parts");
}

TEST_F(PlanCli, FitShortensTheContextOnlyWhereAsked) {
  Words const tight = {"--layers",  "4",    "--embd",  "256", "--heads", "4",
                       "--context", "4096", "--batch", "1",   "--vocab", "300"};
  Surroundings const limited{.data_limit = 220 * kMiB};
  Words ask = tight;
  ask.push_back("--fit");
  Json const no = plan(ask, limited);
  EXPECT_FALSE(no["fits"].get<bool>());
  EXPECT_EQ(no["context"], 4096);
  EXPECT_EQ(no["mends"].get<std::string>().find("give --fit context, which takes "), 0u) << no["mends"];
  ask.push_back("context");
  Json const yes = plan(ask, limited);
  EXPECT_TRUE(yes["fits"].get<bool>());
  EXPECT_LT(yes["context"].get<int64_t>(), 4096);
  EXPECT_EQ(yes["context"].get<int64_t>() * yes["batch"].get<int64_t>() * yes["accumulate"].get<int64_t>(), 4096);
}

TEST_F(PlanCli, WhatCannotGoOnNamesTheFlagThatMendsItAndGenerationTakesLess) {
  ASSERT_EQ(
      run(train("run", {"--context", "512", "--embd", "128", "--batch", "2", "--steps", "1", "--warmup", "0"})).code,
      0);
  Words const generate = {"generate",         at("run"), "--prompt", "love", "--n",   "32",
                          "--max-new-tokens", "480",     "--dtype",  "f32",  "--json"};
  Ended const whole = run(generate), limited = run(generate, {.data_limit = 40 * kMiB});
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.err.find("at a time"), whole.err.npos) << whole.err;
  ASSERT_EQ(limited.code, 0) << limited.err;
  EXPECT_NE(limited.err.find("32 texts at a time ask for"), limited.err.npos) << limited.err;
  EXPECT_EQ(whole.out, limited.out) << "the same texts";
  Ended const gradients =
      run({"inspect", "--size", "baby", "--batch", "64", "--gradients"}, {.data_limit = 600 * kMiB});
  EXPECT_EQ(gradients.code, 71);
  EXPECT_NE(gradients.err.find("the pass of 64 sequences at once asks for"), gradients.err.npos) << gradients.err;
  EXPECT_NE(gradients.err.find(": --batch "), gradients.err.npos) << gradients.err;
  Ended const eval =
      run({"eval", at("run"), "--data", at("run") + "/data", "--split", "train", "--batch", "64", "--dtype", "f32"},
          {.data_limit = 40 * kMiB});
  EXPECT_EQ(eval.code, 71) << eval.err;
  EXPECT_NE(eval.err.find(": --batch "), eval.err.npos) << eval.err;
}

// Under every limit from refusal to plenty: the texts of the run without one, or a sentence that names a flag.
TEST_F(PlanCli, GenerationUnderAnyLimitOfAContainerEndsWithItsTextsOrASentence) {
  ASSERT_EQ(run(train("run", {"--context", "512", "--embd", "256", "--layers", "4", "--heads", "4", "--batch", "1",
                              "--steps", "1", "--warmup", "0"}))
                .code,
            0);
  Words const generate = {"generate", at("run"),   "--prompt", "love",    "--n", "16",    "--max-new-tokens",
                          "100",      "--threads", "1",        "--dtype", "f32", "--json"};
  Ended const whole = run(generate);
  ASSERT_EQ(whole.code, 0) << whole.err;
  int refused = 0, smaller = 0, plenty = 0;
  for (size_t mib = 8; mib <= 48; ++mib) {
    Group const group(mib * kMiB);
    if (group.path.empty()) GTEST_SKIP() << "this machine lets no control group be made";
    Ended const ended = run(generate, {.group = group.path});
    ASSERT_TRUE(ended.code == 0 || ended.code == 71) << mib << " MiB: " << ended.code << ended.signal << ended.err;
    if (ended.code == 0) EXPECT_EQ(ended.out, whole.out) << mib;
    else EXPECT_NE(ended.err.find("--"), ended.err.npos) << ended.err;
    ++(ended.code != 0 ? refused : ended.err.find("texts at a time") != ended.err.npos ? smaller : plenty);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(smaller, 0);
  EXPECT_GT(plenty, 0);
}

}  // namespace
}  // namespace folio

// Options that count beside certain values of others alone: the conditions stand beside the options (Range::with), and
// this walks over all of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "tests/support/new_run.h"
#include "tests/support/runs.h"

namespace folio {
namespace {

using cli::Arguments;
using cli::TrainCommand;

struct Refused {
  int code = 0;
  std::string said;
};

// What settles the options of a new run says to these words.
Refused settled(Arguments const& words) {
  try {
    test::new_run(words);
  } catch (Error const& e) {
    return {static_cast<int>(e.fault), e.what()};
  }
  return {};
}

Arguments operator+(Arguments a, Arguments const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Arguments flag(Field const& field, std::string const& value) {
  if (std::holds_alternative<bool*>(field.value)) return {"--" + field.name};
  return {"--" + field.name + "=" + value};
}

std::string held(Condition const& c) { return c.values.empty() ? "1" : c.values[0]; }

std::string broken(Condition const& c, Field const& other) {
  if (c.values.empty()) return "0";
  for (std::string const& choice : other.range.choices)
    if (std::ranges::find(c.values, choice) == c.values.end()) return choice;
  ADD_FAILURE() << "every value of " << c.option << " will do";
  return "";
}

TEST(IdleOptions, AreTheseOfTrain) {
  TrainCommand c;
  std::set<std::string> names;
  for (Field const& field : c.run_fields())
    if (!field.range.with.empty()) names.insert(field.name);
  EXPECT_EQ(names, (std::set<std::string>{"min-lr",
                                          "warmup-start",
                                          "step-factor",
                                          "step-every",
                                          "wsd-tail",
                                          "wsd-tail-steps",
                                          "polynomial-power",
                                          "restart-every",
                                          "weight-decay",
                                          "restart-growth",
                                          "beta1",
                                          "beta2",
                                          "epsilon",
                                          "momentum",
                                          "nesterov",
                                          "loss-scale",
                                          "loss-scale-every",
                                          "min-improvement",
                                          "sample-prompt",
                                          "sample-tokens",
                                          "tf32"}));
}

TEST(IdleOptions, AreRefusedWhereGivenInTheCallAndTakenWhereTheyCount) {
  TrainCommand c;
  Fields const fields = c.run_fields();
  test::ScratchFolder const folder;
  for (Field const& field : fields) {
    std::vector<Condition> const& with = field.range.with;
    if (with.empty()) continue;
    std::string const value = std::holds_alternative<bool*>(field.value) ? "true" : text_of(field);
    Arguments all_hold;
    for (Condition const& one : with) all_hold.push_back("--" + one.option + "=" + held(one));
    EXPECT_EQ(settled(all_hold + flag(field, value)).code, 0) << field.name;
    EXPECT_EQ(settled(all_hold + Arguments{"--set", field.name + "=" + value}).code, 0) << field.name;
    for (Condition const& one : with) {
      Field const* const other = find(fields, one.option);
      ASSERT_NE(other, nullptr) << field.name << " counts under " << one.option << ", which there is not";
      std::string const wrong = broken(one, *other);
      Arguments const words = all_hold + Arguments{"--" + one.option + "=" + wrong};
      Refused const refused = settled(words + flag(field, value));
      EXPECT_EQ(refused.code, 78) << field.name;
      for (std::string const& part :
           {"--" + field.name, "with --" + one.option + " " + wrong,
            "it counts only with " +
                (one.values.empty() ? "a --" + one.option + " above 0" : "--" + one.option + " " + held(one)),
            std::string("leave it away")})
        EXPECT_NE(refused.said.find(part), std::string::npos) << part << " is not in: " << refused.said;
      EXPECT_EQ(settled(words + Arguments{"--set", field.name + "=" + value}).code, 78) << field.name;
      // A file of all values and a variable of the whole shell are no wish of this call.
      write_file(folder / "all.toml", to_toml(fields));
      EXPECT_EQ(settled(words + Arguments{"--config", (folder / "all.toml").string()}).code, 0) << field.name;
      ::setenv(environment_name(field.name).c_str(), value.c_str(), 1);
      EXPECT_EQ(settled(words).code, 0) << field.name;
      ::unsetenv(environment_name(field.name).c_str());
    }
  }
}

TEST(IdleOptions, OfASwitchAreItsBeingOnAlone) {
  EXPECT_EQ(settled({"--no-nesterov"}).code, 0);
  EXPECT_EQ(settled({"--no-tf32"}).code, 0);
}

class IdleOptionsOfVerbs : public test::Runs {
 protected:
  IdleOptionsOfVerbs() : Runs("--layers 1 --heads 1 --embd 8 --context 8 --batch 2 --steps 2 --eval-batches 1") {}
  test::Ended sweep(std::string const& spec, std::vector<std::string> const& flags = {}) {
    write_file(folder / "spec.toml", spec);
    std::filesystem::remove_all(folder / "sweep");
    std::vector<std::string> words = command("sweep", flags, "sweep");
    words.insert(words.begin() + 1, at("spec.toml"));
    return test::run(words);
  }
};

TEST_F(IdleOptionsOfVerbs, BeginNoRunAndMayNotBeGivenToARunThatIsThere) {
  test::Ended const ended = test::run(command("run", {"--restart-every", "500"}));
  EXPECT_EQ(ended.code, 78) << ended.err;
  EXPECT_NE(ended.err.find("--restart-every 500 with --schedule cosine: it counts only with --schedule restarts"),
            std::string::npos)
      << ended.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  ASSERT_EQ(test::run(command("run", {"--schedule", "step", "--step-every", "1", "--stop-after", "1"})).code, 75);
  EXPECT_EQ(go_on("run", {"--wsd-tail", "linear"}).code, 78) << "the run's own schedule is looked at";
  EXPECT_EQ(go_on("run", {"--step-factor", "0.5"}).code, 0);
  for (char const* verb : {"plan", "lr-find", "verify-resume"})
    EXPECT_EQ(test::run({verb, "--data", (folder / "text.txt").string(), "--momentum", "0.9"}).code, 78) << verb;
  EXPECT_EQ(test::run({"config", "show", "--momentum", "0.9"}).code, 78);
}

TEST_F(IdleOptionsOfVerbs, CountForOneOfTheSchedulesThatAreCompared) {
  EXPECT_EQ(test::run({"schedule", "--restart-every", "100"}).code, 78);
  EXPECT_EQ(test::run({"schedule", "--compare", "cosine,linear", "--restart-every", "100"}).code, 78);
  for (char const* names : {"restarts,linear", "linear,restarts", "constant,restarts,wsd"})
    EXPECT_EQ(test::run({"schedule", "--compare", names, "--restart-every", "100", "--min-lr", "0"}).code, 0) << names;
}

TEST_F(IdleOptionsOfVerbs, CountForOneRunOfASweepWhereAllHaveThem) {
  std::string const schedules = "[grid]\nschedule = [\"cosine\", \"restarts\"]\n";
  EXPECT_EQ(sweep("restart-every = 1\n" + schedules).code, 0);
  EXPECT_EQ(sweep(schedules, {"--restart-every", "1"}).code, 0);
  EXPECT_EQ(sweep("[random]\nruns = 3\nschedule = { choice = [\"cosine\", \"wsd\"] }\n"
                  "wsd-tail-steps = { int = [1, 2] }\n")
                .code,
            0);
  for (test::Ended const& none : {sweep("wsd-tail = \"linear\"\nrestart-every = 1\n" + schedules),
                                  sweep("restart-every = 1\n" + schedules, {"--wsd-tail", "linear"})}) {
    EXPECT_EQ(none.code, 78) << none.err;
    EXPECT_NE(none.err.find("no run looks at it: "), std::string::npos) << none.err;
  }
}

TEST_F(IdleOptionsOfVerbs, CountForEachSettingThatNamesThem) {
  for (std::string const& spec :
       {std::string("[grid]\nschedule = [\"cosine\", \"restarts\"]\nrestart-every = [1, 2]\n"),
        std::string("[[list]]\nname = \"plain\"\n[[list]]\nname = \"cycles\"\nrestart-every = 1\n")}) {
    test::Ended const ended = sweep(spec);
    EXPECT_EQ(ended.code, 78) << ended.err;
    EXPECT_NE(ended.err.find("the setting \""), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find("restart-every 1 with --schedule cosine"), std::string::npos) << ended.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "sweep"));
  }
}

}  // namespace
}  // namespace folio

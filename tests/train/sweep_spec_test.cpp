// What a sweep's file says: the settings that come of it, their order and names, and what is refused with which words.
#include "train/sweep_spec.h"

#include <cmath>
#include <set>

#include "tests/support/scratch_folder.h"
#include "train/options.h"

namespace folio::train {
namespace {

using test::error_of;

struct Read {
  RunOptions base, probe;
  SweepSpec spec;
  explicit Read(std::string const& text) { spec = read_sweep(text, "s.toml", fields(base), fields(probe)); }
};

std::vector<std::string> names(SweepSpec const& spec) {
  std::vector<std::string> out;
  for (Setting const& s : spec.settings) out.push_back(s.name);
  return out;
}

TEST(SweepSpec, AGridIsEveryCombinationInTheOrderOfTheFile) {
  Read const r("steps = 40\n[grid]\nweight-decay = [0.1, 0.01]\nlr = [1e-3, 3e-4, 1e-4]\n");
  EXPECT_EQ(r.base.steps, 40);
  EXPECT_EQ(r.spec.base, std::vector<std::string>{"steps"});
  EXPECT_EQ(names(r.spec), (std::vector<std::string>{"weight-decay 0.1, lr 0.001", "weight-decay 0.1, lr 0.0003",
                                                     "weight-decay 0.1, lr 0.0001", "weight-decay 0.01, lr 0.001",
                                                     "weight-decay 0.01, lr 0.0003", "weight-decay 0.01, lr 0.0001"}));
  EXPECT_EQ(r.spec.varied(), (std::vector<std::string>{"weight-decay", "lr"}));
}

TEST(SweepSpec, AListHasNamesAndMayChangeNothing) {
  Read const r(
      "lr = 1e-3\nseeds = [3, 1]\n[[list]]\nname = \"baseline\"\n[[list]]\nname = \"half\"\nlr = 5e-4\n[[list]]\n"
      "decay = \"none\"\nwarmup = 7\n[halving]\nfirst = 20\neta = 4\n");
  EXPECT_EQ(names(r.spec), (std::vector<std::string>{"baseline", "half", "decay none, warmup 7"}));
  EXPECT_TRUE(r.spec.settings[0].values.empty());
  EXPECT_EQ(r.spec.seeds, (std::vector<uint64_t>{3, 1}));
  ASSERT_TRUE(r.spec.halving);
  EXPECT_EQ(r.spec.halving->first, 20);
  EXPECT_EQ(r.spec.halving->eta, 4);
}

TEST(SweepSpec, RandomDrawsKeepToTheirDistributionsAndComeAgain) {
  std::string const text =
      "[random]\nruns = 400\nseed = 5\nlr = { log-uniform = [1e-4, 1e-2] }\nweight-decay = { uniform = [0, 0.3] }\n"
      "warmup = { int = [2, 5] }\ndecay = { choice = [\"matrices\", \"none\"] }\n";
  Read const r(text);
  ASSERT_EQ(r.spec.settings.size(), 400u);
  double logs = 0, decays = 0;
  std::set<std::string> warmups, choices;
  for (Setting const& s : r.spec.settings) {
    double const lr = std::stod(s.values[0].second), decay = std::stod(s.values[1].second);
    EXPECT_TRUE(1e-4 <= lr && lr <= 1e-2) << lr;
    EXPECT_TRUE(0 <= decay && decay <= 0.3) << decay;
    logs += std::log10(lr), decays += decay;
    warmups.insert(s.values[2].second), choices.insert(s.values[3].second);
  }
  EXPECT_NEAR(logs / 400, -3, 0.1);  // deviation of the mean 0.029
  EXPECT_NEAR(decays / 400, 0.15, 0.015);
  EXPECT_EQ(warmups, (std::set<std::string>{"2", "3", "4", "5"}));
  EXPECT_EQ(choices, (std::set<std::string>{"matrices", "none"}));
  EXPECT_EQ(names(Read(text).spec), names(r.spec));
  std::string other = text;
  other.replace(other.find("seed = 5"), 8, "seed = 6");
  EXPECT_NE(names(Read(other).spec), names(r.spec));
}

TEST(SweepSpec, GridRandomAndListAreAddedUpAndANameAloneIsASetting) {
  Read const r("[grid]\nlr = [1e-3]\n[random]\nruns = 2\nwarmup = { int = [0, 90] }\n[[list]]\nname = \"x\"\n");
  EXPECT_EQ(r.spec.settings.size(), 4u);
  Read const seeds("seeds = [1, 2]\n[[list]]\nname = \"again\"\n");
  EXPECT_EQ(names(seeds.spec), std::vector<std::string>{"again"});
  EXPECT_TRUE(seeds.spec.settings[0].values.empty());
  EXPECT_EQ(config_of_sweep("config = \"a.toml\"\n", "s.toml"), "a.toml");
  EXPECT_EQ(config_of_sweep("", "s.toml"), "");
}

TEST(SweepSpec, WhatIsWrongHasItsSentence) {
  struct Row {
    char const *text, *says;
    Fault fault = Fault::content;
  };
  for (Row const& row : std::vector<Row>{
           {"steps = 40\n", "names no parameter to vary"},
           {"seeds = [1, 2]\n", "names no parameter to vary"},
           {"[grid]\n", "line 1, grid: the grid is empty"},
           {"[grid]\nlr = []\n", "line 2, lr: expected a list of values"},
           {"[grid]\nlr = 1e-3\n", "expected a list of values"},
           {"[grid]\nlrr = [1]\n", "line 2, lrr: there is no \"lrr\"; did you mean lr?"},
           {"stepz = 4\n[grid]\nlr = [1]\n", "line 1, stepz: there is no \"stepz\"; did you mean steps?"},
           {"[grif]\nlr = [1]\n", "did you mean grid?"},
           {"[grid]\nlr = [1, -1]\n", "lr: -1 is out of range", Fault::value},
           {"[grid]\nlr = [1, \"a\"]\n", "expected a number"},
           {"[grid]\nschedule = [\"cosin\"]\n", "did you mean cosine?", Fault::value},
           {"lr = 1e-3\n[grid]\nlr = [1e-3]\n", "lr is set for all runs and varied"},
           {"seeds = [1, 2]\n[grid]\nseed = [1]\n", "seed is varied, and there are seeds"},
           {"seeds = [1, 1]\n", "seed 1 is there twice"},
           {"seeds = 3\n", "expected a list of seeds"},
           {"[grid]\nlr = [1e-3, 0.001]\n", "the setting \"lr 0.001\" is there twice"},
           {"[[list]]\nname = \"a\"\nlr = 1\n[[list]]\nname = \"a\"\nlr = 2\n", "the name \"a\" is there twice"},
           {"[[list]]\nname = 3\n", "expected a text in quotes"},
           {"list = [1]\n", "expected sections [[list]]"},
           {"grid = 3\n", "expected a section [grid]"},
           {"[random]\nlr = { uniform = [1, 2] }\n", "how many? Give runs = N"},
           {"[random]\nruns = 3\n", "names no flag to draw"},
           {"[random]\nruns = 0\n", "runs: 0 is out of range", Fault::value},
           {"[random]\nruns = 3\nlr = [1, 2]\n", "expected a distribution"},
           {"[random]\nruns = 3\nlr = { unifrom = [1, 2] }\n", "did you mean uniform?"},
           {"[random]\nruns = 3\nlr = { uniform = [1] }\n", "expected uniform = [least, largest]"},
           {"[random]\nruns = 3\nlr = { uniform = [2, 1] }\n", "2 lies above 1", Fault::value},
           {"[random]\nruns = 3\nweight-decay = { log-uniform = [0, 1] }\n", "log-uniform begins above 0",
            Fault::value},
           {"[random]\nruns = 3\nlr = { int = [1, 2] }\n", "numbers with a fraction"},
           {"[random]\nruns = 3\nwarmup = { uniform = [1, 2] }\n", "takes whole numbers"},
           {"[random]\nruns = 3\ndecay = { uniform = [1, 2] }\n", "decay is no number"},
           {"[grid]\nlr = [1]\n[halving]\nfirst = 0\n", "first: 0 is out of range", Fault::value},
           {"[grid]\nlr = [1]\n[halving]\neta = 3\n", "Give first = N"},
           {"[grid]\nlr = [1]\n[halving]\nfirts = 3\n", "did you mean first?"},
           {"[grid]\nlr = [1]\n[halving]\neta = 1\nfirst = 2\n", "eta: 1 is out of range", Fault::value},
           {"not a toml", "not TOML"},
           {"version = 9\n[grid]\nlr = [1]\n", "use a newer folio"}}) {
    Error const e = error_of([&] { Read const r(row.text); });
    EXPECT_NE(std::string(e.what()).find(row.says), std::string::npos) << row.text << e.what();
    EXPECT_EQ(e.fault, row.fault) << row.text << e.what();
  }
}

}  // namespace
}  // namespace folio::train

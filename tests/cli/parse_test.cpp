// From arguments to fields: who wins over whom, and what each slip is called.
#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "core/json.h"
#include "core/log.h"
#include "tests/support/files.h"

using namespace folio;
using namespace folio::cli;
using folio::test::expect_fault;
using folio::test::ScratchFolder;

namespace {

struct Options {
  int64_t steps = 100;
  double lr = 1e-3;
  bool bias = true, untied = false;
  std::string data, prompt;
  std::vector<std::string> stop = {"default"};
  std::vector<std::string> model, texts;
};

Spec spec_of(Options& o) {
  return {.name = "work",
          .summary = "does some work",
          .details = "A paragraph.",
          .example = "folio work MODEL a.txt --lr 1e-4",
          .positionals = {{"MODEL", &o.model, "the model"}, {"TEXT", &o.texts, "texts", 0, SIZE_MAX}},
          .fields = {{"steps", &o.steps, "optimizer steps", {.min = 1}, "Training"},
                     {"lr", &o.lr, "largest rate", {.min = 0}, "Training"},
                     {"bias", &o.bias, "biases in linear layers"},
                     {"untied", &o.untied, "a head of its own"},
                     {"data", &o.data, "prepared data", {.by_flag_only = true}},
                     {"prompt", &o.prompt, "the text to go on from"},
                     {"stop", &o.stop, "a text that ends"}},
          .configurable = true};
}

struct Parsed : Options {
  Origins given;
  explicit Parsed(Arguments arguments) {
    arguments.insert(arguments.begin(), "m");
    EXPECT_TRUE(parse(spec_of(*this), arguments, &given));
  }
  std::vector<std::string> names_given() const {
    std::vector<std::string> names;
    for (auto const& [name, origin] : given) names.push_back(name);
    return names;
  }
};

class Variable {  // an environment variable, as long as it lives
 public:
  Variable(char const* name, char const* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  char const* name_;
};

}  // namespace

TEST(Parse, ReadsFlagsInEveryForm) {
  Parsed const p({"--steps", "7", "--lr=1e-4", "--no-bias", "--untied", "a.txt", "--prompt", "-- no flag", "b.txt"});
  EXPECT_EQ(p.steps, 7);
  EXPECT_EQ(p.lr, 1e-4);
  EXPECT_FALSE(p.bias);
  EXPECT_TRUE(p.untied);
  EXPECT_EQ(p.prompt, "-- no flag");
  EXPECT_EQ(p.texts, (std::vector<std::string>{"a.txt", "b.txt"}));
  EXPECT_EQ(p.names_given(), (std::vector<std::string>{"bias", "lr", "prompt", "steps", "untied"}));
  EXPECT_TRUE(Parsed({"--no-bias=false"}).bias);
  EXPECT_FALSE(Parsed({"--bias=no"}).bias);
  EXPECT_TRUE(Parsed({"--no-bias", "--bias"}).bias);  // the last counts
  EXPECT_EQ(Parsed({"--steps", "1", "--steps", "2"}).steps, 2);
}

TEST(Parse, TakesValuesAsTheyAre) {
  for (char const* text :
       {"", "a=b", "[a,b]", "{}", "-5", "-", "'quoted'", "\"quoted\"", "line\nline", "\xff", "%%", "a,b"}) {
    EXPECT_EQ(Parsed({std::string("--prompt=") + text}).prompt, text);
    EXPECT_EQ(Parsed({"--prompt", text}).prompt, text);
    EXPECT_EQ(Parsed({"--", text}).texts, std::vector<std::string>{text});
  }
  EXPECT_EQ(Parsed({"--prompt=--steps"}).prompt, "--steps");
  EXPECT_EQ(Parsed({"-", "[x]", "-1"}).texts, (std::vector<std::string>{"-", "[x]", "-1"}));
  EXPECT_EQ(Parsed({"--", "--steps", "--"}).texts, (std::vector<std::string>{"--steps", "--"}));
}

TEST(Parse, ListsGrowAndReplaceTheDefault) {
  EXPECT_EQ(Parsed({}).stop, std::vector<std::string>{"default"});
  EXPECT_EQ(Parsed({"--stop", "a", "--stop=b"}).stop, (std::vector<std::string>{"a", "b"}));
}

TEST(Parse, FlagsWinOverTheEnvironmentOverSettingsOverTheFileOverDefaults) {
  ScratchFolder const folder;
  write_file(folder / "c.toml", "steps = 2\nlr = 0.2\nbias = false\nprompt = \"file\"\nstop = [\"file\"]\n");
  std::string const config = (folder / "c.toml").string();
  Variable const lr("FOLIO_LR", "0.4"), steps("FOLIO_STEPS", "4");
  Parsed const p({"--steps=5", "--config", config, "--set", "lr=0.3", "--set", "prompt=set"});
  EXPECT_EQ(p.steps, 5);
  EXPECT_EQ(p.lr, 0.4);
  EXPECT_EQ(p.prompt, "set");
  EXPECT_FALSE(p.bias);
  EXPECT_EQ(p.stop, std::vector<std::string>{"file"});
  EXPECT_FALSE(p.untied);
  EXPECT_EQ(p.names_given(), (std::vector<std::string>{"bias", "lr", "prompt", "steps", "stop"}));
}

TEST(Parse, AVariableThatIsForSomethingElseSetsNoFlag) {
  Variable const data("FOLIO_DATA", "/somewhere");
  EXPECT_EQ(Parsed({}).data, "");
  EXPECT_EQ(Parsed({"--data", "d"}).data, "d");
}

TEST(Parse, SlipsOfTheCommandLineAreUsage) {
  expect_fault(Fault::usage, {"--lrr", "did you mean --lr?", "folio work --help"}, [] { Parsed({"--lrr", "3"}); });
  expect_fault(Fault::usage, {"--nobias", "did you mean --no-bias?"}, [] { Parsed({"--nobias"}); });
  expect_fault(Fault::usage, {"--no-steps"}, [] { Parsed({"--no-steps"}); });
  expect_fault(Fault::usage, {"--steps needs a value", "N"}, [] { Parsed({"--steps"}); });
  expect_fault(Fault::usage, {"--prompt needs a value", "--prompt=--lr"}, [] { Parsed({"--prompt", "--lr"}); });
  expect_fault(Fault::usage, {"--steps", "\"ten\""}, [] { Parsed({"--steps", "ten"}); });
  expect_fault(Fault::usage, {"--bias", "\"perhaps\""}, [] { Parsed({"--bias=perhaps"}); });
  expect_fault(Fault::usage, {"--set", "key=value"}, [] { Parsed({"--set", "lr"}); });
  expect_fault(Fault::usage, {"--set", "did you mean steps?"}, [] { Parsed({"--set", "stepz=3"}); });
  expect_fault(Fault::usage, {"MODEL", "the model"}, [] {
    Options o;
    parse(spec_of(o), {});
  });
}

TEST(Parse, OutOfRangeIsAnotherFaultAndNamesItsOrigin) {
  expect_fault(Fault::value, {"--steps", "0"}, [] { Parsed({"--steps", "0"}); });
  expect_fault(Fault::value, {"--set lr", "-1"}, [] { Parsed({"--set", "lr=-1"}); });
  Variable const steps("FOLIO_STEPS", "-3");
  expect_fault(Fault::value, {"FOLIO_STEPS", "-3"}, [] { Parsed({}); });
}

TEST(Parse, AConfigurationThatIsMissingOrWrong) {
  ScratchFolder const folder;
  expect_fault(Fault::missing, {"none.toml"}, [&] { Parsed({"--config", (folder / "none.toml").string()}); });
  write_file(folder / "c.toml", "stepz = 3");
  expect_fault(Fault::content, {"c.toml", "did you mean steps?"}, [&] {
    Parsed({"--config", (folder / "c.toml").string()});
  });
}

TEST(Parse, QuietReachesTheMessages) {
  Parsed({"--quiet"});
  EXPECT_TRUE(is_quiet());
  set_quiet(false);
}

TEST(Parse, OnlyConfigurableVerbsTakeSettings) {
  Options o;
  Spec spec = spec_of(o);
  spec.configurable = false;
  expect_fault(Fault::usage, {"--config"}, [&] { parse(spec, {"m", "--config", "c.toml"}); });
  expect_fault(Fault::usage, {"--set"}, [&] { parse(spec, {"m", "--set", "lr=1"}); });
}

TEST(Help, ShowsGroupsDefaultsAndBothFormsOfASwitch) {
  Options o;
  std::string const help = help_text(spec_of(o));
  for (char const* part : {"folio work MODEL [TEXT…] [flags]", "\nTraining:\n", "--steps N", "(default: 100)", "--lr X",
                           "(default: 0.001)", "--[no-]bias", "(default: on)", "  --untied  ", "--config FILE",
                           "--set KEY=VALUE", "(may be repeated)", "\nexample:\n  folio work MODEL"})
    EXPECT_NE(help.find(part), help.npos) << part << "\n" << help;
  Json const json = parse_json(help_json(spec_of(o)), "help");
  EXPECT_EQ(json["flags"].size(), 7u);
  EXPECT_EQ(json["flags"][1]["environment"], "FOLIO_LR");
  EXPECT_EQ(json["flags"][4]["environment"], "");  // --data
}

TEST(Wrapping, KeepsToTheWidthAndLosesNothing) {
  EXPECT_EQ(wrapped("one two three", 0, 7), "one two\nthree\n");
  EXPECT_EQ(wrapped("one two", 2, 5), "  one\n  two\n");
  EXPECT_EQ(wrapped("a\n\nb", 1, 9), " a\n\n b\n");
  EXPECT_EQ(wrapped("muchtoolong x", 0, 4), "muchtoolong\nx\n");
  EXPECT_EQ(wrapped("", 3), "");
  EXPECT_EQ(wrapped("é é é", 0, 3), "é é\né\n");
}

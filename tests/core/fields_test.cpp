// One list of fields: every value survives text, TOML and JSON, and every slip has the right kind and a suggestion.
#include "core/fields.h"
#include "core/fields_json.h"

#include <rapidcheck.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/toml.h"
#include "tests/support/files.h"

using namespace folio;
using folio::test::expect_fault;

namespace {

struct Options {
  bool bias = true;
  int64_t steps = 100;
  uint64_t seed = 1337;
  double lr = 1e-3;
  std::string schedule = "cosine", note;
  std::vector<std::string> stop;
  bool operator==(Options const&) const = default;
};

Fields fields(Options& o) {
  return {{"bias", &o.bias, "biases in linear layers"},
          {"steps", &o.steps, "optimizer steps", {.min = 1}},
          {"seed", &o.seed, "seed of everything random"},
          {"min-lr", &o.lr, "smallest rate", {.min = 0, .max = 1, .below_max = true}},
          {"schedule", &o.schedule, "shape", {.choices = {"constant", "linear", "cosine"}}},
          {"note", &o.note, "any text"},
          {"stop", &o.stop, "texts that end"}};
}

rc::Gen<std::string> utf8_text() {
  auto const points = rc::gen::container<std::vector<uint32_t>>(
      rc::gen::oneOf(rc::gen::inRange<uint32_t>(0, 0x80), rc::gen::inRange<uint32_t>(0xa0, 0xd800),
                     rc::gen::inRange<uint32_t>(0xe000, 0x110000)));
  return rc::gen::map(points, [](std::vector<uint32_t> const& all) {
    std::string text;
    for (uint32_t c : all) {
      if (c < 0x80) text += static_cast<char>(c);
      else if (c < 0x800) (text += static_cast<char>(0xc0 | c >> 6)) += static_cast<char>(0x80 | (c & 63));
      else if (c < 0x10000)
        ((text += static_cast<char>(0xe0 | c >> 12)) += static_cast<char>(0x80 | (c >> 6 & 63))) +=
            static_cast<char>(0x80 | (c & 63));
      else
        (((text += static_cast<char>(0xf0 | c >> 18)) += static_cast<char>(0x80 | (c >> 12 & 63))) +=
         static_cast<char>(0x80 | (c >> 6 & 63))) += static_cast<char>(0x80 | (c & 63));
    }
    return text;
  });
}

Options any_options() {
  Options o;
  o.bias = *rc::gen::arbitrary<bool>();
  o.steps = *rc::gen::oneOf(rc::gen::inRange<int64_t>(1, 1000), rc::gen::just(INT64_MAX));
  o.seed = *rc::gen::oneOf(rc::gen::arbitrary<uint64_t>(), rc::gen::just(UINT64_MAX), rc::gen::just(uint64_t{1} << 63));
  o.lr =
      std::ldexp(static_cast<double>(*rc::gen::inRange<int64_t>(0, int64_t{1} << 53)), *rc::gen::inRange(-1074, -53));
  o.schedule = *rc::gen::element<std::string>("constant", "linear", "cosine");
  o.note = *utf8_text();
  o.stop = *rc::gen::container<std::vector<std::string>>(utf8_text());
  return o;
}

}  // namespace

TEST(Fields, SurviveText) {
  EXPECT_TRUE(rc::check([] {
    Options from = any_options(), to;
    for (Field const& field : fields(from)) {
      Fields const target = fields(to);
      if (auto* const list = std::get_if<std::vector<std::string>*>(&field.value))
        for (std::string const& item : **list) set(*find(target, field.name), item, "test");
      else set(*find(target, field.name), text_of(field), "test");
    }
    RC_ASSERT(to == from);
  }));
}

TEST(Fields, SurviveToml) {
  EXPECT_TRUE(rc::check([] {
    Options from = any_options(), to;
    to.stop = {"replaced"};
    RC_ASSERT(from_toml(fields(to), to_toml(fields(from)), "config.toml").size() == size_t{7});
    RC_ASSERT(to == from);
  }));
}

TEST(Fields, SurviveJson) {
  EXPECT_TRUE(rc::check([] {
    Options o = any_options();
    Json const json = parse_json(dump(to_json(fields(o))), "fields");
    RC_ASSERT(json["bias"].get<bool>() == o.bias);
    RC_ASSERT(json["steps"].get<int64_t>() == o.steps);
    RC_ASSERT(json["seed"].get<uint64_t>() == o.seed);
    RC_ASSERT(json["min-lr"].get<double>() == o.lr);
    RC_ASSERT(json["note"].get<std::string>() == o.note);
    RC_ASSERT(json["stop"].get<std::vector<std::string>>() == o.stop);
  }));
}

TEST(Fields, ReadNumbersExactlyAsWritten) {
  Options o;
  Fields const f = fields(o);
  set(f[3], "1e-3", "--min-lr");
  EXPECT_EQ(o.lr, 1e-3);
  set(f[3], "0", "--min-lr");
  set(f[1], "+5", "--steps");
  EXPECT_EQ(o.steps, 5);
  for (char const* yes : {"true", "1", "yes", "on"}) {
    o.bias = false;
    set(f[0], yes, "--bias");
    EXPECT_TRUE(o.bias) << yes;
  }
  for (char const* no : {"false", "0", "no", "off"}) {
    o.bias = true;
    set(f[0], no, "--bias");
    EXPECT_FALSE(o.bias) << no;
  }
}

TEST(Fields, RefuseWhatCannotBeReadAsUsage) {
  Options o;
  Fields const f = fields(o);
  for (auto const& [field, text] : std::vector<std::pair<int, char const*>>{{0, "maybe"},
                                                                            {0, ""},
                                                                            {1, "1e3"},
                                                                            {1, "3.5"},
                                                                            {1, " 3"},
                                                                            {1, "3 "},
                                                                            {1, "0x10"},
                                                                            {1, ""},
                                                                            {1, "+-3"},
                                                                            {1, "++3"},
                                                                            {2, "ten"},
                                                                            {2, "-"},
                                                                            {3, "1e-3x"},
                                                                            {3, "1,5"},
                                                                            {3, ""},
                                                                            {3, "+"}})
    expect_fault(Fault::usage, {"--flag", text}, [&] { set(f[static_cast<size_t>(field)], text, "--flag"); });
  EXPECT_EQ(o, Options{});
}

TEST(Fields, RefuseWhatIsOutOfRangeAsValue) {
  Options o;
  Fields const f = fields(o);
  for (auto const& [field, text] : std::vector<std::pair<int, char const*>>{{1, "0"},
                                                                            {1, "-3"},
                                                                            {1, "9223372036854775808"},
                                                                            {2, "-1"},
                                                                            {2, "18446744073709551616"},
                                                                            {3, "1"},
                                                                            {3, "-1e-9"},
                                                                            {3, "nan"},
                                                                            {3, "inf"},
                                                                            {3, "1e999"},
                                                                            {4, "cosin"}})
    expect_fault(Fault::value, {"--flag"}, [&] { set(f[static_cast<size_t>(field)], text, "--flag"); });
  EXPECT_EQ(o, Options{});
  expect_fault(Fault::value, {"at least 0 and below 1"}, [&] { set(f[3], "1", "--min-lr"); });
  expect_fault(Fault::value, {"constant, linear, cosine", "did you mean cosine?"},
               [&] { set(f[4], "cosin", "--schedule"); });
}

TEST(Fields, TomlNamesTheLineAndTheSlip) {
  Options o;
  Fields const f = fields(o);
  expect_fault(Fault::content, {"c.toml", "line 2", "\"stepz\"", "did you mean steps?"},
               [&] { from_toml(f, "bias = true\nstepz = 3\n", "c.toml"); });
  expect_fault(Fault::content, {"steps", "whole number"}, [&] { from_toml(f, "steps = \"3\"", "c.toml"); });
  expect_fault(Fault::content, {"steps", "whole number"}, [&] { from_toml(f, "steps = 3.5", "c.toml"); });
  expect_fault(Fault::content, {"note", "text in quotes"}, [&] { from_toml(f, "note = 3", "c.toml"); });
  expect_fault(Fault::content, {"stop", "list"}, [&] { from_toml(f, "stop = \"a\"", "c.toml"); });
  expect_fault(Fault::content, {"bias", "true or false"}, [&] { from_toml(f, "bias = 1", "c.toml"); });
  expect_fault(Fault::value, {"c.toml", "line 1", "steps"}, [&] { from_toml(f, "steps = 0", "c.toml"); });
  expect_fault(Fault::content, {"not TOML"}, [&] { from_toml(f, "steps = ", "c.toml"); });
  std::string deep = "a";  // its parser would call itself for each
  for (int i = 0; i < 200'000; ++i) deep += i % 2 ? ".a" : " . b";
  for (std::string const& text :
       {deep + " = 1\n", "[" + deep + "]\n", "[[" + deep + "]]\n", "x = {" + deep + " = 1}\n"})
    expect_fault(Fault::content, {"c.toml", "line 1", "64 parts"}, [&] { from_toml(f, text, "c.toml"); });
  expect_fault(Fault::content, {"not TOML"}, [&] { from_toml(f, "steps = 1\nsteps = 2", "c.toml"); });
  expect_fault(Fault::content, {"not TOML"}, [&] { from_toml(f, "stop = " + std::string(100'000, '['), "c.toml"); });
  expect_fault(Fault::content, {"bytes"}, [&] { from_toml(f, std::string(2 << 20, '\n'), "c.toml"); });
  EXPECT_EQ(o, Options{});
  EXPECT_EQ(from_toml(f, "min-lr = 0\n", "c.toml"), std::vector<std::string>{"min-lr"});  // a whole number is a number
  EXPECT_EQ(o.lr, 0);
}

TEST(Fields, ATextThatTheTomlParserTakesForGrantedIsRefused) {
  std::string value;
  for (std::string const bad : {"[\x01]\n", "[/]\n", "a = 1\n[[\x7f]]\n"})
    EXPECT_THROW(from_toml({{"text", &value, "a text"}}, bad, "f"), Error) << bad;
}

TEST(Fields, TomlTakesLettersAboveAsciiInQuotesAndCommentsAlone) {
  std::string value;
  Fields const fields = {{"text", &value, "a text"}};
  for (std::string const good :
       {"text = \"\u00e9\" # \u00e9\n", "text = '\u00e9'\n", "text = \"\"\"\n\\\"\u00e9\\\\\n\"\"\"\n",
        "text = '''\u00e9''' # \" '\n", "# ' \" \u00e9\ntext = \"a # \u00e9\"\n"})
    EXPECT_NO_THROW(from_toml(fields, good, "f")) << good;
  auto const refused = [&](std::string const& bad, char const* why) {
    try {
      from_toml(fields, bad, "f");
      ADD_FAILURE() << bad;
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content);
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  for (std::string const bad :
       {"text =\u00a0\"a\"\n", "\ntext = \u00e9\n", "text\u00e9 = \"a\"\n", "text = \"a\"\u00e9\n"})
    refused(bad, "not ASCII outside of quotes");
  for (std::string const bad : {"text = 1\"\u00e9\"\n", "text = [0.1 'b\u00e9']\n"})
    refused(bad, "a quote inside a value");
  for (std::string const bad : {"text = -e31seed0.\"\u01bd\"\n", "text = 1 . '\u00e9'\n", "a.\"\u00e9\" = 1\n"})
    refused(bad, "a quote behind a dot");
  for (std::string const bad : {"text = [1[\"\u0228\"]]\n", "text = 1 {'\u00e9'}\n", "text = \"a\"[\"\u00e9\"]\n"})
    refused(bad, "a bracket inside a value");
  for (std::string const bad :
       {"text = \"\"\"s\\\n\u01e8\"\"\"\n", "text = \"\"\"\\\u01e8\"\"\"\n", "text = \"\"\"a\\ \n\u01e8\"\"\"\n"})
    refused(bad, "a backslash before");
  for (std::string const bad : {"\"\"\"s\\\n\u01e8\n", "[\"\"\"s\\\n\u01e8\n", "text = [1, '''s\n\u01e8\n"})
    refused(bad, "three quotes");
  for (std::string const bad :
       {"text = 1=\"\u00e9\"\n", "text = [1=\"\u00e9\"]\n", "text = {a = [1], b = [2 = '\u00e9']}\n"})
    refused(bad, "an equals sign inside a value");
  std::string const nested =
      "a = {b = 1, \"c\" = {d = [1, {e = '\u00e9'}], f = 2}}\n[x.b]\nc = [\n1,\n{d = 1},\n]\nd = 1\n";
  EXPECT_EQ(parse_toml(nested, "f").size(), 2u);
  from_toml(fields, "text = \"\"\"a\"\"\"\"\"\n", "f");
  EXPECT_EQ(value, "a\"\"");
}

TEST(Fields, NamesForTheWorldOutside) {
  Options o;
  Fields const f = fields(o);
  EXPECT_EQ(environment_name("min-lr"), "FOLIO_MIN_LR");
  EXPECT_EQ(type_name(f[0]), "");
  EXPECT_EQ(type_name(f[1]), "N");
  EXPECT_EQ(type_name(f[3]), "X");
  EXPECT_EQ(type_name(f[4]), "constant|linear|cosine");
  EXPECT_EQ(type_name(f[5]), "TEXT");
  EXPECT_EQ(find(f, "min-lr"), &f[3]);
  EXPECT_EQ(find(f, "min_lr"), nullptr);
}

TEST(Nearest, SuggestsWhatIsNearAndNothingElse) {
  std::vector<std::string> const verbs = {"train", "tokenize", "generate", "eval", "info"};
  EXPECT_EQ(nearest("trian", verbs), "train");
  EXPECT_EQ(nearest("tokenise", verbs), "tokenize");
  EXPECT_EQ(nearest("genrate", verbs), "generate");
  EXPECT_EQ(nearest("evla", verbs), "eval");
  EXPECT_EQ(nearest("banana", verbs), "");
  EXPECT_EQ(nearest("", verbs), "");
  EXPECT_EQ(nearest(std::string(1 << 20, 'x'), verbs), "");
}

TEST(Nearest, KnowsANameByItsParts) {
  std::vector<std::string> const flags = {"lr", "min-lr", "batch", "steps", "warmup", "warmup-start", "embd"};
  EXPECT_EQ(nearest("learning-rate", flags), "lr");
  EXPECT_EQ(nearest("learning_rate", flags), "lr");
  EXPECT_EQ(nearest("min-learning-rate", flags), "min-lr");
  EXPECT_EQ(nearest("batch-size", flags), "batch");
  EXPECT_EQ(nearest("warmup-stat", flags), "warmup-start");  // a slip counts before parts
  EXPECT_EQ(nearest("learning-something", flags), "");
  EXPECT_EQ(nearest("-", flags), "");
}

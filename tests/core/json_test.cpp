// What core/json.h refuses of hostile text, and that what it takes survives.
#include "core/json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/files.h"

using namespace folio;
using folio::test::expect_fault;
using folio::test::thrown_by;

namespace {
std::string nested(size_t depth, char open, char close) { return std::string(depth, open) + std::string(depth, close); }
}  // namespace

TEST(Json, TakesSixtyFourLevelsAndRefusesTheNext) {
  EXPECT_EQ(dump(parse_json(nested(64, '[', ']'), "deep")), nested(64, '[', ']'));
  expect_fault(Fault::content, {"deep", "64 levels"}, [] { parse_json(nested(65, '[', ']'), "deep"); });
  JsonLimits const few{.items = 2, .members = 1};
  EXPECT_EQ(dump(parse_json(R"({"a":[1,[2,3]]})", "few", few)), R"({"a":[1,[2,3]]})");
  expect_fault(Fault::content, {"few", "more than 2 items"}, [&] { parse_json("[1,[2,3,4]]", "few", few); });
  expect_fault(Fault::content, {"few", "more than 1 members"}, [&] { parse_json(R"([{"a":1,"b":2}])", "few", few); });
}

TEST(Json, RefusesGreatDepthWithoutOverflowingTheStack) {
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  for (std::string const& text : {nested(100'000, '[', ']'), std::string(10'000'000, '['), objects})
    expect_fault(Fault::content, {"hostile", "64 levels"}, [&] { parse_json(text, "hostile"); });
}

TEST(Json, RefusesDuplicateKeysAndSaysWhere) {
  expect_fault(Fault::content, {"\"c\"", "twice", "/a/b/1"},
               [] { parse_json(R"({"a":{"b":[0,{"c":1,"c":2}]}})", "x.json"); });
  expect_fault(Fault::content, {"\"\"", "twice"}, [] { parse_json(R"({"":1,"":1})", "x.json"); });
  expect_fault(Fault::content, {"twice"}, [] { parse_json(R"({"A":1,"\u0041":1})", "x.json"); });
  EXPECT_EQ(parse_json(R"([{"c":1},{"c":1}])", "x.json").size(), 2u);
}

TEST(Json, RefusesEveryTruncation) {
  std::string const text = R"({"layers": [1, -2.5e3, true, null], "name": "a\u00e9\n", "deep": {"x": {}}})";
  ASSERT_EQ(parse_json(text, "whole").size(), 3u);
  for (size_t n = 0; n < text.size(); ++n) {
    auto const thrown = thrown_by([&] { parse_json(std::string_view(text).substr(0, n), "cut.json"); });
    EXPECT_EQ(thrown.fault, static_cast<int>(Fault::content)) << text.substr(0, n);
    EXPECT_NE(thrown.sentence.find("cut.json"), std::string::npos) << thrown.sentence;
  }
}

TEST(Json, RefusesWhatIsNotJson) {
  for (std::string const text :
       {"{} x", "[1,]", "{'a':1}", "[01]", "[1e999]", "nan", "[\"\x80\"]", "[\"\n\"]", "// a\n1"})
    EXPECT_EQ(thrown_by([&] { parse_json(text, "x"); }).fault, static_cast<int>(Fault::content)) << text;
  for (std::string const& text : {std::string("{}\0", 3), std::string("{}\0{}", 5), std::string("[1\0]", 4)})
    expect_fault(Fault::content, {"zero byte"}, [&] { parse_json(text, "x"); });
  std::string const long_token = "[\"" + std::string(1 << 20, 'x');
  EXPECT_LT(thrown_by([&] { parse_json(long_token, "x"); }).sentence.size(), 500u);
  expect_fault(Fault::content, {"the limit"}, [] { parse_json("[1,2,3]", "x", {.bytes = 6}); });
}

TEST(Json, ReadsAHundredThousandKeysInOrderAndQuickly) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("{}\"k{}\":{}", i ? "," : "", i * 7919 % 100'000, i);
  Json const json = parse_json(text + "}", "vocabulary");
  ASSERT_EQ(json.size(), 100'000u);
  EXPECT_EQ(json.begin().key(), "k0");
  EXPECT_EQ(std::next(json.begin()).key(), "k7919");
}

TEST(Json, ReadsMembersOrSaysWhatIsWrong) {
  Json const json = parse_json(
      R"({"n":3,"f":1024.0,"x":2.5,"s":"t","b":true,"z":null,"big":9223372036854775808,"min":-9223372036854775808})",
      "c");
  EXPECT_EQ(get_integer(json, "n", "c"), 3);
  EXPECT_EQ(get_integer(json, "f", "c"), 1024);
  EXPECT_EQ(get_integer(json, "min", "c"), INT64_MIN);
  EXPECT_EQ(get_number(json, "n", "c"), 3.0);
  EXPECT_EQ(get_string(json, "s", "c"), "t");
  EXPECT_TRUE(get_bool(json, "b", "c"));
  EXPECT_FALSE(find_integer(json, "z", "c").has_value());
  EXPECT_FALSE(find_string(json, "absent", "c").has_value());
  expect_fault(Fault::content, {"config", "\"absent\"", "missing"}, [&] { get_integer(json, "absent", "config"); });
  expect_fault(Fault::content, {"\"x\"", "2.5", "whole number"}, [&] { get_integer(json, "x", "config"); });
  expect_fault(Fault::content, {"\"big\"", "whole number"}, [&] { get_integer(json, "big", "config"); });
  expect_fault(Fault::content, {"\"s\"", "number"}, [&] { find_number(json, "s", "config"); });
  expect_fault(Fault::content, {"\"n\"", "true or false"}, [&] { find_bool(json, "n", "config"); });
  expect_fault(Fault::content, {"an object", "array"}, [] { get_bool(parse_json("[]", "c"), "b", "config"); });
}

TEST(Json, FilesAndInvalidUtf8) {
  folio::test::ScratchFolder const folder;
  Json const json = {{"a", {1, 2}}, {"text", "caf\xe9"}};
  write_json(folder / "a.json", json);
  EXPECT_EQ(get_string(read_json(folder / "a.json"), "text", "a"), "caf\xef\xbf\xbd");
  expect_fault(Fault::missing, {"none.json"}, [&] { read_json(folder / "none.json"); });
}

TEST(Json, BitsOfADoubleSurvive) {
  for (double x : {0.0, -0.0, 1.0 / 3, 5e-324, -1e308, std::numeric_limits<double>::infinity()}) {
    double const back = from_bits(bits_of(x), "state");
    EXPECT_EQ(back, x);
    EXPECT_EQ(std::signbit(back), std::signbit(x));
  }
  EXPECT_TRUE(std::isnan(from_bits(bits_of(std::nan("")), "state")));
  EXPECT_EQ(bits_of(1.0), "3ff0000000000000");
  for (char const* bad : {"", "3ff", "3ff000000000000g", "-3ff000000000000", "3ff00000000000000"})
    expect_fault(Fault::content, {"state.json"}, [&] { from_bits(bad, "state.json"); });
}

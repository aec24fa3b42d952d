// folio learn as a shell runs it: the list, a lesson as text, JSON and drawing, and what it refuses.
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "learn/topics.h"
#include "tests/support/program.h"
#include "tests/support/scratch_folder.h"

namespace folio::test {
namespace {

TEST(LearnVerb, ListsTheTopics) {
  Ended const e = run({"learn"});
  EXPECT_EQ(e.code, 0) << e.err;
  for (learn::Topic const& t : learn::topics()) {
    EXPECT_NE(e.out.find(t.name), e.out.npos) << t.name;
    EXPECT_NE(e.out.find(t.title), e.out.npos) << t.title;
  }
  EXPECT_EQ(parse_json(run({"learn", "--json"}).out, "learn").size(), learn::topics().size());
}

TEST(LearnVerb, RunsOneAsTextJsonAndDrawing) {
  ScratchFolder const folder;
  std::string const file = (folder.path() / "three.svg").string();
  Ended const text = run({"learn", "cross-entropy", "--svg", file}, {.set = {{"LC_ALL", "C"}}});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("dog     1.0        0.231  1.464    -0.769\n"), text.out.npos) << text.out;
  EXPECT_NE(text.out.find("  cat  ####"), text.out.npos) << text.out;
  EXPECT_NE(text.err.find("written: "), text.err.npos);
  EXPECT_NE(read_file(file, 1 << 20).find("its loss is 1.464</title>"), std::string::npos);
  Json const json = parse_json(run({"learn", "cross-entropy", "--json"}).out, "learn");
  EXPECT_NEAR(json["numbers"]["words"][1]["loss"].get<double>(), 1.4644, 1e-4);
}

TEST(LearnVerb, RefusesWithASentence) {
  struct Row {
    std::vector<std::string> words;
    int code;
    char const* with;
  };
  for (Row const& r : std::vector<Row>{{{"learn", "cross-entropi"}, 2, "did you mean cross-entropy?"},
                                       {{"learn", "quantum"}, 2, "folio learn lists them"},
                                       {{"learn", "tying", "sampling"}, 2, ""},
                                       {{"learn", "--svg", "x.svg"}, 2, "which topic"},
                                       {{"learn", "sampling", "--svg", "/nowhere/at/all.svg"}, 74, "/nowhere/at"}}) {
    Ended const e = run(r.words);
    EXPECT_EQ(e.code, r.code) << e.err;
    EXPECT_EQ(e.out, "");
    EXPECT_NE(e.err.find(r.with), e.err.npos) << e.err;
  }
}

}  // namespace
}  // namespace folio::test

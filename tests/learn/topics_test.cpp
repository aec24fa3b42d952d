// What every lesson has in common: it runs, the same each time; its page fits the terminal, its drawing is whole, its
// JSON can be read; the files and flags it names exist, and docs/course.md leads to it.
#include "learn/topics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "report/table.h"

namespace folio::learn {
namespace {

Path source() {
  char const* const path = std::getenv("FOLIO_SOURCE");
  return path ? path : ".";
}

// Every start tag has its end; what is between is escaped.
void expect_whole(std::string const& svg, std::string const& topic) {
  std::vector<std::string> open;
  size_t const sheet = svg.find("<![CDATA["), sheet_end = svg.find("]]>");
  ASSERT_NE(sheet_end, svg.npos);
  std::string const text = svg.substr(0, sheet) + svg.substr(sheet_end + 3);
  for (size_t at = 0; (at = text.find('<', at)) != text.npos;) {
    size_t const end = text.find('>', at);
    ASSERT_NE(end, text.npos) << topic;
    std::string const tag = text.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag.back() == '/') continue;
    if (tag[0] != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
      continue;
    }
    ASSERT_FALSE(open.empty()) << topic;
    EXPECT_EQ(open.back(), tag.substr(1)) << topic;
    open.pop_back();
  }
  EXPECT_TRUE(open.empty()) << topic;
}

void expect_finite(Json const& value, std::string const& topic) {
  EXPECT_TRUE(!value.is_number() || std::isfinite(value.get<double>())) << topic;
  if (value.is_structured())
    for (Json const& v : value) expect_finite(v, topic);
}

class EveryTopic : public testing::TestWithParam<size_t> {};

TEST_P(EveryTopic, RunsAndIsToldInThreeForms) {
  Topic const& t = topics()[GetParam()];
  auto const backend = make_cpu_backend(2);
  Page const page = t.run(*backend);
  EXPECT_GE(page.numbers.size(), 1u);
  EXPECT_GE(page.pictures.size(), 1u);
  EXPECT_GE(page.see.size(), 3u);
  for (bool const utf8 : {true, false})
    for (size_t const width : {80u, 60u}) {
      std::string text = terminal_text(t, page, utf8, width);
      for (size_t end; (end = text.find('\n')) != text.npos; text.erase(0, end + 1))
        EXPECT_LE(report::display_width(text.substr(0, end)), width) << t.name << ": " << text.substr(0, end);
    }
  EXPECT_EQ(terminal_text(t, page, true).find("left out"), std::string::npos) << t.name << ": a table is too wide";
  std::string const svg = drawing(t, page);
  expect_whole(svg, t.name);
  EXPECT_EQ(svg.find("nan"), svg.npos) << t.name;
  EXPECT_LT(svg.size(), size_t{64} << 10) << t.name;
  for (Numbers const& n : page.numbers) {  // what a phone shows
    size_t columns = 0;
    for (size_t c = 0; c < n.columns.size(); ++c) {
      size_t longest = report::display_width(n.columns[c].head);
      for (auto const& row : n.rows)
        longest = std::max(longest, report::display_width(shown(row[c], n.columns[c].form)));
      columns += longest + 2;
    }
    EXPECT_LE(columns, 60u) << t.name << ", " << n.key << ": too wide for a drawing on a phone";
  }
  Json const json = parse_json(dump(to_json(t, page)), t.name);
  EXPECT_EQ(json["topic"], t.name);
  expect_finite(json, t.name);
  for (Numbers const& n : page.numbers) EXPECT_EQ(json["numbers"][n.key].size(), n.rows.size());
}

TEST_P(EveryTopic, GivesTheSameAgain) {
  Topic const& t = topics()[GetParam()];
  auto const one = make_cpu_backend(2), other = make_cpu_backend(2);
  Page const a = t.run(*one);
  if (a.timed) return;
  EXPECT_EQ(dump(to_json(t, a)), dump(to_json(t, t.run(*other))));
}

TEST_P(EveryTopic, NamesFilesThatAreThereAndFlagsThatAre) {
  Topic const& t = topics()[GetParam()];
  EXPECT_GE(t.places.size(), 2u);
  for (Place const& p : t.places) EXPECT_TRUE(std::filesystem::is_regular_file(source() / p.file)) << p.file;
  std::string const manual = read_file(source() / "docs/cli.md");
  for (size_t at = 0; (at = t.flag.find("--", at)) != t.flag.npos; at += 2) {
    std::string flag = t.flag.substr(at, t.flag.find_first_of(" ,;:.", at) - at);
    if (flag.starts_with("--no-")) flag.erase(2, 3);
    EXPECT_NE(manual.find("`" + flag), manual.npos) << t.name << " names " << flag;
  }
}

INSTANTIATE_TEST_SUITE_P(Learn, EveryTopic, testing::Range(size_t{0}, topics().size()), [](auto const& info) {
  std::string name = topics()[info.param].name;
  std::erase(name, '-');
  return name;
});

TEST(Topics, AreSixteenWithNamesOfTheirOwn) {
  std::set<std::string> names;
  for (Topic const& t : topics()) names.insert(t.name);
  EXPECT_EQ(names.size(), topics().size());
  EXPECT_EQ(names.size(), 16u);
}

TEST(Topics, AnUnknownOneIsRefusedWithTheNearest) {
  EXPECT_EQ(topic_named("attention").name, "attention");
  try {
    topic_named("atention");
    FAIL();
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, Fault::usage);
    EXPECT_NE(std::string(e.what()).find("did you mean attention?"), std::string::npos) << e.what();
  }
}

TEST(Course, LeadsThroughEveryTopicInOrderToFilesThatAreThere) {
  std::string const course = read_file(source() / "docs/course.md");
  size_t at = 0;
  for (Topic const& t : topics()) {
    at = course.find("folio learn " + t.name + "\n", at);
    ASSERT_NE(at, course.npos) << t.name << " is missing, or out of order";
  }
  for (char const* folder : {"src/", "docs/", "tests/", "tools/"})
    for (size_t from = 0; (from = course.find("`" + std::string(folder), from)) != course.npos; ++from) {
      std::string const file = course.substr(from + 1, course.find('`', from + 1) - from - 1);
      EXPECT_TRUE(std::filesystem::exists(source() / file)) << file;
    }
}

}  // namespace
}  // namespace folio::learn

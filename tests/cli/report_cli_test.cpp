// folio report as a shell runs it: pages of one run and of several, of runs that are damaged, broken, empty, still
// going on or of another version; what is in them, that nothing in them acts or is fetched, and what is refused.
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "tests/support/files.h"
#include "tests/support/logs.h"
#include "tests/support/program.h"

namespace folio::test {
namespace {

size_t count(std::string const& text, std::string const& what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++n;
  return n;
}

bool has(std::string const& text, std::string const& what) { return text.find(what) != text.npos; }

// The values of an attribute, in order.
std::vector<std::string> values_of(std::string const& page, std::string const& attribute) {
  std::vector<std::string> values;
  std::string const open = " " + attribute + "=\"";
  for (size_t at = 0; (at = page.find(open, at)) != page.npos;) {
    at += open.size();
    values.push_back(page.substr(at, page.find('"', at) - at));
  }
  return values;
}

// Every element that is opened is closed in order; what HTML never closes is none.
void expect_well_formed(std::string const& page) {
  static std::set<std::string> const kVoid = {"meta", "link", "br"};
  std::vector<std::string> open;
  for (size_t at = page.find("<html"); at < page.size(); ++at) {
    if (page[at] != '<') continue;
    size_t const end = page.find('>', at), from = at + 1 + (page[at + 1] == '/');
    ASSERT_NE(end, page.npos);
    std::string const name = page.substr(from, page.find_first_of(" />\n", from) - from);
    if (page[at + 1] == '/') {
      ASSERT_FALSE(open.empty()) << name;
      ASSERT_EQ(open.back(), name) << "near " << page.substr(at > 200 ? at - 200 : 0, 260);
      open.pop_back();
    } else if (page[end - 1] != '/' && !kVoid.contains(name)) {
      open.push_back(name);
      if (name == "script" || name == "style") at = page.find("</" + name, end) - 1;  // their text is no markup
    }
    if (at < end) at = std::max(at, name == "script" || name == "style" ? at : end);
  }
  EXPECT_TRUE(open.empty());
}

void expect_sound(std::string const& page) {
  expect_well_formed(page);
  for (char const* part : {"http://www.w3.org", "https://", "src=", "url(", "@import", "<link", "<iframe", "<img"})
    EXPECT_EQ(count(page, part), std::string(part) == "http://www.w3.org" ? 1u : 0u)
        << part;  // a name space in the script
  auto const ids = values_of(page, "id");
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size()) << "ids are unique";
  for (std::string const& href : values_of(page, "href")) EXPECT_EQ(std::ranges::count(ids, href.substr(1)), 1) << href;
  for (std::string const& labels : values_of(page, "aria-labelledby"))
    for (std::string const& id : {labels.substr(0, labels.find(' ')), labels.substr(labels.find(' ') + 1)})
      EXPECT_EQ(std::ranges::count(ids, id), 1) << id;
  size_t const drawings = count(page, "<svg role=\"img\"");
  EXPECT_EQ(count(page, "<title id="), drawings);
  EXPECT_EQ(count(page, "<desc id="), drawings);
  EXPECT_EQ(count(page, ">nan"), 0u);
  EXPECT_EQ(count(page, "\"nan"), 0u);
}

class ReportVerb : public testing::Test {
 protected:
  std::string path(std::string const& name) const { return (folder_ / name).string(); }
  std::string make(std::string const& name, MadeLog const& log = {}, std::string const& config = kMadeConfig) {
    make_run(folder_ / name, made_log(log), config);
    return path(name);
  }
  std::string page_of(std::vector<std::string> runs, int code = 0) {
    runs.insert(runs.begin(), "report");
    for (std::string const& more : {std::string("--out"), path("page.html")}) runs.push_back(more);
    last_ = run(runs);
    EXPECT_EQ(last_.code, code) << last_.err;
    return code == 0 ? read_file(path("page.html")) : "";
  }
  ScratchFolder folder_;
  Ended last_;
};

TEST_F(ReportVerb, OneRunHasEveryPart) {
  std::string const page = page_of({make("first", {.sample = "A sample."})});
  expect_sound(page);
  for (char const* id :
       {"verdict", "numbers", "losses", "steering", "layers", "weights", "speed", "samples", "config"}) {
    EXPECT_EQ(count(page, std::string("<section id=\"") + id), 1u) << id;
    EXPECT_EQ(count(page, std::string("href=\"#") + id), 1u) << id;
  }
  for (char const* id : {"loss", "loss-tokens", "loss-time", "phases", "rate", "norm", "clipped", "gradient-h.1",
                         "heat-A", "update-mlp", "weights-norm", "weight-norm", "penalty", "speed-chart", "memory"})
    EXPECT_EQ(count(page, std::string("<figure id=\"") + id + "\"") + count(page, std::string("\" id=\"") + id + "\""),
              1u)
        << id;
  EXPECT_TRUE(has(page, "<pre>A sample.</pre>"));
  EXPECT_TRUE(has(last_.out, "first")) << "and a table in the terminal";
}

TEST_F(ReportVerb, TheNumbersAreTheLogs) {
  std::string const first = make("first");
  Ended const e = run({"report", first, "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  Json const j = parse_json(e.out, "stdout");
  Json const& r = j["runs"][0];
  MadeLog const log;
  EXPECT_EQ(r["steps"], 1000);
  EXPECT_NEAR(r["first"].get<double>(), 4.25, 1e-12);
  EXPECT_NEAR(r["final"].get<double>(), log.train(1000) + 0.05, 1e-12);
  EXPECT_NEAR(r["gap"].get<double>(), 0.05, 1e-12);
  EXPECT_NEAR(r["removed"].get<double>(), 1 - r["best"].get<double>() / 4.25, 1e-12);
  EXPECT_NEAR(r["half_step"].get<double>(), 150 * std::log(2), 8);
  EXPECT_EQ(r["phases"][0]["phase"], "start");
  EXPECT_EQ(r["phases"].back()["phase"], "converging");
  EXPECT_FALSE(r["diagnosis"].empty());
  std::error_code none;
  EXPECT_FALSE(std::filesystem::exists("report.html", none)) << "--json alone writes no page";
}

// The norm of every tensor is 3: ½ · 0.1 · 9 for each of ten matrices, and with groups what those say.
TEST_F(ReportVerb, ThePenaltyIsOfEachTensorsOwnDecay) {
  make("plain"), make("none", {}, kMadeConfig + "decay = \"none\"\n");
  make("groups", {}, kMadeConfig + "group = [\"wte*: decay 0.4\", \"h.1.*: decay 0\", \"ln_f*: decay 0.2\"]\n");
  std::string const page = page_of({path("plain"), path("none"), path("groups")});
  for (char const* series : {R"("A","penalty",0,[4.5,)", R"("B","penalty",0,[0,)", R"("C","penalty",0,[4.95,)"})
    EXPECT_TRUE(has(page, series)) << series;
}

TEST_F(ReportVerb, SeveralRunsAreComparedAndWhatDiffersIsNamed) {
  std::string const a = make("a"), b = make("b", {.gap = [](int64_t s) { return 0.002 * double(s); }},
                                            kMadeConfig + "dropout = 0.2\nlr = 0.003\n");
  std::string const page = page_of({a, b});
  expect_sound(page);
  EXPECT_TRUE(has(page, "They differ in")) << "settings";
  EXPECT_TRUE(has(page, "<code>dropout</code>"));
  EXPECT_FALSE(has(page, "<code>heads</code>"));
  EXPECT_TRUE(has(page, "B learns its text by heart from step"));
  EXPECT_TRUE(has(page, "<td class=\"best\">"));
  std::string const numbers = page.substr(page.find("<section id=\"numbers\""));
  for (char const* neither : {"gap, val less train", "steps to half of it"}) {  // a smaller one is no better run
    size_t const row = numbers.find(neither);
    ASSERT_NE(row, numbers.npos);
    EXPECT_FALSE(has(numbers.substr(row, numbers.find("</tr>", row) - row), "class=\"best\"")) << neither;
  }
  EXPECT_EQ(count(page, "class=\"verdict"), 3u) << "two cards in their grid";
}

TEST_F(ReportVerb, LossesOfDifferentDataAreNotRanked) {
  std::string other = kMadeConfig;
  other.replace(other.find("plays"), 5, "poems");
  auto const low = [](int64_t s) { return 0.8 + 3 * std::exp(-double(s) / 150); };
  std::string const a = make("a"), again = make("again"), same = make("same", {.train = low}),
                    elsewhere = make("other", {.train = low}, other);
  auto const best_row_is_bold = [](std::string const& page) {
    size_t const row = page.find("best val loss");
    return has(page.substr(row, page.find("</tr>", row) - row), "class=\"best\"");
  };
  std::string const ranked = page_of({a, again, same});
  EXPECT_TRUE(has(ranked, "C reaches the lowest val loss"));
  EXPECT_TRUE(best_row_is_bold(ranked));
  std::string const page = page_of({a, again, elsewhere});
  EXPECT_FALSE(has(page, "reaches the lowest"));
  EXPECT_TRUE(has(page, "The runs read different data, so their losses do not compare"));
  EXPECT_FALSE(best_row_is_bold(page));
}

TEST_F(ReportVerb, ARateOfAllSitesIsOneSettingAndWhatFollowsFromOthersIsNone) {
  std::string const sites =
                        "embedding-dropout = 0.2\nattention-dropout = 0.2\nattention-residual-dropout = 0.2\n"
                        "mlp-residual-dropout = 0.2\n",
                    three = "dropout = 0.2\nweight-decay = 0.2\npatience = 5\n";
  std::string const a = make("a"), b = make("b", {}, kMadeConfig + sites + three + "warmup = 100\n"),
                    shorter = make("shorter", {}, kMadeConfig + "lr = 0.0005\nmin-lr = 0.00005\n");
  EXPECT_TRUE(has(page_of({a, b}), "They differ in weight-decay, dropout and patience") ||
              has(page_of({a, b}), "They differ in dropout, weight-decay and patience"));
  EXPECT_TRUE(has(page_of({a, shorter}), "They differ in lr<")) << "not in the floor, which is a tenth of it";
  EXPECT_TRUE(has(page_of({a, make("own", {}, kMadeConfig + "min-lr = 0.00002\n")}), "They differ in min-lr<"));
}

TEST_F(ReportVerb, TenRunsHaveFourHuesAndStayCompact) {
  std::vector<std::string> runs;
  for (int i = 0; i < 10; ++i)
    runs.push_back(make(fmt::format("r{}", i), {.gap = [i](int64_t s) { return s ? 0.02 * ((i * 7) % 10) : 0.0; }},
                        kMadeConfig + fmt::format("seed = {}\n", i)));
  std::string const page = page_of(runs);
  expect_sound(page);
  for (char const* key : {"chip a\">A", "chip b\">B", "chip more\">", "chip c", "chip d"})
    EXPECT_TRUE(has(page, key)) << key;
  EXPECT_LT(page.size(), 1'000'000u);
}

TEST_F(ReportVerb, WhatIsFromOutsideStaysText) {
  std::string const evil = "</script><script>alert(1)</script><b onload=\"x\">&amp;'\x01";
  std::string const name = "<img onerror=x>&\"'";
  make(name, {.sample = evil}, kMadeConfig + "tokenizer = \"<i>x</i>\"\n");
  std::string const page = page_of({path(name)});
  expect_sound(page);
  EXPECT_EQ(count(page, "<script>"), 1u) << "the read-out's";
  EXPECT_EQ(count(page, "<img"), 0u);
  EXPECT_EQ(count(page, "<i>x"), 0u);
  EXPECT_EQ(count(page, "<b onload"), 0u);
  EXPECT_TRUE(has(page, "&lt;img onerror=x&gt;&amp;&quot;&#39;"));
  EXPECT_TRUE(has(page, "&amp;amp;&#39;␁"));
}

TEST_F(ReportVerb, ARunThatBrokeIsDrawnUpToThere) {
  std::string const page = page_of({make("broke", {.steps = 620, .not_finite_from = 612})});
  expect_sound(page);
  EXPECT_TRUE(has(page, "not finite at 612"));
  EXPECT_TRUE(has(page, "breaks at step 612"));
  EXPECT_TRUE(has(page, "class=\"verdict bad\""));
}

TEST_F(ReportVerb, OverflowsOfF16AreCountedApartAndTheScaleIsDrawn) {
  MadeLog log{.steps = 300};
  log.loss_scale = [](int64_t s) { return s <= 40 ? 65536.0 : s <= 90 ? 32768.0 : 16384.0; };
  log.overflows = {40, 90};
  std::string const run_path = make("f16", log, kMadeConfig + "dtype = \"f16\"\n");
  std::string const page = page_of({run_path});
  expect_sound(page);
  EXPECT_TRUE(has(page, "2 steps skipped for overflow"));
  EXPECT_FALSE(has(page, "refused"));
  EXPECT_FALSE(has(page, "not finite at"));
  EXPECT_EQ(count(page, "<figure id=\"loss-scale\""), 1u);
  Json const r = parse_json(run({"report", run_path, "--json"}).out, "stdout")["runs"][0];
  EXPECT_EQ(r["overflowed"], 2);
  EXPECT_EQ(r["refused"], 0);
  EXPECT_FALSE(has(page_of({make("f32", {.steps = 300})}), "id=\"loss-scale\"")) << "only where there is one";
}

TEST_F(ReportVerb, ARunWithoutAStepSaysSo) {
  make_run(folder_ / "new", "", kMadeConfig);
  std::string page = page_of({path("new")});
  expect_sound(page);
  EXPECT_TRUE(has(page, "The run has no step yet"));
  EXPECT_TRUE(has(page, "No step yet."));
  EXPECT_FALSE(has(page, "href=\"#losses\""));
  EXPECT_TRUE(has(page, "href=\"#config\""));
  std::filesystem::remove(folder_ / "new" / "metrics.jsonl");
  page = page_of({path("new")});
  EXPECT_TRUE(has(page, "The run has no step yet"));
}

TEST_F(ReportVerb, ATornLastLineIsNamedAndTheRestIsDrawn) {
  std::string const log = made_log({.steps = 500});
  make_run(folder_ / "torn", log.substr(0, log.size() - 30), kMadeConfig);
  std::string const page = page_of({path("torn")});
  expect_sound(page);
  EXPECT_TRUE(has(page, "The log is damaged."));
  EXPECT_TRUE(has(last_.err, "has no end"));
  EXPECT_TRUE(has(page, "id=\"loss\""));
}

TEST_F(ReportVerb, AnOldLogIsReadAndANewerNamed) {
  std::string log = made_log({.steps = 300, .statistics_every = 0});
  make_run(folder_ / "old", log.substr(log.find('\n') + 1), kMadeConfig);
  std::string page = page_of({path("old")});
  expect_sound(page);
  EXPECT_FALSE(has(page, "href=\"#layers\"")) << "no statistics: no part, no link";
  make_run(folder_ / "newer", "{\"type\":\"format\",\"format\":\"folio-metrics\",\"version\":99}\n", kMadeConfig);
  page_of({path("newer")}, 65);
  EXPECT_TRUE(has(last_.err, "version 99"));
  page = page_of({path("old"), path("newer")});
  expect_sound(page);
  EXPECT_FALSE(has(page, "They differ")) << "of the newer nothing is known";
  EXPECT_TRUE(has(page, "version 99")) << "beside another it is named, and the other is drawn";
}

TEST_F(ReportVerb, AConfigThatCannotBeReadLeavesTheCurves) {
  make_run(folder_ / "odd", made_log({.steps = 200}), "version = 1\nno-such-key = 3\n");
  std::string const page = page_of({path("odd")});
  expect_sound(page);
  EXPECT_TRUE(has(page, "no-such-key"));
  EXPECT_TRUE(has(page, "id=\"loss\""));
  EXPECT_FALSE(has(page, "href=\"#config\""));
}

TEST_F(ReportVerb, AnEmptyOrTornConfigIsNamedAsDamage) {
  for (auto const& [config, what] : {std::pair{std::string(), "is empty"},
                                     {kMadeConfig.substr(0, kMadeConfig.size() - 3), "last line has no end"}}) {
    make_run(folder_ / "torn", made_log({.steps = 200}), config);
    std::string const page = page_of({path("torn")});
    expect_sound(page);
    EXPECT_TRUE(has(page, "config.toml is damaged")) << what;
    EXPECT_TRUE(has(last_.err, what)) << last_.err;
    EXPECT_FALSE(has(page, "The run is healthy")) << "of what options is not known";
  }
}

TEST_F(ReportVerb, ASweepIsToldFromARun) {
  make_folders(folder_ / "sweep" / "runs");
  write_file(folder_ / "sweep" / "sweep.json", "{}");
  page_of({path("sweep")}, 66);
  EXPECT_TRUE(has(last_.err, path("sweep") + "/runs/*/")) << last_.err;
}

TEST_F(ReportVerb, WithoutAValidationSplitNothingIsCalledVal) {
  std::string const page = page_of({make("no-val", {.steps = 300, .gap = [](int64_t) { return NAN; }})});
  expect_sound(page);
  for (char const* word : {"A val", "thick: val", "Thick: val", "best val", "first val loss", "val and train"})
    EXPECT_FALSE(has(page, word)) << word;
  EXPECT_TRUE(has(page, "Rings: best train"));
}

TEST_F(ReportVerb, ThePageSaysWhatTheRunSaidAtItsLastStep) {
  train::Finding const said{.state = train::State::rate_too_low, .step = 300, .since = 250, .evidence = {"as logged"}};
  make_run(folder_ / "said", made_log({.steps = 300}) + dump(to_json(said)) + "\n", kMadeConfig);
  Json const r = parse_json(run({"report", path("said"), "--json"}).out, "stdout")["runs"][0];
  EXPECT_EQ(r["diagnosis"][0], to_json(said)) << dump(r["diagnosis"]);
  EXPECT_TRUE(has(page_of({path("said")}), "as logged"));
}

TEST_F(ReportVerb, NumbersOutOfAllBoundsEnd) {
  std::string log = made_log({.steps = 50, .eval_every = 10});
  for (char const* more : {R"({"type":"step","step":51,"loss":1e308,"rate":1e308,"norm":1e308,"seconds":1.7e308,)"
                           R"("tokens_per_second":1e308,"memory_bytes":1e308})",
                           R"({"type":"step","step":52,"loss":1e-320,"rate":1e30,"norm":1e-320})"})
    log += std::string(more) + "\n";
  make_run(folder_ / "far", log, kMadeConfig);
  std::string const page = page_of({path("far")});
  expect_sound(page);
  for (char const* no : {"nan%", "inf%", "NaN"}) EXPECT_FALSE(has(page, no)) << no;
}

TEST_F(ReportVerb, NumbersOutOfAnyOrderDrawNothingWild) {
  make_run(folder_ / "wild",
           made_log({.steps = 50, .eval_every = 10}) +
               "{\"type\":\"step\",\"step\":-5,\"loss\":1e308,\"rate\":-1,\"norm\":1e308}\n"
               "{\"type\":\"step\",\"step\":9000000000000000000,\"loss\":-3,\"rate\":0,\"norm\":0}\n"
               "{\"type\":\"eval\",\"step\":9000000000000000001,\"train\":-1,\"val\":1e308}\n"
               "{\"type\":\"statistics\",\"step\":3,\"tensors\":{\"x\":{}},\"quiet\":[null]}\n",
           kMadeConfig);
  expect_sound(page_of({path("wild")}));
}

TEST_F(ReportVerb, AReadOutHasTheValuesOfTheLine) {
  MadeLog log{.steps = 400};
  log.train = [](int64_t s) { return s % 2 ? 3.0 : 2.0; };
  std::string const page = page_of({make("saw", log)}), name = R"("A","train",)";
  size_t const at = page.find(name);
  ASSERT_NE(at, page.npos);
  size_t const end = page.find(']', at);
  EXPECT_EQ(page.substr(end - 10, 10), ",2.91,1.96") << "each step, not the mean of two";
}

// The pace of the made log is that of converging from its evaluation at step 1,000 on.
TEST_F(ReportVerb, ALossThatLevelsOffAtTheLastEvaluationOnlyBeginsTo) {
  EXPECT_TRUE(has(page_of({make("ends")}), "The loss begins to level off at step 1,000"));
  EXPECT_TRUE(has(page_of({make("goes-on", {.steps = 1100})}), "The loss levels off from step 1,000"));
}

TEST_F(ReportVerb, ALossThatIsLostIsWrittenShort) {
  MadeLog log{.steps = 400};
  log.train = [](int64_t s) { return s < 300 ? 4.0 : 2.4e15; };
  std::string const page = page_of({make("lost", log)});
  EXPECT_TRUE(has(page, ">2.4e15<"));
  EXPECT_FALSE(has(page, "2400000000000000"));
  EXPECT_TRUE(has(last_.out, "2.4e+15"));
}

TEST_F(ReportVerb, AHundredThousandStepsStaySmall) {
  std::string const page = page_of({make("long", {.steps = 100'000, .eval_every = 250, .layers = 12})});
  EXPECT_LT(page.size(), 400'000u);
}

TEST_F(ReportVerb, RefusesWhatIsNoRunAndReplacesThePageWhole) {
  page_of({path("nowhere")}, 66);
  EXPECT_TRUE(has(last_.err, "is not a run"));
  std::string const first = make("first");
  write_file(folder_ / "page.html", "before");
  EXPECT_TRUE(page_of({first}).starts_with("<!DOCTYPE html>"));
  EXPECT_EQ(run({"report"}).code, 2);
}

}  // namespace
}  // namespace folio::test

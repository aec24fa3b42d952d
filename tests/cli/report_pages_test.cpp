// Reports as a browser draws them, at 1,280 and 390 px, light, dark and printed: nothing beside the page, no texts on
// each other, no word on the console, nothing fetched. Needs Chromium (tools/page_shots).
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/files.h"
#include "tests/support/logs.h"
#include "tests/support/program.h"
#include "tests/support/runs.h"

namespace folio::test {
namespace {

class Pages : public testing::Test {
 protected:
  std::string path(std::string const& name) const { return (folder_ / name).string(); }
  std::string make(std::string const& name, MadeLog const& log, std::string const& more = "") {
    make_run(folder_ / name, made_log(log), kMadeConfig + more);
    return path(name);
  }
  // Draws a page of the runs; what page_shots said of each view. Skips where there is no Chromium.
  std::vector<Json> drawn(std::vector<std::string> words) {
    words.insert(words.begin(), "report");
    words.push_back("--out"), words.push_back(path("page.html"));
    Ended const e = run(words);
    EXPECT_EQ(e.code, 0) << e.err;
    return looked_at();
  }
  // page.html.
  std::vector<Json> looked_at() {
    std::string const command = "'" + std::string(std::getenv("FOLIO_SOURCE")) + "/tools/page_shots' '" +
                                path("page.html") + "' --out '" + path("shots") + "' > '" + path("said") + "' 2> '" +
                                path("err") + "'";
    int const status = std::system(command.c_str());
    skipped_ = WEXITSTATUS(status) == 77;
    std::vector<Json> views;
    if (skipped_) return views;
    EXPECT_EQ(WEXITSTATUS(status), 0) << read_file(path("said")) << read_file(path("err"));
    std::ifstream said(path("said"));
    for (std::string line; std::getline(said, line);) views.push_back(parse_json(line, "page_shots"));
    return views;
  }
  ScratchFolder folder_;
  bool skipped_ = false;
};

#define SKIP_WITHOUT_CHROMIUM() \
  if (skipped_) GTEST_SKIP() << "there is no Chromium on this machine: pages were not looked at"

TEST_F(Pages, OfTwoRunsReadWellAtEveryWidth) {
  auto const views =
      drawn({make("baseline", {.sample = "To be, or not."}),
             make("without-any-dropout-and-with-a-long-name",
                  {.gap = [](int64_t s) { return 0.002 * double(s); }, .sample = "To be."}, "dropout = 0.2\n")});
  SKIP_WITHOUT_CHROMIUM();
  ASSERT_EQ(views.size(), 5u);
  for (Json const& v : views) EXPECT_EQ(v["good"], true) << dump(v);
  EXPECT_EQ(views[0]["background"], "rgb(252, 251, 248)");
  EXPECT_EQ(views[1]["background"], "rgb(22, 21, 18)") << "dark where the reader's machine is";
  EXPECT_EQ(views[2]["width"], 390);
  // The read-out: one cursor on each chart by step, the keys too, and at rest what stood there.
  Json const& hover = views[0]["hover"];
  EXPECT_GT(hover["cursors"].get<int>(), 10);
  EXPECT_NE(hover["said"].get<std::string>().find("step 500"), std::string::npos) << dump(hover);
  EXPECT_NE(hover["keyed"].get<std::string>().find("step 990"), std::string::npos) << dump(hover);
  EXPECT_EQ(hover["rested"], true);
  EXPECT_GT(views[4]["bytes"].get<int>(), 50'000) << "the PDF";
  for (char const* name : {"page-1280-light-1.png", "page-1280-dark-1.png", "page-390-light-1.png", "page.pdf"})
    EXPECT_GT(std::filesystem::file_size(folder_ / "shots" / name), 20'000u) << name;
}

TEST_F(Pages, OfTenRunsReadWellAtEveryWidth) {
  std::vector<std::string> runs;
  for (int i = 0; i < 10; ++i)
    runs.push_back(make(fmt::format("r{}", i), {.gap = [i](int64_t s) { return s ? 0.02 * ((i * 7) % 10) : 0.0; }},
                        fmt::format("seed = {}\ndropout = {}\n", i, 0.05 * i)));
  for (Json const& v : drawn(runs)) EXPECT_EQ(v["good"], true) << dump(v);
  SKIP_WITHOUT_CHROMIUM();
}

TEST_F(Pages, OfRunsThatBrokeOrHaveNoStepReadWell) {
  make_run(folder_ / "new", "", kMadeConfig);
  for (auto const& runs : std::vector<std::vector<std::string>>{
           {make("broke", {.steps = 620, .not_finite_from = 612})}, {path("new")}, {path("broke"), path("new")}}) {
    for (Json const& v : drawn(runs)) EXPECT_EQ(v["good"], true) << dump(v);
    SKIP_WITHOUT_CHROMIUM();
  }
}

TEST_F(Pages, OfSweepsReadWellAtEveryWidth) {
  write_file(folder_ / "text.txt", speeches());
  write_file(folder_ / "s.toml",
             "layers = 1\nheads = 1\nembd = 8\ncontext = 8\nbatch = 2\nsteps = 20\neval-every = 5\nstats-every = 5\n"
             "eval-batches = \"1\"\nseeds = [1, 2]\n[random]\nruns = 9\nlr = { log-uniform = [1e-4, 1e-1] }\n"
             "dropout = { uniform = [0, 0.4] }\nweight-decay = { choice = [0.1, 0.01] }\n[[list]]\n"
             "name = \"a setting with a long name that says all of what it is for\"\nlr = 9.0\nmin-lr = 9.0\n"
             "[halving]\nfirst = 5\neta = 2\n");
  Ended const e = run({"sweep", path("s.toml"), "--data", path("text.txt"), "--out", path("sweep"), "--threads", "1"});
  ASSERT_EQ(e.code, 0) << e.err;
  std::string const page = read_file(folder_ / "sweep" / "sweep.html");
  write_file(folder_ / "page.html", page);
  for (Json const& v : looked_at()) EXPECT_EQ(v["good"], true) << dump(v);
  size_t links = 0;
  for (size_t at = 0; (at = page.find("href=\"runs/", at)) != page.npos; ++links) {
    at += 6;
    EXPECT_TRUE(std::filesystem::exists(folder_ / "sweep" / page.substr(at, page.find('"', at) - at)));
  }
  EXPECT_GE(links, 9u);
  SKIP_WITHOUT_CHROMIUM();
}

}  // namespace
}  // namespace folio::test

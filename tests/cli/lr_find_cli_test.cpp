// folio lr-find: the rate it names learns, what it prints, what it refuses, and that it leaves nothing behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/runs.h"

namespace folio {
namespace {

using test::Ended;
using test::run;

class LrFind : public test::Runs {
 protected:
  LrFind() : Runs("--layers 1 --heads 2 --embd 16 --context 16 --batch 4 --steps 80 --warmup 5") {
    make_folders(folder / "scratch");
  }
  Ended find(std::vector<std::string> const& more, std::string const& verb = "lr-find") const {
    return run(command("", more, verb), {.set = {{"TMPDIR", at("scratch")}}});
  }
  // The last validation loss of a run at this rate; infinite where it is no number.
  double val(std::string const& rate) const {
    int const code = find({"--out", at(rate), "--lr", rate, "--eval-every", "80", "--json"}, "train").code;
    EXPECT_TRUE(code == 0 || code == 3) << code;
    double last = INFINITY;
    for (Json const& e : lines(rate, "eval"))
      if (e["step"] == 80) last = e["val"].is_number() ? e["val"].get<double>() : INFINITY;
    return last;
  }
};

TEST_F(LrFind, NamesARateThatLearnsBetterThanOnesFarFromIt) {
  Ended const ended = find({"--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  Json const json = parse_json(ended.out, "");
  double const rate = json["rate"].get<double>();
  double const bound = std::min(json["risen"].get<double>() / 4.5, json["lowest"].get<double>());
  EXPECT_NEAR(rate, bound, 0.05 * bound);
  EXPECT_GT(json["risen"], json["lowest"]);
  EXPECT_EQ(json["curves"].size(), 3u);
  EXPECT_EQ(parse_json(find({"--json"}).out, ""), json);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch"));
  double const named = val(fmt::format("{}", rate));
  EXPECT_LT(named, val(fmt::format("{}", rate / 100)));
  EXPECT_LT(named, val(fmt::format("{}", rate * 30)));
}

TEST_F(LrFind, AStepThatTheScalerSkipsDoesNotEndTheSearch) {
  Ended const ended = find({"--json", "--dtype", "f16", "--loss-scale", "1099511627776"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  Json const json = parse_json(ended.out, ""), wide = parse_json(find({"--json", "--dtype", "f32"}).out, "");
  EXPECT_NEAR(std::log10(json["rate"].get<double>()), std::log10(wide["rate"].get<double>()), 0.3);
}

TEST_F(LrFind, SaysWhichRateAndWhy) {
  Ended const ended = find({});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("--lr "), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("times below"), std::string::npos) << ended.out;
}

TEST_F(LrFind, DrawsWhatItFound) {
  ASSERT_EQ(find({"--out", at("rate.svg")}).code, 0);
  std::string const svg = read_file(folder / "rate.svg");
  for (char const* part : {"<svg ", "A learning rate of ", "To paste: --lr ", "a line a seed"})
    EXPECT_NE(svg.find(part), std::string::npos) << part;
}

TEST_F(LrFind, SearchesFromAModelToo) {
  ASSERT_EQ(find({"--out", at("run"), "--lr", "1e-2"}, "train").code, 0);
  Ended const ended = run({"lr-find", "--data", at("text.txt"), "--from", at("run"), "--batch", "4", "--json"},
                          {.set = {{"TMPDIR", at("scratch")}}});
  if (ended.code == 1) {  // a model that has learnt the text may have nothing to gain
    EXPECT_NE(ended.err.find("fell nowhere"), std::string::npos) << ended.err;
    return;
  }
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_LT(parse_json(ended.out, "")["curves"][0][0][1].get<double>(), 2.6);  // ln 24 is 3.2
}

TEST_F(LrFind, RefusesWhatItCannotSearch) {
  for (auto const& [more, code, says] : std::vector<std::tuple<std::vector<std::string>, int, char const*>>{
           {{"--from-rate", "1e-3", "--to-rate", "2e-3"}, 78, "factor of ten"},
           {{"--search-steps", "5"}, 78, "--search-steps"},
           {{"--data", at("nowhere")}, 66, "does not exist"},
           {{"--heads", "3"}, 78, "heads 3"},
           {{"--to-rat", "1"}, 2, "--to-rate"}}) {
    Ended const ended = find(more);
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_NE(ended.err.find(says), std::string::npos) << ended.err;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch"));
}

}  // namespace
}  // namespace folio

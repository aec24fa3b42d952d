// bench as a shell runs it, on a model small enough for a test: its rows, and where a step's time goes.
#include <nlohmann/json.hpp>
#include <set>

#include "core/json.h"
#include "tests/support/program.h"

namespace folio::test {
namespace {

std::vector<std::string> small(std::vector<std::string> more) {
  std::vector<std::string> all = {"bench",   "train", "--layers", "2",  "--heads",   "2",
                                  "--embd",  "16",    "--vocab",  "50", "--context", "8",
                                  "--batch", "2",     "--repeat", "3",  "--json"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(BenchVerb, AProfileDividesAStepAmongItsOps) {
  Ended const plain = run(small({})), profiled = run(small({"--profile", "--dropout", "0.1"}));
  ASSERT_EQ(plain.code, 0) << plain.err;
  ASSERT_EQ(profiled.code, 0) << profiled.err;
  EXPECT_EQ(Json::parse(plain.out)["rows"].size(), 2u);
  double percent = 0;
  std::set<std::string> ops;
  Json const json = Json::parse(profiled.out);
  for (Json const& row : json["rows"])
    if (row["unit"] == "%") {
      percent += row["value"].get<double>();
      EXPECT_GT(row["seconds"].get<double>(), 0);
      ops.insert(row["name"]);
    }
  EXPECT_NEAR(percent, 100, 1e-6);
  for (char const* op : {"  attention, forward × 2", "  attention_backward, backward × 2", "  classifier, forward × 1",
                         "  linear_gelu_backward, backward × 2", "  decide_step, update × 1"})
    EXPECT_TRUE(ops.contains(op)) << op;
}

}  // namespace
}  // namespace folio::test

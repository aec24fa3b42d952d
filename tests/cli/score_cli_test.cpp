// folio score as a shell runs it: JSON against the model's own scores, the table, the page, and what it refuses.
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "model/checkpoint.h"
#include "model/score.h"
#include "report/table.h"
#include "tests/support/files.h"
#include "tests/support/formula_weights.h"
#include "tests/support/program.h"
#include "tests/support/reader.h"
#include "text/tokenizer.h"

namespace folio::test {
namespace {

// Characters of which two are spread over bytes, markup, and a byte that is no UTF-8.
std::string const kText = "to be </script><b>&amp; \"not\" \xed\x95\x9c\n\xff tails, to be or not to be";

Json data_of(std::string const& page) {
  std::string const open = "<script type=\"application/json\" id=\"tokens\">";
  size_t const at = page.find(open) + open.size();
  return parse_json(page.substr(at, page.find("</script>", at) - at), "data");
}

class ScoreVerb : public testing::Test {
 protected:
  ScoreVerb() {
    auto const tokenizer = text::make_char_tokenizer(kText);
    model::Config const c{.layers = 2,
                          .heads = 2,
                          .channels = 8,
                          .vocab = tokenizer->vocab(),
                          .context = 12,
                          .bias = true,
                          .tied = true,
                          .dropout = {}};
    Reader reader(*backend_, c, DType::f32);
    set_formula_weights(*backend_, reader.weights(), 5, 4);
    for (char const* name : {"model", "bare"}) {
      make_folders(folder_ / name);
      model::save_model(folder_ / name, *backend_, reader.weights(), {.tokenizer = "char"},
                        name == std::string("model") ? tokenizer->files() : std::vector<Attachment>{});
    }
    write_file(folder_ / "text.txt", kText);
    ids_ = tokenizer->encode(kText);
    scores_ = model::score(*backend_, reader.weights(), ids_, {.top = 2});
  }
  std::string path(std::string const& name) const { return (folder_ / name).string(); }
  std::vector<std::string> words(std::vector<std::string> more) const {
    std::vector<std::string> all = {"score",     path("model"), "--text",  path("text.txt"),
                                    "--threads", "1",           "--dtype", "f32"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void expect_refusal(std::vector<std::string> const& all, int code, std::string const& part, std::string input = "") {
    Ended const e = run(all, {.input = std::move(input)});
    EXPECT_EQ(e.code, code) << e.err;
    EXPECT_EQ(e.out, "");
    EXPECT_NE(e.err.find(part), std::string::npos) << part << " in " << e.err;
  }
  std::unique_ptr<Backend> backend_ = make_reference_backend();
  ScratchFolder folder_;
  std::vector<int32_t> ids_;
  model::TextScores scores_;
};

TEST_F(ScoreVerb, JsonHasEachTokensScore) {
  Ended const e = run(words({"--top", "2", "--json"}));
  ASSERT_EQ(e.code, 0) << e.err;
  Json const j = parse_json(e.out, "stdout");
  EXPECT_NEAR(j["mean_loss"].get<double>(), scores_.mean_loss(), 1e-5);
  EXPECT_EQ(j["scored"], scores_.scored());
  EXPECT_EQ(j["slide"], 6);
  EXPECT_EQ(j["dtype"], "f32");
  ASSERT_EQ(j["tokens"].size(), ids_.size());
  for (char const* key : {"logprob", "rank", "rivals"}) EXPECT_TRUE(j["tokens"][0][key].is_null()) << key;
  for (size_t i = 1; i < ids_.size(); ++i) {
    Json const& t = j["tokens"][i];
    EXPECT_EQ(t["id"], ids_[i]);
    EXPECT_NEAR(t["logprob"].get<double>(), scores_.logprobs[i], 1e-5);
    EXPECT_EQ(t["rank"], scores_.ranks[i]);
    ASSERT_EQ(t["rivals"].size(), 2u);
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(t["rivals"][k]["id"], scores_.rivals_of(i)[k].id);
      EXPECT_NEAR(t["rivals"][k]["logprob"].get<double>(), scores_.rivals_of(i)[k].logprob, 1e-5);
    }
  }
  size_t broken = 0;
  for (Json const& t : j["tokens"])
    if (t.contains("bytes")) {
      ++broken;
      EXPECT_EQ(t["bytes"], Json({0xff}));
      EXPECT_EQ(t["text"], "\xef\xbf\xbd");
    }
  EXPECT_EQ(broken, 1u);
  Ended const piped =
      run({"score", path("model"), "--text", "-", "--threads", "1", "--dtype", "f32", "--top", "2", "--json"},
          {.input = kText});
  EXPECT_EQ(piped.out, e.out);
}

TEST_F(ScoreVerb, TheTableIsOfEightyColumns) {
  Ended const e = run(words({}));
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.out.find('\x1b'), std::string::npos);
  size_t lines = 0;
  for (size_t at = 0, end; at < e.out.size(); at = end + 1, ++lines) {
    end = e.out.find('\n', at);
    EXPECT_LE(report::display_width(e.out.substr(at, end - at)), 80u) << e.out.substr(at, end - at);
  }
  EXPECT_GT(lines, ids_.size());
  EXPECT_NE(e.out.find("\"\\xff\""), std::string::npos);
  EXPECT_NE(e.out.find("mean loss"), std::string::npos);
}

TEST_F(ScoreVerb, ThePageHoldsTheTextAndNothingElseThatActs) {
  Ended const e = run(words({"--out", path("page.html"), "--quiet"}));
  ASSERT_EQ(e.code, 0) << e.err;
  std::string const page = read_file(path("page.html"));
  auto const count = [&](std::string const& part) {
    size_t n = 0;
    for (size_t at = page.find(part); at != page.npos; at = page.find(part, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("<script"), 2u);  // data and read-out
  EXPECT_EQ(count("</script>"), 2u);
  EXPECT_EQ(count("<b>&amp;"), 0u);
  EXPECT_EQ(count("data-i=\""), ids_.size());
  EXPECT_EQ(count("http://") + count("https://") + count("src=") + count("url("), 0u);
  EXPECT_NE(page.find("<i>\\xff</i>"), page.npos);
  Json const data = data_of(page);
  EXPECT_EQ(data.size(), ids_.size());
  EXPECT_TRUE(data[0][1].is_null());
  EXPECT_NEAR(data[1][1].get<double>(), -scores_.logprobs[1], 1e-5);
}

TEST_F(ScoreVerb, APageOfALongTextShowsItsBeginning) {
  constexpr size_t kShown = 20'000;
  std::string text;
  while (text.size() < kShown) text += "to be or not\n";
  text.resize(kShown);
  text += " tails";
  write_file(folder_ / "long.txt", text);
  std::vector<std::string> const all = {"score",   path("model"), "--text",    path("long.txt"),
                                        "--slide", "12",          "--out",     path("long.html"),
                                        "--top",   "21",          "--threads", "1"};
  Ended const e = run(all);
  ASSERT_EQ(e.code, 0) << e.err;
  std::string const sentence = "the first 20,000 of 20,006 tokens and 20 of the 21 rivals of each token";
  EXPECT_NE(e.err.find(sentence), std::string::npos) << e.err;
  std::string const page = read_file(path("long.html"));
  EXPECT_NE(page.find("Shown are " + sentence), page.npos);
  EXPECT_NE(page.find("data-i=\"19999\""), page.npos);
  EXPECT_EQ(page.find("data-i=\"20000\""), page.npos);
  EXPECT_NE(page.find("data-tokens=\"20006\""), page.npos);
  EXPECT_NE(page.find("<dd>20,005</dd><dt>tokens scored</dt>"), page.npos);
  Json const data = data_of(page);
  ASSERT_EQ(data.size(), kShown);
  EXPECT_EQ(data[1][3].size(), 20u);
  EXPECT_EQ(run(words({"--out", path("short.html")})).err.find("shows"), std::string::npos);
}

TEST_F(ScoreVerb, RefusesWithASentence) {
  expect_refusal({"score", path("model")}, 2, "--text");
  expect_refusal({"score", path("model"), "--text", path("nowhere")}, 66, "nowhere");
  expect_refusal({"score", path("model"), "--text", "-"}, 65, "stdin is empty");
  expect_refusal({"score", path("model"), "--text", "-"}, 65, "at least two", "t");
  expect_refusal({"score", path("model"), "--text", "-"}, 65, "U+005A", "toZ");
  expect_refusal({"score", path("bare"), "--text", path("text.txt")}, 66, "no tokenizer");
  expect_refusal(words({"--top", std::to_string(ids_.size())}), 78, "--top");
  expect_refusal(words({"--top", "-1"}), 78, "top");
  expect_refusal(words({"--slide", "13"}), 78, "--slide 13");
  expect_refusal(words({"--out", path("model")}), 73, "is a folder");
  expect_refusal(words({"--out", path("nowhere/page.html")}), 74, "nowhere/page.html");
  expect_refusal({"score", path("bare"), "--text", path("text.txt"), "--out", path("nowhere/page.html")}, 74,
                 "nowhere/page.html");  // before the model is looked at
  expect_refusal({"score", path("model"), "--text", path("text.txt"), "--out", path("text.txt")}, 78, "overwritten");
  EXPECT_EQ(read_file(path("text.txt")), kText);
  expect_refusal({"score", path("text.txt"), "--text", path("text.txt")}, 65, "is a text, not a model");
}

}  // namespace
}  // namespace folio::test

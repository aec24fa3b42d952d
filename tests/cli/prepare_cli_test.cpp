// folio prepare as a shell runs it: what it prints where, and its exit codes.
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "data/dataset.h"
#include "tests/data/data_support.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

namespace folio::test {
namespace {

class PrepareVerb : public testing::Test {
 protected:
  Ended prepare(std::vector<std::string> words, std::string const& input = "") {
    words.insert(words.begin(), "prepare");
    return run(words,
               {.input = input, .set = {{"FOLIO_VAL", ""}, {"FOLIO_TOKENIZER", ""}}, .folder = folder.path().string()});
  }
  void expect_refused(int code, std::string const& part, std::vector<std::string> const& words,
                      std::string const& input = "") {
    auto const before = folder.names();
    Ended const ended = prepare(words, input);
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err.find(part), std::string::npos) << "\"" << part << "\" is not in: " << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << "one sentence: " << ended.err;
    EXPECT_EQ(folder.names(), before) << "something was left";
  }
  ScratchFolder folder;
};

TEST_F(PrepareVerb, WritesDataAndSaysWhatIsInIt) {
  put(folder / "in.txt", std::string(900, 'a') + std::string(100, 'b'));
  Ended const ended = prepare({"in.txt", "--tokenizer", "char", "--out", "data"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  for (char const* part : {"data: tokenizer char, 2 ids", "train     900", "val       100", "10 %"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << " is not in:\n" << ended.out;
  EXPECT_EQ(data::Dataset(folder / "data").split("train").tokens(), 900);
}

TEST_F(PrepareVerb, JsonIsOneObject) {
  put(folder / "in.txt", std::string(1000, 'a'));
  Ended const ended = prepare({"in.txt", "--json", "--out", "data"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  Json const j = parse_json(ended.out, "stdout");
  EXPECT_EQ(j["data"], "data");
  EXPECT_EQ(j["tokenizer"], "char");
  EXPECT_EQ(j["splits"]["val"]["tokens"], 100);
  EXPECT_EQ(j["splits"]["train"]["text_bytes"], 900);
  EXPECT_NE(ended.err.find("tokenizer: char"), std::string::npos) << "what was chosen is said";
  EXPECT_EQ(prepare({"in.txt", "--json", "--quiet", "--out", "quiet"}).err, "");
}

TEST_F(PrepareVerb, ReadsStdinFilesAndFoldersTogether) {
  put(folder.path() / "plays/b.txt", "beta");
  put(folder.path() / "plays/a.txt", "alpha");
  put(folder / "more.md", "more");
  Ended const ended =
      prepare({"-", "plays", "more.md", "--tokenizer", "char", "--val", "0", "--out", "data"}, "stdin\xff");
  ASSERT_EQ(ended.code, 0) << ended.err;
  data::Dataset const data(folder / "data");
  auto const tokenizer = text::load_tokenizer((folder / "data/tokenizer").string());
  EXPECT_EQ(tokenizer->decode(all_of(data.split("train"))),
            "stdin\xff"
            "alphabetamore");
  EXPECT_EQ(data.split("train").documents(), 4);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"data", "more.md", "plays"}));
  EXPECT_FALSE(std::filesystem::exists(folder / "data/spool"));
}

TEST_F(PrepareVerb, ASeparatorAndDrawnDocuments) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "story " + std::to_string(i) + "<|endoftext|>";
  Ended const ended = prepare({"-", "--tokenizer", "char", "--separator", "<|endoftext|>", "--val-by", "documents",
                               "--val", "0.2", "--seed", "3", "--out", "data"},
                              text);
  ASSERT_EQ(ended.code, 0) << ended.err;
  data::Dataset const data(folder / "data");
  EXPECT_EQ(data.split("train").documents() + data.split("val").documents(), 50);
  EXPECT_EQ(data.split("val").documents(), 10);
}

TEST_F(PrepareVerb, RefusesWithOneSentenceAndTheRightCode) {
  put(folder / "in.txt", std::string(1000, 'a'));
  put(folder / "empty.txt", "");
  put(folder.path() / "none/readme.md", "x");
  put(folder.path() / "there/x", "x");
  expect_refused(2, "--out", {"in.txt"});
  expect_refused(2, "TEXT", {"--out", "data"});
  expect_refused(2, "did you mean", {"in.txt", "--vall", "0.1", "--out", "data"});
  expect_refused(2, "--val", {"in.txt", "--val", "some", "--out", "data"});
  expect_refused(2, "--separator", {"in.txt", "--separator", "\\q", "--out", "data"});
  expect_refused(65, "empty.txt is empty", {"empty.txt", "--out", "data"});
  expect_refused(65, "stdin is empty", {"-", "--out", "data"});
  expect_refused(65, "without .txt files", {"none", "--out", "data"});
  expect_refused(65, "one document", {"in.txt", "--val-by", "documents", "--tokenizer", "char", "--out", "data"});
  expect_refused(66, "nothere.txt does not exist", {"nothere.txt", "--out", "data"});
  expect_refused(66, "no tokenizer", {"in.txt", "--tokenizer", "nothere", "--out", "data"});
  expect_refused(73, "there exists", {"in.txt", "--tokenizer", "char", "--out", "there"});
  expect_refused(78, "--val", {"in.txt", "--val", "1", "--out", "data"});
  expect_refused(78, "--val", {"in.txt", "--val", "-0.1", "--out", "data"});
  expect_refused(78, "val-by", {"in.txt", "--val-by", "chance", "--out", "data"});
  expect_refused(78, "contradicts", {"in.txt", "--val", "0.2", "--val-files", "in.txt", "--out", "data"});
  expect_refused(78, "given twice", {"in.txt", "./in.txt", "--out", "data"});
}

TEST_F(PrepareVerb, HelpHasAnExample) {
  Ended const ended = prepare({"--help"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_NE(ended.out.find("folio prepare input.txt --tokenizer char --out"), std::string::npos);
}

}  // namespace
}  // namespace folio::test

// Every kind of file of a newer version than this folio knows is refused: exit 65, and a sentence with both versions.
#include "model/checkpoint.h"
#include "tests/support/runs.h"

namespace folio::test {
namespace {

using Words = std::vector<std::string>;

class Versions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new ScratchFolder;
    write_file(*folder / "text.txt", speeches());
    ASSERT_EQ(run({"prepare", at("text.txt"), "--tokenizer", "char", "--out", at("data")}).code, 0);
    ASSERT_EQ(run({"train",   "--data",   at("data"), "--out",        at("run"),   "--layers",     "1",
                   "--heads", "1",        "--embd",   "16",           "--context", "16",           "--steps",
                   "10",      "--warmup", "0",        "--eval-every", "5",         "--stop-after", "6"})
                  .code,
              75);
  }
  static void TearDownTestSuite() { delete folder; }
  static std::string at(std::string const& name) { return (*folder / name).string(); }
  static Path checkpoint() { return last_checkpoint(*folder / "run"); }

  // With `was` replaced by `is` in the file, the program refuses; afterwards the file is as it was.
  static void expect_refused(Path const& file, std::string const& was, std::string const& is, Words const& words,
                             std::string const& newer = "2", std::string const& known = "1") {
    std::string const content = read_file(file);
    size_t const place = content.find(was);
    ASSERT_NE(place, std::string::npos) << file;
    write_file(file, std::string(content).replace(place, was.size(), is));
    bool const in_checkpoint = file.parent_path() == checkpoint() && file.filename() != "manifest.json";
    if (in_checkpoint) model::write_manifest(checkpoint());
    Ended const ended = run(words);
    EXPECT_EQ(ended.code, 65) << file << ": " << ended.err;
    EXPECT_NE(ended.err.find("version " + newer), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find(known, ended.err.find("version " + newer) + newer.size() + 8), std::string::npos)
        << ended.err;
    EXPECT_NE(ended.err.find(file.filename().string()), std::string::npos) << "the file is named: " << ended.err;
    write_file(file, content);
    if (in_checkpoint) model::write_manifest(checkpoint());
  }

  static inline ScratchFolder* folder = nullptr;
};

TEST_F(Versions, OfARunThatAreNewerAreRefused) {
  Words const resume = {"train", "--out", at("run"), "--resume"};
  expect_refused(checkpoint() / "state.json", R"("version": 1)", R"("version": 2)", resume);
  Path const state = checkpoint() / "state.json";
  std::string const content = read_file(state);
  write_file(state, std::string(content).replace(content.find(R"("version": 1)"), 12, R"("version": 2)"));
  expect_refused(checkpoint() / "manifest.json", R"("version": 1)", R"("version": 2)", resume);
  write_file(state, content);
  expect_refused(*folder / "run" / "config.toml", "version = 1", "version = 2", resume);
  expect_refused(*folder / "run" / "metrics.jsonl", R"("version":2)", R"("version":3)", resume, "3", "2");
  expect_refused(*folder / "run" / "best.json", R"("version": 1)", R"("version": 2)",
                 {"generate", at("run"), "--prompt", "a", "--max-new-tokens", "1"});
  EXPECT_TRUE(std::filesystem::exists(checkpoint())) << "a newer checkpoint is not set aside";
  EXPECT_EQ(run(resume).code, 0) << "as it was";
}

TEST_F(Versions, ThatThereNeverWereAreRefused) {
  Words const resume = {"train", "--out", at("run"), "--resume"};
  for (std::string const none : {"0", "-3"}) {
    std::string const is = R"("version": )" + none, was = R"("version": 1)";
    expect_refused(checkpoint() / "state.json", was, is, resume, none);
    expect_refused(checkpoint() / "manifest.json", was, is,
                   {"generate", checkpoint().string(), "--prompt", "a", "--max-new-tokens", "1"}, none);
    expect_refused(checkpoint() / "config.json", was, is,
                   {"generate", checkpoint().string(), "--prompt", "a", "--max-new-tokens", "1"}, none);
    expect_refused(*folder / "run" / "config.toml", "version = 1", "version = " + none, resume, none);
    expect_refused(*folder / "run" / "metrics.jsonl", R"("version":2)", R"("version":)" + none, resume, none);
    expect_refused(*folder / "run" / "best.json", was, is,
                   {"generate", at("run"), "--prompt", "a", "--max-new-tokens", "1"}, none);
  }
  Path const config = *folder / "run" / "config.toml";
  std::string const content = read_file(config);
  write_file(config, std::string(content).replace(content.find("version = 1"), 11, "version = \"1\""));
  Ended const ended = run(resume);
  EXPECT_EQ(ended.code, 65);
  EXPECT_NE(ended.err.find("line 1, version: expected a whole number"), std::string::npos) << ended.err;
  write_file(config, content);
}

TEST_F(Versions, OfConfigurationsDataTokenizersAndModelsThatAreNewerAreRefused) {
  Path const config = *folder / "run" / "config.toml";
  expect_refused(config, "version = 1", "version = 9",
                 {"train", "--config", config.string(), "--data", at("data"), "--out", at("other")}, "9");
  Words const train = {"train", "--data", at("data"), "--out", at("other"), "--steps", "1"};
  expect_refused(*folder / "data" / "manifest.json", R"("version": 1)", R"("version": 2)", train);
  std::string const magic = "FOLIOTOK";
  expect_refused(*folder / "data" / "train-00000.bin", magic + std::string("\1\0", 2), magic + std::string("\2\0", 2),
                 train);
  expect_refused(*folder / "data" / "tokenizer" / "tokenizer.json", R"("version":"1.0")", R"("version":"2.0")",
                 {"tokenize", "--tokenizer", (*folder / "data" / "tokenizer").string(), at("text.txt")}, R"("2.0")",
                 "1.0");
  Path const model = checkpoint();
  expect_refused(model / "config.json", R"("version": 1)", R"("version": 2)",
                 {"generate", model.string(), "--prompt", "a", "--max-new-tokens", "1"});
  EXPECT_FALSE(std::filesystem::exists(*folder / "other"));
}

}  // namespace
}  // namespace folio::test

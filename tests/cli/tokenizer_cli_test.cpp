// folio tokenizer train as a script meets it, and what the other verbs do with what it writes.
#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/json.h"
#include "data/dataset.h"
#include "tests/data/data_support.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "text/tokenizer.h"

namespace folio::test {
namespace {

class TokenizerVerb : public testing::Test {
 protected:
  ScratchFolder folder;

  void put(std::string const& name, std::string const& text) const { test::put(folder / name, text); }
  Ended verb(std::vector<std::string> words, std::string input = "") const {
    return run(std::move(words), {.input = std::move(input), .folder = folder.path().string()});
  }
  Ended train(std::vector<std::string> words, std::string input = "") const {
    words.insert(words.begin(), {"tokenizer", "train"});
    return verb(std::move(words), std::move(input));
  }
  void refuses(int code, std::string const& words, std::vector<std::string> arguments) const {
    auto const before = folder.names();
    auto const ended = train(std::move(arguments));
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err.find(words), std::string::npos) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
    EXPECT_EQ(folder.names(), before) << "nothing may be left behind";
  }
  static std::string text() {
    std::string out;
    for (int i = 0; i < 200; ++i) out += "the cat sat on the mat, and the hat sat on the cat.\n";
    return out;
  }
};

TEST_F(TokenizerVerb, WritesADirectoryThatTheOtherVerbsTake) {
  put("in.txt", text());
  auto const ended = train({"in.txt", "--vocab", "270", "--out", "made/mine"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  for (auto const* part : {"made/mine: 270 ids: 1 special, 256 bytes, 13 merges", "1 document, 10,400 bytes"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << ended.out;
  EXPECT_EQ(ended.err, "");
  for (auto const* name : {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"})
    EXPECT_TRUE(std::filesystem::exists(folder.path() / "made/mine" / name)) << name;
  auto const ids = verb({"tokenize", "--tokenizer", "made/mine", "in.txt"});
  EXPECT_EQ(verb({"detokenize", "--tokenizer", "made/mine"}, ids.out).out, text());

  ASSERT_EQ(verb({"prepare", "in.txt", "--tokenizer", "made/mine", "--out", "data"}).code, 0);
  auto const trained = verb({"train", "--data", "data", "--out", "run", "--layers", "1", "--heads", "1", "--embd", "8",
                             "--context", "16", "--steps", "2", "--quiet"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  auto const written = verb({"generate", "run", "--prompt", "the cat", "--max-new-tokens", "4", "--json"});
  ASSERT_EQ(written.code, 0) << written.err;
  auto const loaded = text::load_tokenizer((folder.path() / "made/mine").string());
  auto const first = parse_json(written.out.substr(0, written.out.find('\n')), "stdout");
  EXPECT_EQ(first["prompt_ids"].get<std::vector<int32_t>>(), loaded->encode("the cat"));
}

TEST_F(TokenizerVerb, IsTheSameWhateverTheThreadsAndTheOrderOfTheFiles) {
  put("a.txt", text());
  put("b.txt", "of cabbages and kings, of cabbages and things");
  ASSERT_EQ(train({"a.txt", "b.txt", "--vocab", "300", "--threads", "1", "--out", "one"}).code, 0);
  ASSERT_EQ(train({"b.txt", "a.txt", "--vocab", "300", "--threads", "3", "--out", "two"}).code, 0);
  for (auto const* name : {"tokenizer.json", "vocab.json", "merges.txt"})
    EXPECT_EQ(read_file(folder.path() / "one" / name), read_file(folder.path() / "two" / name));
}

TEST_F(TokenizerVerb, ReadsStdinFoldersAndDocumentsAndReports) {
  put("plays/a.txt", "ab ab ab");
  put("plays/b.md", "not read");
  auto const ended =
      train({"-", "plays", "--vocab", "300", "--separator", "|", "--out", "out", "--json"}, "\xff b|ab|");
  ASSERT_EQ(ended.code, 0) << ended.err;
  auto const j = parse_json(ended.out, "stdout");
  EXPECT_EQ(j["tokenizer"], "out");
  EXPECT_EQ(j["documents"], 3);
  EXPECT_EQ(j["text_bytes"], 13);
  EXPECT_EQ(j["words"], 6);
  EXPECT_EQ(j["distinct_words"], 4);  // \xff, " b", "ab", " ab"
  EXPECT_EQ(j["dropped_words"], 0);
  EXPECT_EQ(j["merges"], 2);  // a b, and the blank before it
  EXPECT_EQ(j["vocab"], 259);
  EXPECT_EQ(j["tokens"], 7);
  EXPECT_DOUBLE_EQ(j["bytes_per_token"], 13.0 / 7);
  EXPECT_GE(j["seconds"], 0);
  EXPECT_NE(ended.err.find("259 ids instead of 300: no pair is left that occurs 2 times"), std::string::npos)
      << ended.err;
  EXPECT_NE(ended.err.find("1 empty document is left out"), std::string::npos) << ended.err;
}

TEST_F(TokenizerVerb, SpecialTokensAreNeverMadeByText) {
  put("in.txt", text() + "<|user|>hat<|user|> cat <|user|> cat\n");
  ASSERT_EQ(train({"in.txt", "--vocab", "300", "--special", "<|user|>", "--special", "cat", "--out", "out"}).code, 0);
  std::string const input = "<|user|> the cat<|endoftext|>";
  auto const plain = verb({"tokenize", "--tokenizer", "out"}, input);
  for (auto const* id : {"0 ", "1 ", "2 "}) EXPECT_FALSE(plain.out.starts_with(id)) << plain.out;
  EXPECT_EQ(verb({"tokenize", "--tokenizer", "out"}, "cat").out.find("2\n"), std::string::npos);
  auto const asked = verb({"tokenize", "--tokenizer", "out", "--specials"}, "<|user|>cat<|endoftext|>");
  EXPECT_EQ(asked.out, "1 2 0\n");
  EXPECT_EQ(verb({"detokenize", "--tokenizer", "out"}, "1 2 0").out, "<|user|>cat<|endoftext|>");
  ASSERT_EQ(verb({"prepare", "in.txt", "--tokenizer", "out", "--val", "0", "--out", "data"}).code, 0);
  data::Dataset const data(folder / "data");
  auto const ids = all_of(data.split("train"));
  for (auto const id : ids) ASSERT_GT(id, 2);
}

TEST_F(TokenizerVerb, VocabulariesAbove65536AreReadAndWrittenAsU32) {
  std::mt19937 random(1);
  std::string text;
  for (int i = 0; i < 25'000; ++i) {
    std::string word;
    for (int n = 0; n < 9; ++n) word += static_cast<char>('a' + random() % 26);
    text += word + "\n" + word + "\n";
  }
  put("in.txt", text);
  auto const ended = train({"in.txt", "--vocab", "70000", "--out", "large"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.out.find("70,000 ids"), std::string::npos) << ended.out << ended.err;
  ASSERT_EQ(verb({"prepare", "in.txt", "--tokenizer", "large", "--val", "0", "--out", "data"}).code, 0);
  auto const header = read_file(folder / "data/train-00000.bin").substr(0, 64);
  EXPECT_EQ(header[16], 4) << "bytes of an id";
  data::Dataset const data(folder / "data");
  auto const ids = all_of(data.split("train"));
  EXPECT_GT(*std::ranges::max_element(ids), 65536);
  EXPECT_EQ(text::load_tokenizer((folder / "large").string())->decode(ids), text);
}

TEST_F(TokenizerVerb, RefusesWithOneSentenceAndTheRightCode) {
  put("in.txt", text());
  put("empty.txt", "");
  make_folders(folder / "there");
  refuses(2, "TEXT", {});
  refuses(2, "TEXT", {"--vocab", "300", "--out", "out"});
  refuses(2, "--out", {"in.txt", "--vocab", "300"});
  refuses(2, "--vocab N", {"in.txt", "--out", "out"});
  refuses(2, "--vocab", {"in.txt", "--vocab", "many", "--out", "out"});
  refuses(78, "--vocab", {"in.txt", "--vocab", "256", "--out", "out"});
  refuses(78, "no room for 2 special tokens", {"in.txt", "--vocab", "257", "--special", "<x>", "--out", "out"});
  refuses(78, "is empty", {"in.txt", "--vocab", "300", "--special", "", "--out", "out"});
  refuses(78, "how a byte is spelled", {"in.txt", "--vocab", "300", "--special", "a", "--out", "out"});
  refuses(78, "--memory", {"in.txt", "--vocab", "300", "--memory", "0", "--out", "out"});
  refuses(78, "given twice", {"in.txt", "in.txt", "--vocab", "300", "--out", "out"});
  refuses(65, "empty.txt is empty", {"empty.txt", "--vocab", "300", "--out", "out"});
  refuses(66, "nothere.txt does not exist", {"nothere.txt", "--vocab", "300", "--out", "out"});
  refuses(73, "there exists", {"in.txt", "--vocab", "300", "--out", "there"});
  auto const other = verb({"tokenizer", "show", "in.txt"});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("takes train here, not \"show\""), std::string::npos) << other.err;
}

TEST_F(TokenizerVerb, AFullTableIsSaid) {
  std::mt19937 random(2);
  std::string text;
  while (text.size() < 9'000'000) text += std::to_string(random()) + "x the ";
  put("in.txt", text);
  auto const ended = train({"in.txt", "--vocab", "300", "--memory", "64", "--out", "out", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(ended.err.find("the table of words was full"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("--memory 64"), std::string::npos) << ended.err;
  EXPECT_GT(parse_json(ended.out, "stdout")["dropped_words"], 0);
}

/// Whether the process has a handler for the signal, or has ended.
bool catches(pid_t process, int signal) {
  std::ifstream in(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("State:\tZ")) return true;
    if (line.starts_with("SigCgt:")) return std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1;
  }
  return true;
}

/// Sends the signal some milliseconds after the program began to catch it.
Ended interrupted(Path const& folder, int milliseconds, int signal) {
  pid_t const child = ::fork();
  if (child == 0) {
    int const null = ::open("/dev/null", O_RDWR);
    become({program(), "tokenizer", "train", "in.txt", "--vocab", "60000", "--out", "out"}, {.folder = folder.string()},
           null, null, null);
  }
  while (!catches(child, signal)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  ::kill(child, signal);
  int status = 0;
  ::waitpid(child, &status, 0);
  Ended ended;
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

TEST_F(TokenizerVerb, ASignalAtAnyMomentLeavesNothingOrTheWhole) {
  std::mt19937 random(4);
  std::string text;
  while (text.size() < 5'000'000) {
    for (int n = 2 + static_cast<int>(random() % 8); n > 0; --n) text += static_cast<char>('a' + random() % 26);
    text += ' ';
  }
  put("in.txt", text);
  size_t stopped = 0;
  for (int const milliseconds : {0, 100, 250, 400, 700, 1200}) {
    auto const ended = interrupted(folder.path(), milliseconds, SIGTERM);
    EXPECT_EQ(ended.signal, 0);
    if (ended.code == 0) {
      EXPECT_NO_THROW(text::load_tokenizer((folder / "out").string()));
      folio::remove_all(folder / "out");
    } else {
      EXPECT_EQ(ended.code, 1);
      ++stopped;
    }
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"in.txt"}));
  }
  EXPECT_GT(stopped, 0u);
}

TEST_F(TokenizerVerb, HelpHasAnExample) {
  auto const ended = verb({"tokenizer", "--help"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_NE(ended.out.find("folio tokenizer train TEXT… [flags]"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("folio tokenizer train input.txt --vocab"), std::string::npos);
}

}  // namespace
}  // namespace folio::test

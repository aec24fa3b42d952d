// The verbs tokenize and detokenize as a script meets them.
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/corpora.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "text/tokenizer.h"

namespace folio::test {
namespace {

class Tokenize : public testing::Test {
 protected:
  void SetUp() override { FOLIO_NEEDS_GPT2(); }
  ScratchFolder folder;
  std::string path(char const* name) const { return (folder / name).string(); }

  static void refuses(int code, std::string const& words, std::vector<std::string> arguments, std::string input = "") {
    auto const ended = run(std::move(arguments), {.input = std::move(input)});
    EXPECT_EQ(ended.code, code) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_NE(ended.err.find(words), std::string::npos) << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << "one sentence: " << ended.err;
  }
};

TEST_F(Tokenize, PrintsIdsOfStdinOrFiles) {
  auto const ended = run({"tokenize", "--tokenizer", "gpt2"}, {.input = "ROMEO:"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.out, "33676 4720 25\n");
  EXPECT_EQ(ended.err, "");
  write_file(folder / "a", "ROMEO:");
  write_file(folder / "b", "a\n");
  EXPECT_EQ(run({"tokenize", path("a"), "-", path("b")}, {.input = "Hello"}).out, "33676 4720 25\n15496\n64 198\n");
  EXPECT_EQ(run({"tokenize"}).out, "\n");
}

TEST_F(Tokenize, CutsAFileIntoDocuments) {
  EXPECT_EQ(run({"tokenize", "--each", "line"}, {.input = "a\n\nb\n"}).out, "64\n\n65\n");
  EXPECT_EQ(run({"tokenize", "--each", "nul"}, {.input = std::string("a\n\0b", 4)}).out, "64 198\n65\n");
  std::string const text("a\n\0\0\xff\0", 6);
  auto const ids = run({"tokenize", "--each", "nul"}, {.input = text});
  EXPECT_EQ(run({"detokenize", "--each", "nul"}, {.input = ids.out}).out, text);
}

TEST_F(Tokenize, MakesSpecialTokensOnlyWhenAsked) {
  EXPECT_EQ(run({"tokenize", "--specials"}, {.input = "a<|endoftext|>b"}).out, "64 50256 65\n");
  auto const plain = run({"tokenize"}, {.input = "a<|endoftext|>b"}).out;
  EXPECT_EQ(plain.find("50256"), std::string::npos);
  EXPECT_EQ(run({"detokenize"}, {.input = plain}).out, "a<|endoftext|>b");
  EXPECT_EQ(run({"detokenize"}, {.input = "50256"}).out, "<|endoftext|>");
}

TEST_F(Tokenize, CountsAndShows) {
  EXPECT_EQ(run({"tokenize", "--count"}, {.input = "ROMEO:"}).out, "3\n");
  EXPECT_EQ(run({"tokenize", "--show"}, {.input = "a 한"}).out,
            "     64  \"a\"\n    220  \" \"\n  47991  \"\\xed\\x95\"\n    250  \"\\x9c\"\n");
  write_file(folder / "a", "ROMEO:");
  auto const json = parse_json(run({"tokenize", "--json", path("a")}).out, "stdout");
  EXPECT_EQ(
      dump(json),
      dump(Json{{"tokenizer", "gpt2"},
                {"vocab", 50257},
                {"tokens", 3},
                {"documents", {{{"name", path("a")}, {"bytes", 6}, {"tokens", 3}, {"ids", {33676, 4720, 25}}}}}}));
  EXPECT_FALSE(
      parse_json(run({"tokenize", "--json", "--count", path("a")}).out, "stdout")["documents"][0].contains("ids"));
}

TEST_F(Tokenize, WritesBareIdsThatDetokenizeReads) {
  std::string text = "ROMEO:\n\xff\xfe 한 ";
  text += '\0';
  auto const written = run({"tokenize", "--out", path("ids.bin")}, {.input = text});
  EXPECT_EQ(written.code, 0);
  EXPECT_EQ(written.out, "");
  auto const bytes = read_file(folder / "ids.bin");
  EXPECT_EQ(bytes.substr(0, 6), "\x8c\x83\x70\x12\x19" + std::string(1, '\0'));
  EXPECT_EQ(run({"detokenize", "--bin", path("ids.bin")}).out, text);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"ids.bin"});
}

TEST_F(Tokenize, WritesFourBytesWhereTheVocabularyNeedsThem) {
  std::string text;
  for (uint32_t code = 0x4e00; text.size() < 3 * 20'000; ++code)
    text += {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
             static_cast<char>(0x80 | (code & 63))};
  for (uint32_t code = 0x20000; text.size() < 3 * 20'000 + 4 * 50'000; ++code)
    text += {static_cast<char>(0xf0), static_cast<char>(0x80 | (code >> 12 & 63)),
             static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
  for (auto const& file : text::make_char_tokenizer(text)->files()) write_file(folder.path() / file.name, file.content);
  auto const tokenizer = folder.path().string();
  EXPECT_EQ(run({"tokenize", "--tokenizer", tokenizer, "--out", path("ids.bin")}, {.input = text}).code, 0);
  EXPECT_EQ(std::filesystem::file_size(folder / "ids.bin"), 4u * 70'000);
  EXPECT_EQ(run({"detokenize", "--tokenizer", tokenizer, "--bin", path("ids.bin")}).out, text);
}

TEST_F(Tokenize, RefusesWithOneSentence) {
  refuses(2, "choose one", {"tokenize", "--count", "--show"});
  refuses(78, "line", {"tokenize", "--each", "word"});
  refuses(66, "nowhere", {"tokenize", path("nowhere")});
  refuses(66, "nowhere", {"tokenize", "--tokenizer", path("nowhere")});
  refuses(65, "is a folder", {"tokenize", folder.path().string()});
  refuses(66, "holds no tokenizer", {"tokenize", "--tokenizer", folder.path().string()});
  refuses(73, "is a folder", {"tokenize", "--out", folder.path().string()}, "a");
  for (auto const& file : text::make_char_tokenizer("abc")->files())
    write_file(folder.path() / file.name, file.content);
  refuses(65, "stdin: byte 2 of the text is U+0064", {"tokenize", "--tokenizer", folder.path().string()}, "abd");
  refuses(65, "stdin, document 2: byte 0", {"tokenize", "--each", "line", "--tokenizer", folder.path().string()},
          "a\nd\n");
}

TEST_F(Tokenize, LeavesNoFileBehindWhereItRefuses) {
  for (auto const& file : text::make_char_tokenizer("abc")->files())
    write_file(folder.path() / file.name, file.content);
  auto const before = folder.names();
  refuses(65, "U+0064", {"tokenize", "--tokenizer", folder.path().string(), "--out", path("ids.bin")}, "abd");
  EXPECT_EQ(folder.names(), before);
}

TEST_F(Tokenize, NeverWritesOverWhatItReads) {
  write_file(folder / "text.txt", "To be");
  std::filesystem::create_symlink("text.txt", folder / "link");
  std::filesystem::create_hard_link(folder / "text.txt", folder / "twin");
  for (char const* name : {"text.txt", "link", "twin", "./text.txt"})
    refuses(78, "is read would be overwritten", {"tokenize", path("text.txt"), "--out", path(name)});
  refuses(78, "overwritten", {"tokenize", path("link"), "--out", path("text.txt")});
  EXPECT_EQ(read_file(folder / "text.txt"), "To be");
  EXPECT_EQ(run({"tokenize", path("text.txt"), "--out", path("ids.bin")}).code, 0);
  EXPECT_EQ(run({"tokenize", path("text.txt"), "--out", path("ids.bin")}).code, 0) << "written before, not read";
}

TEST_F(Tokenize, DetokenizeRefusesWhatAreNoIds) {
  refuses(65, "id 50257 (number 2 of 3)", {"detokenize"}, "5 50257 6");
  refuses(65, "id -1", {"detokenize"}, "-1");
  refuses(65, "\"x7\" at byte 2", {"detokenize"}, "5 x7");
  refuses(65, "not an id", {"detokenize"}, "99999999999999999999");
  refuses(65, "not an id", {"detokenize"}, "5,6");
  refuses(65, "--bin", {"detokenize"}, std::string("\x8c\x83\0\1", 4));
  refuses(65, "3 bytes are not a whole number", {"detokenize", "--bin"}, "abc");
  refuses(65, "id 65535 (number 1 of 1)", {"detokenize", "--bin"}, "\xff\xff");
  refuses(2, "--each", {"detokenize", "--bin", "--each", "line"});
  refuses(65, "is a folder", {"detokenize", folder.path().string()});
}

TEST_F(Tokenize, EndsQuietlyWhereTheReaderHasGone) {
  auto const ended = run({"tokenize", "--each", "line"}, {.input = std::string(3'000'000, '\n'), .close_out = true});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.err, "");
}

}  // namespace
}  // namespace folio::test

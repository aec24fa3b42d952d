// The program as a person or a script meets it: exit codes, what goes to stdout and what to stderr, help, suggestions.
#include <nlohmann/json.hpp>

#include "backend/info.h"
#include "core/json.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "text/tokenizer.h"

using namespace folio;
using folio::test::Ended;
using folio::test::run;
using folio::test::ScratchFolder;

namespace {

Json table() { return parse_json(run({"help", "--json"}).out, "folio help --json"); }

std::vector<std::string> verbs() {
  std::vector<std::string> names;
  for (Json const& verb : table()) names.push_back(verb["verb"]);
  return names;
}

size_t columns(std::string_view line) {
  return static_cast<size_t>(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }));
}

void expect_narrow(std::string const& text, std::string const& of) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(columns(line), 80u) << of << ": " << line;
    EXPECT_EQ(line.find('\x1b'), line.npos) << of << ": " << line;
  }
}

/// A failure: nothing on stdout, one sentence on stderr with all the parts, no signal.
void expect_refusal(Ended const& ended, int code, std::vector<std::string> const& parts) {
  EXPECT_EQ(ended.code, code) << ended.err;
  EXPECT_EQ(ended.signal, 0);
  EXPECT_EQ(ended.out, "");
  EXPECT_TRUE(ended.err.starts_with("folio: ")) << ended.err;
  EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  for (std::string const& part : parts)
    EXPECT_NE(ended.err.find(part), std::string::npos) << part << " in " << ended.err;
}

}  // namespace

TEST(Program, BareItTellsWhatItIsAndItsVerbs) {
  Ended const bare = run({});
  EXPECT_EQ(bare.code, 0);
  EXPECT_EQ(bare.err, "");
  EXPECT_NE(bare.out.find("GPT-2"), std::string::npos);
  EXPECT_NE(bare.out.find("examples:\n  folio "), std::string::npos);
  for (std::string const& verb : verbs()) EXPECT_NE(bare.out.find("\n  " + verb + " "), std::string::npos) << verb;
  expect_narrow(bare.out, "folio");
  for (char const* same : {"help", "--help", "-h"}) EXPECT_EQ(run({same}).out, bare.out) << same;
}

TEST(Program, VersionNamesCommitCompilerAndLibraries) {
  Ended const version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  expect_narrow(version.out, "--version");
  for (char const* part : {"folio 0.", "(", "compiler: GNU", "this CPU:", "oneDNN 2.", "fmt ", "spdlog ", "CLI11 ",
                           "nlohmann-json", "toml++ ", "xxhash ", "OpenSSL 3."})
    EXPECT_NE(version.out.find(part), std::string::npos) << part;
}

TEST(Help, OfEveryVerbHasAnExampleAndIsNarrow) {
  std::vector<std::string> const names = verbs();
  ASSERT_GE(names.size(), 2u);
  for (std::string const& verb : names) {
    Ended const help = run({verb, "--help"});
    EXPECT_EQ(help.code, 0) << verb << ": " << help.err;
    EXPECT_EQ(help.err, "") << verb;
    expect_narrow(help.out, verb);
    EXPECT_TRUE(help.out.starts_with("folio " + verb + ": ")) << verb;
    size_t const example = help.out.find("\nexample");
    ASSERT_NE(example, std::string::npos) << verb;
    EXPECT_NE(help.out.find("folio " + verb, example), std::string::npos) << verb << " has no example of itself";
    EXPECT_EQ(run({"help", verb}).out, help.out) << verb;
    EXPECT_EQ(run({verb, "-h"}).out, help.out) << verb;
    Json const json = parse_json(run({verb, "--help", "--json"}).out, verb);
    EXPECT_EQ(json["verb"], verb);
    for (Json const& flag : json.value("flags", Json::array())) {
      EXPECT_NE(help.out.find(flag["name"].get<std::string>()), std::string::npos) << verb << flag;
      EXPECT_FALSE(flag["help"].get<std::string>().empty()) << verb << flag;
    }
  }
}

TEST(Help, SaysOfAVerbWhatTheTableSays) {
  for (Json const& verb : table()) {
    std::string const name = verb["verb"];
    EXPECT_EQ(parse_json(run({name, "--help", "--json"}).out, name)["summary"], verb["summary"]) << name;
  }
}

TEST(Slips, UnknownVerbsAndFlagsAreSuggested) {
  expect_refusal(run({"docto"}), 2, {"docto", "did you mean doctor?"});
  expect_refusal(run({"help", "inof"}), 2, {"did you mean info?"});
  expect_refusal(run({"zzzzzzzz"}), 2, {"no verb", "folio help"});
  expect_refusal(run({""}), 2, {"no verb"});
  expect_refusal(run({"--json", "doctor"}), 2, {"--json", "before the verb"});
  expect_refusal(run({"help", "a", "b"}), 2, {"one verb"});
  expect_refusal(run({"help", "-x"}), 2, {"no verb", "-x"});
  expect_refusal(run({"--version", "junk"}), 2, {"--version", "junk"});
  for (std::string const& verb : verbs()) {
    expect_refusal(run({verb, "--quite"}), 2, {"--quite", "did you mean --quiet?", "folio " + verb + " --help"});
    expect_refusal(run({verb, "--zzzzzzzzzz=3"}), 2, {"--zzzzzzzzzz"});
    expect_refusal(run({verb, "-z"}), 2, {"-z"});
  }
}

TEST(Slips, ArgumentsTooManyOrUnreadable) {
  expect_refusal(run({"doctor", "extra"}), 2, {"no argument", "extra"});
  expect_refusal(run({"info", "a", "b"}), 2, {"PATH", "\"b\""});
  expect_refusal(run({"info", "--json=perhaps"}), 2, {"--json", "perhaps", "true or false"});
  expect_refusal(run({"info", "nothing-of-this-name"}), 66, {"nothing-of-this-name", "does not exist"});
  expect_refusal(run({"info", "--", "--json"}), 66, {"--json does not exist"});  // behind --, a name
  EXPECT_EQ(run({"info", "--no-json", "."}).code, 0);
  EXPECT_EQ(run({"info", "--json=false", "."}).code, 0);
}

TEST(Slips, SentencesCannotSteerATerminal) {
  Ended const ended = run({"info", "\x1b[31mred\r"});
  EXPECT_EQ(ended.code, 66);
  EXPECT_EQ(ended.err.find('\x1b'), std::string::npos);
  EXPECT_EQ(ended.err.find('\r'), std::string::npos);
}

TEST(Environment, GivesWhatNoFlagGives) {
  Ended const json = run({"doctor"}, {.set = {{"FOLIO_JSON", "true"}}});
  EXPECT_TRUE(json.out.starts_with("{")) << json.out;
  EXPECT_FALSE(run({"doctor", "--no-json"}, {.set = {{"FOLIO_JSON", "true"}}}).out.starts_with("{"));
  expect_refusal(run({"doctor"}, {.set = {{"FOLIO_JSON", "perhaps"}}}), 2, {"FOLIO_JSON", "perhaps"});
  ScratchFolder const folder;
  write_file(folder / "text.txt", "abc");
  for (auto const& f : text::make_char_tokenizer("abc")->files()) write_file(folder / f.name, f.content);
  auto const said = [&](std::string const& quiet, std::vector<std::string> const& more = {}) {
    std::vector<std::string> all = {"tokenize", folder / "text.txt", "--tokenizer", folder.path(),
                                    "--out",    folder / "ids"};
    all.insert(all.end(), more.begin(), more.end());
    return !run(all, {.set = {{"FOLIO_QUIET", quiet}}}).err.empty();
  };
  EXPECT_TRUE(said(""));
  EXPECT_FALSE(said("1"));
  EXPECT_TRUE(said("0"));
  EXPECT_TRUE(said("1", {"--no-quiet"}));
}

TEST(Streams, AReaderThatLeavesIsNoError) {
  Ended const ended = run({"help"}, {.close_out = true});
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.signal, 0);
  EXPECT_EQ(ended.err, "");
}

TEST(Streams, AFullDiskIsAnError) {
  Ended const ended = run({"help"}, {.out = "/dev/full"});
  EXPECT_EQ(ended.code, 74);
  EXPECT_NE(ended.err.find("No space left"), std::string::npos) << ended.err;
}

TEST(Info, TellsWhatEachKindIsAndWhichVerbTakesIt) {
  ScratchFolder const folder;
  auto const put = [&](char const* name, std::string_view content) {
    make_folders((folder / name).parent_path());
    write_file(folder / name, content);
  };
  std::string const config =
      R"({"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"n_ctx":16,"vocab_size":65})";
  put("model/config.json", config);
  put("model/model.safetensors", "");
  put("checkpoint/config.json", config);
  put("checkpoint/model.safetensors", "");
  put("checkpoint/state.json", "{}");
  put("run/config.toml", "");
  make_folders(folder / "run/checkpoints");
  put("ids/train.bin", std::string_view("\1\0\2\0", 4));
  put("texts/below/a.TXT", "words");  // as prepare finds it
  put("notes/a.md", "words");         // which it does not
  put("other/manifest.json", "{\"format\":\"something\"}");
  put("text", "To be, or not to be");
  put("bytes", std::string_view("\0\1\2", 3));
  put("file.safetensors", "x");
  auto const kind = [&](char const* name) {
    Ended const told = run({"info", "--json", (folder / name).string()});
    return told.code == 0 ? get_string(parse_json(told.out, name), "kind", name) : told.err;
  };
  for (auto const& [name, expected] : std::vector<std::pair<char const*, char const*>>{{"model", "model"},
                                                                                       {"checkpoint", "checkpoint"},
                                                                                       {"run", "run"},
                                                                                       {"ids", "ids-folder"},
                                                                                       {"ids/train.bin", "ids"},
                                                                                       {"texts", "texts"},
                                                                                       {"notes", "folder"},
                                                                                       {"other", "folder"},
                                                                                       {"text", "text"},
                                                                                       {"bytes", "bytes"},
                                                                                       {"file.safetensors", "weights"}})
    EXPECT_EQ(kind(name), expected) << name;
  Ended const model = run({"info", (folder / "model").string()});
  EXPECT_NE(model.out.find("2 layers"), std::string::npos) << model.out;
  EXPECT_NE(model.out.find("folio generate"), std::string::npos);
  EXPECT_NE(run({"info", (folder / "text").string()}).out.find("folio prepare"), std::string::npos);
}

TEST(Info, WithoutAPathTellsWhereThingsAreKept) {
  ScratchFolder const folder;
  Ended const told = run({"info"}, {.set = {{"FOLIO_DATA", folder.path().string()}}});
  EXPECT_EQ(told.code, 0);
  EXPECT_NE(told.out.find("data directory: " + folder.path().string()), std::string::npos) << told.out;
  Ended const shared = run({"info", "--json"}, {.set = {{"FOLIO_DATA", ""}, {"XDG_DATA_HOME", "/x"}, {"HOME", "/h"}}});
  EXPECT_EQ(parse_json(shared.out, "info")["data"], "/x/folio");
  Ended const home = run({"info", "--json"}, {.set = {{"FOLIO_DATA", ""}, {"XDG_DATA_HOME", ""}, {"HOME", "/h"}}});
  EXPECT_EQ(parse_json(home.out, "info")["data"], "/h/.local/share/folio");
  Ended const odd = run({"info", "--json"}, {.set = {{"FOLIO_DATA", ""}, {"XDG_DATA_HOME", "here"}, {"HOME", "/h"}}});
  EXPECT_EQ(parse_json(odd.out, "info")["data"], "/h/.local/share/folio") << "a relative path is passed over";
  expect_refusal(run({"info"}, {.set = {{"FOLIO_DATA", ""}, {"XDG_DATA_HOME", ""}, {"HOME", ""}}}), 66,
                 {"HOME", "FOLIO_DATA"});
}

TEST(Doctor, SaysTheLevelInUseAndRefusesOneThatThereIsNot) {
  ScratchFolder const folder;
  auto const level_of = [&](std::string const& asked) {
    Ended const told =
        run({"doctor", "--json"}, {.set = {{"FOLIO_DATA", folder.path().string()}, {"FOLIO_ISA", asked}}});
    EXPECT_EQ(told.code, 0);
    Json const report = parse_json(told.out, "doctor");
    for (Json const& check : report["checks"])
      if (check["name"] == "level") return check;
    return Json();
  };
  std::string const highest = name_of(processor().level());
  EXPECT_EQ(level_of("")["level"], highest);
  EXPECT_EQ(level_of("avx2")["level"], "avx2");
  EXPECT_EQ(level_of("avx2")["state"], "ok");
  EXPECT_EQ(level_of("amx")["level"], highest);  // what the machine lacks caps at what there is, and says so
  EXPECT_EQ(level_of("amx")["state"], highest == "amx" ? "ok" : "warning");
  for (std::string const verb : {"doctor", "info"})
    expect_refusal(run({verb}, {.set = {{"FOLIO_ISA", "avx9"}}}), 78, {"FOLIO_ISA=avx9", "avx512_bf16"});
}

TEST(Doctor, PassesOverANumberOfThreadsThatIsNone) {
  ScratchFolder const folder;
  auto const asked = [&](std::string const& threads, bool warns) {
    Ended const told =
        run({"doctor", "--json"}, {.set = {{"FOLIO_DATA", folder.path()}, {"OMP_NUM_THREADS", threads}}});
    EXPECT_EQ(told.code, 0) << told.err;
    size_t const at = told.err.find("OMP_NUM_THREADS is " + threads);
    EXPECT_EQ(at != std::string::npos, warns) << told.err;
    if (warns) {
      EXPECT_EQ(told.err.find("OMP_NUM_THREADS is", at + 1), std::string::npos) << "once: " << told.err;
    }
    Json const report = parse_json(told.out, "doctor");
    for (Json const& check : report["checks"])
      if (check["name"] == "threads") return check["default"].get<int64_t>();
    return int64_t{-1};
  };
  int64_t const granted = asked("", false);
  EXPECT_GE(granted, 1);
  EXPECT_EQ(asked("1", false), 1);
  EXPECT_EQ(asked("3", false), 3);
  EXPECT_EQ(asked("2,1", false), 2);
  for (std::string const none : {"999999999999", "99999999999", "0", "-2", "1025", "four", "2x"})
    EXPECT_EQ(asked(none, true), granted) << none;
}

TEST(Doctor, SaysWhatIsMissingAndFailsOnWhatIsBroken) {
  ScratchFolder const folder;
  Ended const empty = run({"doctor", "--json"}, {.set = {{"FOLIO_DATA", folder.path().string()}}});
  EXPECT_EQ(empty.code, 0);
  Json const report = parse_json(empty.out, "doctor");
  EXPECT_TRUE(report["healthy"].get<bool>());
  for (Json const& check : report["checks"])
    if (check["name"] == "GPT-2 vocabulary" || check["name"] == "plays") {
      EXPECT_EQ(check["state"], "warning");
    }
  make_folders(folder / "gpt2");
  write_file(folder / "gpt2/encoder.json", "{}");
  write_file(folder / "gpt2/vocab.bpe", "");
  Ended const broken = run({"doctor"}, {.set = {{"FOLIO_DATA", folder.path().string()}}});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.out.find("[x] "), std::string::npos) << broken.out;
  EXPECT_NE(broken.out.find("[!]  plays"), std::string::npos) << broken.out;
  expect_narrow(broken.out, "doctor");
}

TEST(Doctor, KnowsThePlaysThatSetUpMakes) {
  Json const report = parse_json(run({"doctor", "--json"}).out, "doctor");
  for (Json const& check : report["checks"]) {
    if (check["name"] != "plays" && check["name"] != "GPT-2 vocabulary") continue;
    if (!check.value("there", false)) GTEST_SKIP() << "the data directory is empty: scripts/get-data fills it";
    EXPECT_EQ(check["state"], "ok") << check["text"];
  }
}

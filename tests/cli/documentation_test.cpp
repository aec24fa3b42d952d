// docs/cli.md is true to the program: it names every verb and each of its flags, in the verb's own section.
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/support/program.h"

using namespace folio;
using folio::test::run;

namespace {

std::string manual() {
  char const* source = std::getenv("FOLIO_SOURCE");
  return read_file(Path(source ? source : ".") / "docs/cli.md");
}

/// From "## `folio VERB`" to the next heading of that level.
std::string section(std::string const& text, std::string const& verb) {
  size_t const begin = text.find("\n## `folio " + verb + "`");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find("\n## ", begin + 1) - begin);
}

}  // namespace

TEST(Manual, NamesEveryVerbAndEachOfItsFlags) {
  std::string const text = manual();
  for (Json const& verb : parse_json(run({"help", "--json"}).out, "folio help --json")) {
    std::string const name = verb["verb"];
    std::string const about = section(text, name);
    EXPECT_NE(about, "") << "docs/cli.md has no section ## `folio " << name << "`";
    Json const help = parse_json(run({name, "--help", "--json"}).out, name);
    for (Json const& flag : help.value("flags", Json::array())) {
      std::string const written = "`--" + flag["name"].get<std::string>();
      EXPECT_NE(about.find(written), about.npos) << "docs/cli.md, folio " << name << ": " << written << " is missing";
    }
  }
}

TEST(Manual, NamesNoVerbAndNoFlagThatTheProgramHasNot) {
  std::string const text = manual();
  std::vector<std::string> verbs;
  for (Json const& verb : parse_json(run({"help", "--json"}).out, "folio help --json")) verbs.push_back(verb["verb"]);
  for (size_t at = 0; (at = text.find("\n## `folio ", at)) != text.npos; ++at) {
    size_t const begin = at + 11;
    std::string const verb = text.substr(begin, text.find('`', begin) - begin);
    EXPECT_NE(std::ranges::find(verbs, verb), verbs.end()) << "docs/cli.md has a section on " << verb;
    std::vector<std::string> flags = {"help", "quiet", "config", "set"};
    Json const help = parse_json(run({verb, "--help", "--json"}).out, verb);
    for (Json const& flag : help.value("flags", Json::array())) flags.push_back(flag["name"]);
    std::string const about = section(text, verb);
    for (size_t f = 0; (f = about.find("| `--", f)) != about.npos; ++f) {  // rows of the table
      size_t const name = f + 5;
      std::string flag = about.substr(name, about.find_first_of("` =", name) - name);
      if (flag.starts_with("no-") && std::ranges::find(flags, flag) == flags.end()) flag.erase(0, 3);
      EXPECT_NE(std::ranges::find(flags, flag), flags.end()) << "docs/cli.md, folio " << verb << ": --" << flag;
    }
  }
}

TEST(Manual, NamesEveryExitCode) {
  std::string const text = manual();
  for (int code : {0, 1, 2, 3, 65, 66, 69, 70, 71, 73, 74, 75, 78})
    EXPECT_NE(text.find("\n| " + std::to_string(code) + " |"), text.npos) << code;
}

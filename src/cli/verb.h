// A verb of the command line: what it is called, what it takes, an example, and its flags as fields. One file a verb;
// verbs.h declares them and main.cpp has the table.
//
//   int tokenize(Arguments const& arguments) {
//     Options o;
//     Spec spec{.name = "tokenize", .summary = "…", .example = "folio tokenize --tokenizer gpt2 FILE", …};
//     if (!parse(spec, arguments)) return 0;  // --help was shown
//     …
//   }
//
// Every verb takes --help and --quiet besides. A verb that reports has a field "json" of its own.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/fields.h"

namespace folio::cli {

using Arguments = std::vector<std::string>;  // after the verb

struct Positional {
  std::string name;  // MODEL, FILE, TEXT…
  std::vector<std::string>* values;
  std::string help;
  size_t least = 1, most = 1;
  std::vector<std::string> choices = {};  // of each value; empty: any
};

struct Spec {
  std::string name;
  std::string summary;       // one phrase, for the table
  std::string details = "";  // paragraphs, wrapped by the printer
  std::string example;       // one command a line
  std::vector<Positional> positionals = {};
  Fields fields = {};
  bool configurable = false;  // takes --config FILE (TOML) and --set key=value
};

struct Origin {       // of a value
  std::string kind;   // flag, environment, set, config; of a sweep also setting, common
  std::string where;  // --lr, FOLIO_LR, --set lr, the file
  int64_t line = 0;   // of the file
  std::string text() const { return line ? where + ", line " + std::to_string(line) : where; }
};
using Origins = std::map<std::string, Origin>;  // by name of the field

/// Precedence: flag > environment (FOLIO_…) > --set key=value > file given with --config > what the options hold.
/// Prints the help and returns false for --help. Throws Fault::usage for what cannot be read, with "did you mean".
/// `given`, where asked for, gets the fields that anything but the default has set.
bool parse(Spec const&, Arguments const&, Origins* given = nullptr);

/// Fault::value for a field that was given in this call itself (flag, set, setting) and does not count beside the
/// others. Files and variables may hold what does not count: a run's config.toml has every field.
void refuse_idle(Fields const&, Origins const& given);

/// The help of a verb, at most 80 columns wide; and the same for programs to read.
std::string help_text(Spec const&);
std::string help_json(Spec const&);

/// The environment variable that sets a field; empty where that of its name is for something else.
std::string variable_of(Field const&);

struct Verb {
  char const* name;
  char const* summary;
  int (*run)(Arguments const&);
  bool computes = false;  // with threads that wait for each other
};
std::vector<Verb> const& verbs();  // in the order of the table

/// Calls `read` with the verb's Spec, which is gone afterwards: for what is made from the flags of all verbs.
void with_spec(Verb const&, std::function<void(Spec const&)> const& read);

/// Writes a result to stdout, at once. Where the reader has gone away (`| head`) it throws ReaderGone, which ends the
/// program quietly with 0; other failures are Fault::io.
void print(std::string_view text);
struct ReaderGone {};

/// `text` as one word of a shell's command line: as it is, or in single quotes.
std::string shell_quoted(std::string_view text);

/// `text` in lines of at most `width` columns, each begun with `indent` blanks; line ends in it are kept.
std::string wrapped(std::string_view text, size_t indent, size_t width = 80);

/// "name         text", the text wrapped behind the name.
std::string labelled(std::string_view name, std::string_view text);

}  // namespace folio::cli

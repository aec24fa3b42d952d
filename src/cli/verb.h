// A verb of the command line: what it is called, what it takes, an example, and its flags as fields. One file a verb;
// main.cpp has the table.
//
//   int tokenize(Arguments const& arguments) {
//     Options o;
//     Spec spec{.name = "tokenize", .summary = "…", .example = "folio tokenize --tokenizer gpt2 FILE", …};
//     if (!parse(spec, arguments)) return 0;  // --help was shown
//     …
//   }
#pragma once

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
};

struct Spec {
  std::string name;
  std::string summary;       // one phrase, for the table
  std::string details = "";  // a paragraph, wrapped by the printer
  std::string example;       // one command a line
  std::vector<Positional> positionals = {};
  Fields fields = {};
};

/// Precedence: flag > environment (FOLIO_…) > file given with --config and --set > what the options hold. Prints the
/// help and returns false for --help. Throws Fault::usage for what cannot be read, with "did you mean".
/// `given`, where asked for, gets the names of the fields that anything but the default has set.
bool parse(Spec const&, Arguments const&, std::vector<std::string>* given = nullptr);

struct Verb {
  char const* name;
  char const* summary;
  int (*run)(Arguments const&);
};
std::vector<Verb> const& verbs();  // in the order of the table

/// Writes a result to stdout. A reader that went away (`| head`) ends the program quietly with 0.
void print(std::string const& text);

}  // namespace folio::cli

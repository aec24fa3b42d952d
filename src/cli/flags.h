// The flags of a verb as its help, its manual page and the completion of a shell show them: those of its fields, and
// those that every verb has.
#pragma once

#include "cli/verb.h"

namespace folio::cli {

struct Flag {
  std::string name;       // without --
  std::string type = "";  // N, FILE, a|b|c; empty: a switch
  std::string help, group = "";
  std::string standard = "";  // the default, as text
  bool on = false;            // a switch that is on: --no-NAME turns it off
  bool repeats = false;
};

std::vector<Flag> flags_of(Spec const&);
std::vector<std::string> groups_of(std::vector<Flag> const&);  // in the order of the flags; "" comes last
std::string written(Flag const&);                              // --[no-]bias, --steps N
std::string explained(Flag const&);                            // the help with what is implied
std::string usage_of(Spec const&);
std::vector<std::string> lines_of(std::string_view text);  // those that are not empty

struct Candidates {  // what a shell may offer
  std::vector<std::string> words = {};
  bool paths = false;
};
Candidates candidates_of(Flag const&);  // of its value
Candidates candidates_of(Spec const&);  // of the arguments

}  // namespace folio::cli

// The flags of a verb as its help, its manual page and the completion of a shell show them.
#include "cli/flags.h"

#include <algorithm>

#include "core/error.h"

namespace folio::cli {
namespace {

Flag flag_of(Field const& field) {
  std::string const text = text_of(field);
  bool const is_switch = std::holds_alternative<bool*>(field.value);
  return {.name = field.name,
          .type = type_name(field),
          .help = field.help,
          .group = field.group,
          .standard = is_switch ? (text == "true" ? "on" : "") : text,
          .on = is_switch && text == "true",
          .repeats = std::holds_alternative<std::vector<std::string>*>(field.value)};
}

bool is_word(std::string const& alternative) {
  return alternative.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ…") != 0 && !alternative.ends_with(":N");
}

}  // namespace

std::vector<Flag> flags_of(Spec const& spec) {
  std::vector<Flag> flags;
  for (Field const& field : spec.fields) flags.push_back(flag_of(field));
  if (spec.configurable) {
    flags.push_back({.name = "config",
                     .type = "FILE",
                     .help = "read values from a TOML file; a flag wins over it",
                     .group = "Settings"});
    flags.push_back({.name = "set",
                     .type = "KEY=VALUE",
                     .help = "set one value as in that file",
                     .group = "Settings",
                     .repeats = true});
  }
  flags.push_back({.name = "quiet", .help = "only warnings on stderr, no progress"});
  flags.push_back({.name = "help", .help = "show this"});
  return flags;
}

std::vector<std::string> groups_of(std::vector<Flag> const& flags) {
  std::vector<std::string> groups;
  for (Flag const& flag : flags)
    if (!flag.group.empty() && std::ranges::find(groups, flag.group) == groups.end()) groups.push_back(flag.group);
  groups.emplace_back();
  return groups;
}

std::string written(Flag const& flag) {
  return fmt::format("--{}{}{}", flag.on ? "[no-]" : "", flag.name, flag.type.empty() ? "" : " " + flag.type);
}

std::string explained(Flag const& flag) {
  return flag.help + (flag.repeats ? " (may be repeated)" : "") +
         (flag.standard.empty() ? "" : fmt::format(" (default: {})", flag.standard));
}

std::string usage_of(Spec const& spec) {
  std::string usage = "folio " + spec.name;
  for (Positional const& p : spec.positionals) {
    std::string const name = p.name + (p.most > 1 && !p.name.ends_with("…") ? "…" : "");
    usage += p.least == 0 ? fmt::format(" [{}]", name) : " " + name;
  }
  return usage + " [flags]";
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t const end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Candidates candidates_of(Flag const& flag) {
  static std::vector<std::string> const kPaths = {"FILE", "DIR", "PATH", "DATA", "MODEL", "RUN"};
  Candidates c;
  for (size_t begin = 0; begin < flag.type.size();) {
    size_t const end = std::min(flag.type.find('|', begin), flag.type.size());
    std::string const alternative = flag.type.substr(begin, end - begin);
    if (std::ranges::find(kPaths, alternative) != kPaths.end()) c.paths = true;
    else if (is_word(alternative)) c.words.push_back(alternative);
    begin = end + 1;
  }
  return c;
}

Candidates candidates_of(Spec const& spec) {
  Candidates c;
  for (Positional const& p : spec.positionals) {
    c.words.insert(c.words.end(), p.choices.begin(), p.choices.end());
    c.paths = c.paths || p.choices.empty();
  }
  return c;
}

}  // namespace folio::cli

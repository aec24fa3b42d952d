// The help of a verb: usage, arguments, flags by group with their defaults, the example.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "core/error.h"
#include "core/fields_json.h"
#include "core/json.h"

namespace folio::cli {

namespace {

constexpr size_t kWidth = 80, kColumn = 28;  // where the words on a flag begin

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string row_text(std::string const& name, std::string const& help) {
  std::string const left = "  " + name;
  std::string words = wrapped(help, kColumn, kWidth);
  if (columns_of(left) + 2 > kColumn) return wrapped(name, 2) + words;
  return left + words.substr(columns_of(left));
}

/// An example as it can be pasted: a line too long goes on behind a backslash, cut at a blank outside
/// quotes, before a flag where there is one.
std::string example_text(std::string_view line) {
  std::string out, indent = "  ";
  while (columns_of(line) + indent.size() > kWidth) {
    size_t cut = 0, any = 0;
    char quote = 0;
    for (size_t i = 0; i < line.size() && columns_of(line.substr(0, i)) + indent.size() + 2 <= kWidth; ++i) {
      if (quote ? line[i] == quote : line[i] == '"' || line[i] == '\'') quote = quote ? 0 : line[i];
      if (quote || line[i] != ' ') continue;
      any = i;
      if (line.substr(i).starts_with(" --")) cut = i;
    }
    if (cut == 0) cut = any;
    if (cut == 0) break;
    out += fmt::format("{}{} \\\n", indent, line.substr(0, cut));
    line.remove_prefix(cut + 1);
    indent = "      ";
  }
  return out + fmt::format("{}{}\n", indent, line);
}

}  // namespace

std::string wrapped(std::string_view text, size_t indent, size_t width) {
  std::string const blanks(indent, ' ');
  std::string out, line;
  auto const end_line = [&] {
    out += (line.empty() ? "" : blanks + line) + '\n';
    line.clear();
  };
  for (;;) {
    size_t const end = std::min(text.find_first_of(" \n"), text.size());
    std::string_view const word = text.substr(0, end);
    if (!line.empty() && indent + columns_of(line) + 1 + columns_of(word) > width) end_line();
    if (!word.empty()) (line += line.empty() ? "" : " ") += word;
    if (end == text.size()) break;
    if (text[end] == '\n') end_line();
    text.remove_prefix(end + 1);
  }
  if (!line.empty()) end_line();
  return out;
}

std::string labelled(std::string_view name, std::string_view text) {
  constexpr size_t kIndent = 13;
  return wrapped(text, kIndent).replace(0, kIndent, fmt::format("{:<{}}", name, kIndent));
}

std::string help_text(Spec const& spec) {
  std::string out = wrapped(fmt::format("folio {}: {}", spec.name, spec.summary), 0);
  out += "\nusage:\n" + wrapped(usage_of(spec), 2);
  if (!spec.details.empty()) out += '\n' + wrapped(spec.details, 0);
  if (!spec.positionals.empty()) out += '\n';
  for (Positional const& p : spec.positionals) out += row_text(p.name, p.help);
  std::vector<Flag> const flags = flags_of(spec);
  std::vector<std::string> const groups = groups_of(flags);
  for (std::string const& group : groups) {
    out += fmt::format("\n{}:\n", group.empty() ? groups.size() == 1 ? "flags" : "Other" : group);
    for (Flag const& flag : flags)
      if (flag.group == group) out += row_text(written(flag), explained(flag));
  }
  out += lines_of(spec.example).size() > 1 ? "\nexamples:\n" : "\nexample:\n";
  for (std::string const& line : lines_of(spec.example)) out += example_text(line);
  return out;
}

std::string help_json(Spec const& spec) {
  Json json = {
      {"verb", spec.name}, {"summary", spec.summary}, {"details", spec.details}, {"examples", lines_of(spec.example)}};
  for (Positional const& p : spec.positionals)
    json["arguments"].push_back({{"name", p.name}, {"help", p.help}, {"least", p.least}});
  Json const defaults = to_json(spec.fields);
  for (Field const& field : spec.fields)
    json["flags"].push_back({{"name", field.name},
                             {"type", type_name(field)},
                             {"default", defaults[field.name]},
                             {"help", field.help},
                             {"group", field.group},
                             {"environment", variable_of(field)}});
  json["takes_config"] = spec.configurable;
  return dump(json, 2) + '\n';
}

}  // namespace folio::cli

// The help of a verb: usage, arguments, flags by group with their defaults, the example.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "core/error.h"
#include "core/json.h"

namespace folio::cli {

namespace {

constexpr size_t kWidth = 80, kColumn = 28;  // where the words on a flag begin

struct Row {
  std::string left, words, group;
};

std::string default_of(Field const& field) {
  std::string const text = text_of(field);
  if (std::holds_alternative<bool*>(field.value)) return text == "true" ? " (default: on)" : "";
  return text.empty() ? "" : fmt::format(" (default: {})", text);
}

Row row_of(Field const& field) {
  bool const negated = std::holds_alternative<bool*>(field.value) && text_of(field) == "true";
  std::string const type = type_name(field);
  bool const list = std::holds_alternative<std::vector<std::string>*>(field.value);
  return {fmt::format("--{}{}{}", negated ? "[no-]" : "", field.name, type.empty() ? "" : " " + type),
          field.help + (list ? " (may be repeated)" : "") + default_of(field), field.group};
}

std::vector<Row> rows_of(Spec const& spec) {
  std::vector<Row> rows;
  for (Field const& field : spec.fields) rows.push_back(row_of(field));
  if (spec.configurable) {
    rows.push_back({"--config FILE", "read values from a TOML file; a flag wins over it", "Settings"});
    rows.push_back({"--set KEY=VALUE", "set one value as in that file (may be repeated)", "Settings"});
  }
  rows.push_back({"--quiet", "only warnings on stderr, no progress", ""});
  rows.push_back({"--help", "show this", ""});
  return rows;
}

std::string row_text(Row const& row) {
  std::string const left = "  " + row.left;
  std::string words = wrapped(row.words, kColumn, kWidth);
  if (left.size() + 2 > kColumn) return wrapped(row.left, 2) + words;
  return left + words.substr(left.size());
}

std::string usage_of(Spec const& spec) {
  std::string usage = "folio " + spec.name;
  for (Positional const& p : spec.positionals) {
    std::string const name = p.name + (p.most > 1 && !p.name.ends_with("…") ? "…" : "");
    usage += p.least == 0 ? fmt::format(" [{}]", name) : " " + name;
  }
  return usage + " [flags]";
}

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
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

std::string help_text(Spec const& spec) {
  std::string out = wrapped(fmt::format("folio {}: {}", spec.name, spec.summary), 0);
  out += "\nusage:\n" + wrapped(usage_of(spec), 2);
  if (!spec.details.empty()) out += '\n' + wrapped(spec.details, 0);
  if (!spec.positionals.empty()) out += '\n';
  for (Positional const& p : spec.positionals) out += row_text({p.name, p.help, ""});
  std::vector<Row> const rows = rows_of(spec);
  std::vector<std::string> groups;  // in the order of the fields; flags without one come last
  for (Row const& row : rows)
    if (!row.group.empty() && std::ranges::find(groups, row.group) == groups.end()) groups.push_back(row.group);
  groups.emplace_back();
  for (std::string const& group : groups) {
    out += fmt::format("\n{}:\n", group.empty() ? groups.size() == 1 ? "flags" : "Other" : group);
    for (Row const& row : rows)
      if (row.group == group) out += row_text(row);
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

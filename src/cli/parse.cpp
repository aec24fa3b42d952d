// From arguments to fields. A walk over the words gives each slip its own sentence, CLI11 sorts flags from the rest,
// and the fields read their texts, so that flag, environment and file have one reader.
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>

#include "cli/verb.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"

namespace folio::cli {

namespace {

constexpr uint64_t kLargestConfig = uint64_t{1} << 20;

std::function<void(Spec const&)> const* spec_reader = nullptr;  // see with_spec

bool is_switch(Field const& field) { return std::holds_alternative<bool*>(field.value); }

/// The flags of a verb with those that the frame adds.
struct Flags {
  bool help = false, quiet = false;
  std::string config;
  std::vector<std::string> set;
  Fields fields;
  std::vector<std::string> names;  // as they are written

  explicit Flags(Spec const& spec) : fields(spec.fields) {
    fields.emplace_back("help", &help, "");
    fields.emplace_back("quiet", &quiet, "");
    if (spec.configurable) {
      fields.emplace_back("config", &config, "");
      fields.emplace_back("set", &set, "");
    }
    for (Field const& field : fields) {
      names.push_back("--" + field.name);
      if (is_switch(field)) names.push_back("--no-" + field.name);
    }
  }
  Flags(Flags const&) = delete;  // fields point into it

  bool has(std::string_view word) const { return std::ranges::find(names, word) != names.end(); }
};

[[noreturn]] void unknown_flag(Spec const& spec, Flags const& flags, std::string const& word) {
  std::string const name = word.substr(0, word.find('='));
  std::string const near = nearest(name, flags.names);
  fail(Fault::usage, "{} has no flag {}{} (folio {} --help lists them)", spec.name, name,
       near.empty() ? "" : fmt::format("; did you mean {}?", near), spec.name);
}

/// The words before "--", `--flag=value` as two words, and each flag known and followed by its value.
std::vector<std::string> checked_words(Spec const& spec, Flags const& flags, Arguments const& words) {
  std::vector<std::string> out;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string const& word = words[i];
    if (word == "-h") {
      out.push_back("--help");
      continue;
    }
    bool const number = word.size() > 1 && (std::isdigit(static_cast<unsigned char>(word[1])) || word[1] == '.');
    if (word.size() < 2 || word[0] != '-' || number) {  // "-" is stdin
      out.push_back(word);
      continue;
    }
    size_t const equals = word.find('=');
    std::string const name = word.substr(0, equals);
    if (!flags.has(name)) unknown_flag(spec, flags, word);
    Field const* field = find(flags.fields, std::string_view(name).substr(2));
    if (!field || is_switch(*field)) {
      out.push_back(word);
      continue;
    }
    out.push_back(name);
    if (equals != word.npos) {
      out.push_back(word.substr(equals + 1));
      continue;
    }
    check(i + 1 < words.size(), Fault::usage, "{} needs a value: {} {}", name, name, type_name(*field));
    std::string const& value = words[++i];
    check(!flags.has(value), Fault::usage, "{} needs a value, and {} is a flag; write {}={} if it is meant", name,
          value, name, value);
    out.push_back(value);
  }
  return out;
}

struct Given {
  std::map<std::string, std::vector<std::string>> flags;  // by field
  Arguments rest;
};

Given sort(Spec const& spec, Flags const& flags, Arguments const& arguments) {
  auto const end = std::ranges::find(arguments, "--");
  std::vector<std::string> words = checked_words(spec, flags, {arguments.begin(), end});
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option*> options;
  for (Field const& field : flags.fields) {
    std::string const name = "--" + field.name;
    options.push_back(is_switch(field) ? app.add_flag(name + ",!--no-" + field.name)
                                       : app.add_option(name, CLI::callback_t{})->expected(1));
    options.back()->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  }
  std::ranges::reverse(words);
  try {
    app.parse(std::move(words));
  } catch (CLI::ParseError const& e) {
    fail(Fault::usage, "{}: {} (folio {} --help lists the flags)", spec.name, e.what(), spec.name);
  }
  Given given;
  for (size_t i = 0; i < options.size(); ++i)
    if (options[i]->count() > 0) given.flags[flags.fields[i].name] = options[i]->results();
  given.rest = app.remaining();
  if (end != arguments.end()) given.rest.insert(given.rest.end(), end + 1, arguments.end());
  return given;
}

void replace(Field const& field, std::vector<std::string> const& texts, std::string const& origin) {
  if (auto* const list = std::get_if<std::vector<std::string>*>(&field.value)) (*list)->clear();
  for (std::string const& text : texts) set(field, text, origin);
}

void take_file(Spec const& spec, std::string const& file, Origins& origins) {
  std::vector<int64_t> lines;
  auto const names = from_toml(spec.fields, read_file(file, kLargestConfig), file, &lines);
  for (size_t i = 0; i < names.size(); ++i) origins[names[i]] = {"config", file, lines[i]};
}

void take_settings(Spec const& spec, std::vector<std::string> const& settings, Origins& origins) {
  std::map<std::string, std::vector<std::string>> texts;  // a list may be set item by item
  for (std::string const& setting : settings) {
    size_t const equals = setting.find('=');
    check(equals != setting.npos && equals > 0, Fault::usage, "--set {}: expected key=value", setting);
    std::string const key = setting.substr(0, equals);
    if (!find(spec.fields, key)) {
      std::vector<std::string> known;
      for (Field const& field : spec.fields) known.push_back(field.name);
      std::string const near = nearest(key, known);
      fail(Fault::usage, "--set {}: there is no \"{}\"{}", setting, key,
           near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
    texts[key].push_back(setting.substr(equals + 1));
  }
  for (auto const& [key, values] : texts) {
    replace(*find(spec.fields, key), values, "--set " + key);
    origins[key] = {"set", "--set " + key};
  }
}

void take_environment(Spec const& spec, Origins& origins) {
  for (Field const& field : spec.fields) {
    std::string const name = variable_of(field);
    char const* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (!value || !*value) continue;
    replace(field, {value}, name);
    origins[field.name] = {"environment", name};
  }
}

void check_choice(Spec const& spec, Positional const& p, std::string const& value) {
  if (p.choices.empty() || std::ranges::find(p.choices, value) != p.choices.end()) return;
  std::string const near = nearest(value, p.choices);
  fail(Fault::usage, "{} takes {} here, not \"{}\"{}", spec.name, fmt::join(p.choices, ", "), value,
       near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

void take_positionals(Spec const& spec, Arguments const& rest) {
  size_t least = 0, most = 0;
  std::string usage;
  for (Positional const& p : spec.positionals) {
    least += p.least;
    most = p.most == SIZE_MAX ? SIZE_MAX : most + p.most;
    usage += (usage.empty() ? "" : " ") + p.name;
  }
  check(rest.size() <= most, Fault::usage, "{} takes {}; \"{}\" is one too many", spec.name,
        most == 0 ? "no argument" : usage, rest.empty() ? "" : rest[std::min(most, rest.size() - 1)]);
  size_t spare = rest.size() >= least ? rest.size() - least : 0, next = 0;
  for (Positional const& p : spec.positionals) {
    size_t const here = std::min(rest.size() - next, std::min(p.most, p.least + spare));
    check(here >= p.least, Fault::usage, "{} needs {}: {} (folio {} --help shows an example)", spec.name, p.name,
          p.help, spec.name);
    spare -= std::min(spare, here - p.least);
    p.values->assign(rest.begin() + static_cast<std::ptrdiff_t>(next),
                     rest.begin() + static_cast<std::ptrdiff_t>(next + here));
    next += here;
    for (std::string const& value : *p.values) check_choice(spec, p, value);
  }
}

}  // namespace

std::string variable_of(Field const& field) { return field.range.by_flag_only ? "" : environment_name(field.name); }

void with_spec(Verb const& verb, std::function<void(Spec const&)> const& read) {
  spec_reader = &read;
  verb.run({"--help"});
  spec_reader = nullptr;
}

bool parse(Spec const& spec, Arguments const& arguments, Origins* given_origins) {
  if (spec_reader) {
    (*spec_reader)(spec);
    return false;
  }
  Flags flags(spec);
  auto const options_end = std::ranges::find(arguments, "--");
  auto const asks = [&](char const* word) { return std::find(arguments.begin(), options_end, word) != options_end; };
  if (asks("--help") || asks("-h")) {
    print(asks("--json") ? help_json(spec) : help_text(spec));
    return false;
  }
  Given const given = sort(spec, flags, arguments);
  auto const take = [&](Field const& field) {
    auto const found = given.flags.find(field.name);
    if (found == given.flags.end()) return false;
    replace(field, found->second, "--" + field.name);
    return true;
  };
  if (char const* const value = std::getenv("FOLIO_QUIET"); value && *value)
    set(*find(flags.fields, "quiet"), value, "FOLIO_QUIET");
  for (Field const& field : flags.fields)
    if (!find(spec.fields, field.name)) take(field);
  if (flags.quiet) set_quiet(true);
  Origins origins;
  if (!flags.config.empty()) take_file(spec, flags.config, origins);
  take_settings(spec, flags.set, origins);
  take_environment(spec, origins);
  for (Field const& field : spec.fields)
    if (take(field)) origins[field.name] = {"flag", "--" + field.name};
  take_positionals(spec, given.rest);
  if (given_origins) *given_origins = std::move(origins);
  return true;
}

void refuse_idle(Fields const& fields, Origins const& given) {
  for (Field const& field : fields) {
    auto const found = given.find(field.name);
    if (found == given.end()) continue;
    std::string const& kind = found->second.kind;
    if (kind != "flag" && kind != "set" && kind != "setting") continue;
    std::string const why = idle(fields, field, found->second.text());
    check(why.empty(), Fault::value, "{}", why);
  }
}

}  // namespace folio::cli

// folio completion SHELL: a script for bash, zsh or fish, made from the table of verbs and the fields of each, so that
// it knows every verb, flag and choice that the parser knows.
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/verbs.h"
#include "core/error.h"

namespace folio::cli {
namespace {

struct Described {  // a verb
  std::string name, summary;
  std::vector<Flag> flags;
  Candidates arguments;
};

std::vector<Described> all_verbs() {
  std::vector<Described> all;
  std::vector<std::string> names;
  for (Verb const& verb : verbs()) {
    names.emplace_back(verb.name);
    with_spec(verb, [&](Spec const& spec) {
      all.push_back({verb.name, verb.summary, flags_of(spec), candidates_of(spec)});
    });
  }
  all.push_back({"help", "the flags of a verb", {{.name = "json", .help = "for programs to read"}}, {.words = names}});
  return all;
}

std::vector<std::string> names_of(Described const& verb) {  // of its flags, as they are typed
  std::vector<std::string> names;
  for (Flag const& flag : verb.flags) {
    names.push_back("--" + flag.name);
    if (flag.on) names.push_back("--no-" + flag.name);
  }
  return names;
}

// bash ---------------------------------------------------------------------------------------------------------------

std::string bash_case(std::string const& pattern, Candidates const& c) {
  std::string out = fmt::format("    {})", pattern);
  if (!c.words.empty()) out += fmt::format(" words='{}'", fmt::join(c.words, " "));
  if (c.paths) out += " paths=1";
  return out + " ;;\n";
}

std::string bash(std::vector<Described> const& all) {
  std::vector<std::string> names;
  std::string flags, values, arguments;
  for (Described const& verb : all) {
    names.push_back(verb.name);
    flags += fmt::format("    {}) words='{}' ;;\n", verb.name, fmt::join(names_of(verb), " "));
    for (Flag const& flag : verb.flags)
      if (!flag.type.empty()) values += bash_case(fmt::format("{}:--{}", verb.name, flag.name), candidates_of(flag));
    arguments += bash_case(verb.name, verb.arguments);
  }
  return fmt::format(R"(# Completion of folio in bash; written by `folio completion bash`.

_folio_flags() {{
  case $1 in
{}  esac
}}

# The value of a flag; fails where the flag takes none.
_folio_value() {{
  case $1 in
{}    *) return 1 ;;
  esac
}}

_folio_argument() {{
  case $1 in
{}  esac
}}

_folio() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} verb=${{COMP_WORDS[1]}} words='' paths=''
  COMPREPLY=()
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $before == '=' ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  if ((COMP_CWORD == 1)); then
    words='{} --help --version'
  elif ! _folio_value "$verb:$before"; then
    if [[ $cur == -* ]]; then _folio_flags "$verb"; else _folio_argument "$verb"; fi
  fi
  if [[ $words ]]; then mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"); fi
  if [[ $paths ]]; then
    local path
    while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen -f -- "$cur")
    compopt -o filenames 2>/dev/null
  fi
}}
complete -F _folio folio
)",
                     flags, values, arguments, fmt::join(names, " "));
}

// zsh ----------------------------------------------------------------------------------------------------------------

std::string zsh_text(std::string_view text) {  // within [ ] and before a colon
  std::string out;
  for (char const c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_action(Candidates const& c) {
  std::string const words = fmt::format("{}", fmt::join(c.words, " "));
  if (!c.words.empty() && c.paths) return " _folio_or_file " + words;  // a blank: called with these words and no more
  return c.paths ? "_files" : c.words.empty() ? " " : "(" + words + ")";
}

std::string zsh(std::vector<Described> const& all) {
  std::string verbs, cases;
  for (Described const& verb : all) {
    verbs += "    " + shell_quoted(zsh_text(verb.name) + ":" + verb.summary) + '\n';
    cases += fmt::format("    {})\n      _arguments -S", verb.name);
    for (Flag const& flag : verb.flags) {
      std::string const star = flag.repeats ? "*" : "";
      std::string one = fmt::format("{}--{}{}[{}]", star, flag.name, flag.type.empty() ? "" : "=", zsh_text(flag.help));
      if (!flag.type.empty()) one += ":" + zsh_text(flag.type) + ":" + zsh_action(candidates_of(flag));
      cases += " \\\n        " + shell_quoted(one);
      if (flag.on)
        cases += " \\\n        " + shell_quoted(fmt::format("--no-{}[{}: off]", flag.name, zsh_text(flag.help)));
    }
    if (verb.arguments.paths || !verb.arguments.words.empty())
      cases += " \\\n        " + shell_quoted("*:argument:" + zsh_action(verb.arguments));
    cases += "\n      ;;\n";
  }
  return fmt::format(R"(#compdef folio
# Completion of folio in zsh; written by `folio completion zsh`.

_folio_or_file() {{
  _alternative 'words:word:('"$*"')' 'files:file:_files'
}}

_folio() {{
  local -a verbs
  verbs=(
{}  )
  if ((CURRENT == 2)); then
    _describe -t verbs verb verbs
    _values flag '--help[what there is]' '--version[what it is built from]'
    return
  fi
  local verb=${{words[2]}}
  shift words
  ((CURRENT--))
  case $verb in
{}  esac
}}

if [[ ${{funcstack[1]}} == _folio ]]; then _folio "$@"; else compdef _folio folio; fi
)",
                     verbs, cases);
}

// fish ---------------------------------------------------------------------------------------------------------------

std::string fish_text(std::string_view text) {  // in single quotes \\ and ' are escaped
  std::string out = "'";
  for (char const c : text) (c == '\'' || c == '\\') ? (out += '\\') += c : out += c;
  return out + "'";
}

std::string fish_values(Candidates const& c) {
  std::string out = c.paths ? " -F" : " -f";
  if (!c.words.empty()) out += fmt::format(" -a '{}'", fmt::join(c.words, " "));
  return out;
}

std::string fish(std::vector<Described> const& all) {
  std::string out =
      "# Completion of folio in fish; written by `folio completion fish`.\n\n"
      "complete -c folio -f\n"
      "complete -c folio -n __fish_use_subcommand -l help -d 'what there is'\n"
      "complete -c folio -n __fish_use_subcommand -l version -d 'what it is built from'\n";
  for (Described const& verb : all)
    out += fmt::format("complete -c folio -n __fish_use_subcommand -a {} -d {}\n", verb.name, fish_text(verb.summary));
  for (Described const& verb : all) {
    std::string const begin = fmt::format("complete -c folio -n '__fish_seen_subcommand_from {}'", verb.name);
    out += '\n';
    if (verb.arguments.paths || !verb.arguments.words.empty()) out += begin + fish_values(verb.arguments) + '\n';
    for (Flag const& flag : verb.flags) {
      std::string const value = flag.type.empty() ? "" : " -r" + fish_values(candidates_of(flag));
      out += fmt::format("{} -l {}{} -d {}\n", begin, flag.name, value, fish_text(flag.help));
      if (flag.on) out += fmt::format("{} -l no-{} -d {}\n", begin, flag.name, fish_text(flag.help + ": off"));
    }
  }
  return out;
}

}  // namespace

int completion(Arguments const& arguments) {
  std::vector<std::string> shell;
  Spec const spec{.name = "completion",
                  .summary = "completion of folio's verbs, flags and choices in a shell",
                  .details =
                      "Prints a script. An installed folio has it where the shells look; else let the shell's start-up "
                      "read it, or put it there: for bash ~/.local/share/bash-completion/completions/folio, for zsh a "
                      "file _folio in a folder of $fpath, for fish ~/.config/fish/completions/folio.fish.",
                  .example = "source <(folio completion bash)\nfolio completion zsh >~/.zfunc/_folio",
                  .positionals = {{"SHELL", &shell, "bash, zsh or fish", 1, 1, {"bash", "zsh", "fish"}}}};
  if (!parse(spec, arguments)) return 0;
  auto const all = all_verbs();
  print(shell[0] == "bash" ? bash(all) : shell[0] == "zsh" ? zsh(all) : fish(all));
  return 0;
}

}  // namespace folio::cli

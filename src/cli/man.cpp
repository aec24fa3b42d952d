// Manual pages, folio.1 and one a verb, in the man macros of troff, made from the table of verbs and the fields of
// each.
#include "cli/man.h"

#include <algorithm>

#include "cli/flags.h"
#include "cli/version.h"
#include "core/error.h"

namespace folio::cli {
namespace {

/// As text: a backslash and a hyphen as such, no line begun with a control character, other characters by their code.
std::string plain(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto const c = static_cast<unsigned char>(text[i]);
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else if (c == '\'') out += "\\(aq";
    else if (c == '`') out += "\\(ga";
    else if (c == '^') out += "\\(ha";
    else if (c == '~') out += "\\(ti";
    else if (c == '.' && (i == 0 || text[i - 1] == '\n')) out += "\\&.";
    else if (c < 0x80) out += text[i];
    else {  // UTF-8, valid: it is folio's own
      int const more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
      uint32_t point = c & (0x3Fu >> more);
      for (int k = 0; k < more; ++k) point = point << 6 | (static_cast<unsigned char>(text[++i]) & 0x3Fu);
      out += fmt::format("\\[u{:04X}]", point);
    }
  }
  return out;
}

std::string begin(std::string const& name, std::string const& words) {
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return fmt::format(".TH {} 1 \"{}\" \"folio {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", plain(upper),
                     version_date(), version_number(), plain(name), plain(words));
}

std::string paragraphs(std::string_view text) {
  std::string out;
  for (std::string const& line : lines_of(text)) out += (out.empty() ? "" : ".PP\n") + plain(line) + '\n';
  return out;
}

std::string item(std::string const& name, std::string const& words) {
  return fmt::format(".TP\n.B {}\n{}\n", plain(name), plain(words));
}

std::string examples(std::string_view text) {
  std::string out = ".SH EXAMPLES\n.nf\n";
  for (std::string const& line : lines_of(text)) out += plain(line) + '\n';
  return out + ".fi\n";
}

constexpr struct {
  Fault fault;
  char const* words;
} kCodes[] = {{Fault{0}, "done"},
              {Fault::failed, "failed; also ended by a second signal"},
              {Fault::usage, "the command line cannot be read"},
              {Fault::diverged, "training diverged or was aborted"},
              {Fault::content, "an input's content is wrong, or one kind was given for another"},
              {Fault::missing, "an input is not there"},
              {Fault::device, "the device is not available"},
              {Fault::bug, "a mistake of folio's own"},
              {Fault::memory, "out of memory"},
              {Fault::exists, "an output directory exists"},
              {Fault::io, "reading or writing failed"},
              {Fault::stopped, "stopped as asked, a checkpoint is saved, --resume goes on"},
              {Fault::value, "a readable value is out of range or contradicts another"}};

}  // namespace

std::string man_page(Spec const& spec) {
  std::string out = begin("folio-" + spec.name, spec.summary);
  out += ".SH SYNOPSIS\n.B " + plain(usage_of(spec)) + '\n';
  if (!spec.details.empty()) out += ".SH DESCRIPTION\n" + paragraphs(spec.details);
  if (!spec.positionals.empty()) out += ".SH ARGUMENTS\n";
  for (Positional const& p : spec.positionals) out += item(p.name, p.help);
  out += ".SH OPTIONS\n";
  std::vector<Flag> const flags = flags_of(spec);
  std::vector<std::string> const groups = groups_of(flags);
  for (std::string const& group : groups) {
    if (groups.size() > 1) out += fmt::format(".SS {}\n", group.empty() ? "Other" : plain(group));
    for (Flag const& flag : flags)
      if (flag.group == group) out += item(written(flag), explained(flag));
  }
  return out + examples(spec.example) + ".SH SEE ALSO\n.BR folio (1)\n";
}

std::string man_page(std::vector<Verb> const& verbs, std::string const& description, std::string const& example) {
  std::string out = begin("folio", "a GPT-2 system in one program");
  out += ".SH SYNOPSIS\n.B folio\n.I VERB\n[arguments] [flags]\n.SH DESCRIPTION\n" + paragraphs(description);
  out += ".SH VERBS\n";
  for (Verb const& verb : verbs)
    out += fmt::format(".TP\n.BR folio\\-{} (1)\n{}\n", plain(verb.name), plain(verb.summary));
  out += ".SH ENVIRONMENT\n" +
         item("FOLIO_NAME",
              "sets the flag --name where it is not given, but for --data, export's --dtype and bench's --prompt") +
         item("FOLIO_DATA", "the data directory; else $XDG_DATA_HOME/folio, else $HOME/.local/share/folio") +
         item("FOLIO_PLUGINS", "the folder in which folio-cuda.so is looked for first") +
         item("NO_COLOR, TERM, COLUMNS", "whether there is colour, and how wide the terminal is");
  out += ".SH EXIT STATUS\n";
  for (auto const& [fault, words] : kCodes) out += item(std::to_string(static_cast<int>(fault)), words);
  return out + examples(example);
}

}  // namespace folio::cli

// Fields as TOML: written by hand, so that floats keep their shortest exact form and each key its help; read by toml++.
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "core/fields_text.h"
#include "core/toml.h"

namespace folio {

namespace {

constexpr size_t kLimit = size_t{1} << 20;  // of a configuration file, in bytes
constexpr int64_t kVersion = 1;             // of the format, not of a field's meaning
constexpr char const* kVersionKey = "version";
constexpr int kMostParts = 64;  // of a dotted name

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto const byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f) out += fmt::format("\\u{:04X}", byte);
    else out += c;
  }
  return out + '"';
}

struct Writer {
  std::string operator()(bool* v) const { return *v ? "true" : "false"; }
  std::string operator()(int64_t* v) const { return fmt::format("{}", *v); }
  std::string operator()(uint64_t* v) const {  // TOML's integers end at 2⁶³ − 1
    return *v <= static_cast<uint64_t>(INT64_MAX) ? fmt::format("{}", *v) : fmt::format("\"{}\"", *v);
  }
  std::string operator()(double* v) const {
    std::string const text = fmt::format("{}", *v);
    return text.find_first_not_of("-0123456789") == text.npos ? text + ".0" : text;
  }
  std::string operator()(std::string* v) const { return quoted(*v); }
  std::string operator()(std::vector<std::string>* v) const {
    std::vector<std::string> items;
    for (std::string const& item : *v) items.push_back(quoted(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
};

struct Expected {
  char const* operator()(bool*) const { return "true or false"; }
  char const* operator()(double*) const { return "a number"; }
  char const* operator()(std::string*) const { return "a text in quotes"; }
  char const* operator()(std::vector<std::string>*) const { return "a list of texts in quotes"; }
  char const* operator()(auto*) const { return "a whole number"; }
};

}  // namespace

std::string place(std::string const& name, toml::node const& node, std::string_view key) {
  return fmt::format("{}, line {}, {}", name, node.source().begin.line, key);
}

std::string text_of_node(Field const& field, toml::node const& node, std::string const& origin) {
  bool const text_field = std::holds_alternative<std::string*>(field.value) ||
                          std::holds_alternative<std::vector<std::string>*>(field.value);
  if (auto const text = node.value_exact<std::string>())
    if (text_field || std::holds_alternative<uint64_t*>(field.value)) return *text;
  if (auto const truth = node.value_exact<bool>())
    if (std::holds_alternative<bool*>(field.value)) return *truth ? "true" : "false";
  bool const number_field = !text_field && !std::holds_alternative<bool*>(field.value);
  if (auto const whole = node.value_exact<int64_t>())
    if (number_field) return fmt::format("{}", *whole);
  if (auto const number = node.value_exact<double>())
    if (std::holds_alternative<double*>(field.value)) return fmt::format("{}", *number);
  fail(Fault::content, "{}: expected {}", origin, std::visit(Expected{}, field.value));
}

void set_node(Field const& field, toml::node const& node, std::string const& origin) {
  auto* const list = std::get_if<std::vector<std::string>*>(&field.value);
  auto const set = [&](toml::node const& item) {
    std::string const text = text_of_node(field, item, origin);
    try {
      folio::set(field, text, origin);
    } catch (Error const& e) {
      fail(e.fault == Fault::usage ? Fault::content : e.fault, "{}", e.what());  // no command line is at fault
    }
  };
  if (!list) return set(node);
  toml::array const* items = node.as_array();
  check(items, Fault::content, "{}: expected a list of texts in quotes", origin);
  (*list)->clear();  // the file's list is the value, not an addition to the default
  for (toml::node const& item : *items) set(item);
}

std::string to_toml(Fields const& fields, std::function<std::string(Field const&)> const& comment) {
  std::string out = fmt::format("{:<30}  # of this format\n", fmt::format("{} = {}", kVersionKey, kVersion));
  for (Field const& field : fields) {
    std::string const line = fmt::format("{} = {}", field.name, std::visit(Writer{}, field.value));
    std::string words = comment ? comment(field) : field.help;
    std::ranges::replace_if(
        words, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');  // a file's name
    out += words.empty() ? line + "\n" : fmt::format("{:<30}  # {}\n", line, words);
  }
  return out;
}

namespace {

// toml++ 3.0 takes a character above ASCII between keys and values, and in a value that is no string, into a branch
// that it declares unreachable. TOML has none there but in quotes and comments, so such a text is refused before it is
// parsed. What looks like quotes, brackets or an equals sign within a bare value is none to its parser, which reads on;
// behind a dot, or three where no value begins, quotes may be either: folio writes and needs none of them. Nor does it
// need a backslash that joins lines, behind which the parser asks the same of each character.
class Letters {
 public:
  Letters(std::string_view text, std::string const& name) : text_(text), name_(name) {}

  void check_all() {
    for (; at_ < text_.size(); ++at_) {
      char const c = text_[at_];
      if (c == '\n') ++line_;
      if (open_ == "#" || (open_.size() == 1 && c == '\n')) {
        if (c == '\n') open_ = {}, bare(c);
      } else if (!open_.empty()) {
        quoted(c);
      } else if (c == '"' || c == '\'') {
        quote(c);
      } else if (c == '#') {
        open_ = "#";
      } else {
        bare(c);
      }
    }
  }

 private:
  void expect(bool fits, std::string_view why) const {
    check(fits, Fault::content, "{}, line {}: {}", name_, line_, why);
  }
  bool begins() const { return std::string_view("\n\r=[,{").find(before_) != std::string_view::npos; }

  void quote(char c) {
    expect(before_ != '.', "a quote behind a dot: leave the quotes of a name away, and give a number digits there");
    expect(begins(), "not TOML: a quote inside a value");
    std::string_view const triple = c == '"' ? R"(""")" : "'''";
    open_ = text_.substr(at_).starts_with(triple) ? triple : triple.substr(2);
    expect(open_.size() == 1 || before_ == '=', "three quotes that do not stand behind an equals sign: give one");
    at_ += open_.size() - 1;
  }
  void quoted(char c) {
    if (c == '\\' && open_.front() == '"' && at_ + 1 < text_.size()) {
      char const next = text_[++at_];
      expect(next > ' ' && static_cast<unsigned char>(next) < 0x80,
             "a backslash before a blank, a line's end or a letter that is not ASCII: leave it away, or give \\n for a "
             "new line");
    } else if (text_.substr(at_).starts_with(open_)) {
      at_ += open_.size() - 1;
      for (int more = 0; more < 2 && open_.size() == 3 && at_ + 1 < text_.size() && text_[at_ + 1] == c; ++more) ++at_;
      open_ = {}, before_ = c;
    }
  }
  void bare(char c) {
    expect(static_cast<unsigned char>(c) < 0x80, "not TOML: a letter that is not ASCII outside of quotes");
    expect((c != '[' && c != '{') || begins(), "not TOML: a bracket inside a value");
    expect(c != '=' || !in_value_, "not TOML: an equals sign inside a value");
    if (c == '.') ++parts_;
    else if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) parts_ = 0;
    check(parts_ < kMostParts, Fault::content, "{}, line {}: a name of more than {} parts", name_, line_, kMostParts);
    if (c == '{' || (c == '[' && in_value_)) brackets_ += c;  // the others are a section's
    else if (!brackets_.empty() && c == (brackets_.back() == '[' ? ']' : '}')) brackets_.pop_back(), in_value_ = true;
    else if (c == '=') in_value_ = true;
    if (c == '{' || (c == ',' && brackets_.ends_with('{')) || (c == '\n' && brackets_.empty())) in_value_ = false;
    if (c != ' ' && c != '\t') before_ = c;
  }

  std::string_view text_;
  std::string const& name_;
  size_t at_ = 0;
  int64_t line_ = 1;
  std::string_view open_;  // the quotes that a string ends with, or # in a comment
  char before_ = '\n';     // the last character that is no blank
  int parts_ = 0;          // of a dotted name: toml++ calls itself for each
  std::string brackets_;   // of the value that are open
  bool in_value_ = false;
};

}  // namespace

void refuse_toml(char const* expected) { fail(Fault::content, "not TOML ({} was expected)", expected); }

toml::table parse_toml(std::string_view text, std::string const& name) {
  check(text.size() <= kLimit, Fault::content, "{} holds {} bytes; a configuration has at most {}", name, text.size(),
        kLimit);
  Letters(text, name).check_all();
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (toml::parse_error const& e) {
    fail(Fault::content, "{}, line {}: not TOML: {}", name, e.source().begin.line, e.description());
  } catch (Error const& e) {  // of refuse_toml
    fail(Fault::content, "{}: {}", name, e.what());
  }
  if (toml::node const* const node = table.get(kVersionKey)) {  // a file written by hand may be without
    auto const version = node->value_exact<int64_t>();
    check(version.has_value(), Fault::content, "{}: expected a whole number", place(name, *node, kVersionKey));
    check(*version <= kVersion, Fault::content, "{} has version {}, this folio reads up to {}: use a newer folio", name,
          *version, kVersion);
    check(*version >= 1, Fault::content, "{} has version {}: there is none of that number, they begin at 1", name,
          *version);
    table.erase(kVersionKey);
  }
  return table;
}

std::vector<std::string> from_toml(Fields const& fields, std::string_view text, std::string const& name,
                                   std::vector<int64_t>* lines) {
  toml::table const table = parse_toml(text, name);
  std::vector<std::pair<Field const*, toml::node const*>> found;
  for (auto const& [key, node] : table) {
    Field const* field = find(fields, key.str());
    if (!field) fail(Fault::content, "{}", place(name, node, unknown_key(fields, key.str())));
    found.emplace_back(field, &node);
  }
  std::vector<std::string> names;
  for (auto const& [field, node] : found) {
    set_node(*field, *node, place(name, *node, field->name));
    names.push_back(field->name);
    if (lines) lines->push_back(node->source().begin.line);
  }
  return names;
}

}  // namespace folio

#include "core/fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/fields_json.h"
#include "core/fields_text.h"

namespace folio {

namespace {

std::string shown(std::string_view text) {
  return text.size() <= 80 ? std::string(text) : std::string(text.substr(0, 80)) + "…";
}

[[noreturn]] void unreadable(std::string const& origin, std::string_view text, char const* expected) {
  fail(Fault::usage, "{}: \"{}\" cannot be read: expected {}", origin, shown(text), expected);
}

std::string allowed(Range const& range) {
  bool const low = std::isfinite(range.min), high = std::isfinite(range.max);
  std::string const min = fmt::format("{} {}", range.above_min ? "above" : "at least", range.min);
  std::string const max = fmt::format("{} {}", range.below_max ? "below" : "at most", range.max);
  return low && high ? min + " and " + max : low ? min : high ? max : "a finite number";
}

template <class T>
void keep_to(Range const& range, T value, std::string const& origin) {
  long double const v = static_cast<long double>(value);  // holds every 64-bit number exactly
  bool const ok = std::isfinite(v) && (range.above_min ? v > range.min : v >= range.min) &&
                  (range.below_max ? v < range.max : v <= range.max);
  check(ok, Fault::value, "{}: {} is out of range: expected {}", origin, value, allowed(range));
}

bool is_choice(std::string_view choice, std::string_view value) {
  if (!choice.ends_with(":N")) return value == choice;
  choice.remove_suffix(1);
  if (!value.starts_with(choice)) return false;
  value.remove_prefix(choice.size());
  return !value.empty() && value.size() <= 4 && value.find_first_not_of("0123456789") == value.npos;
}

void keep_to(Range const& range, std::string const& value, std::string const& origin) {
  auto const& choices = range.choices;
  if (choices.empty() || std::ranges::any_of(choices, [&](auto const& c) { return is_choice(c, value); })) return;
  std::string near = nearest(value, choices);
  if (near.ends_with('N')) near.back() = '0';
  fail(Fault::value, "{}: \"{}\" is none of {}{}", origin, shown(value), fmt::join(choices, ", "),
       near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

template <class T>
T read_number(std::string_view text, std::string const& origin, char const* expected) {
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  if constexpr (std::is_unsigned_v<T>) {
    bool const negative =
        digits.size() > 1 && digits[0] == '-' && digits.find_first_not_of("0123456789", 1) == digits.npos;
    check(!negative, Fault::value, "{}: {} is out of range: expected at least 0", origin, shown(text));
  }
  T value{};
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size()) unreadable(origin, text, expected);
  check(error == std::errc{}, Fault::value, "{}: {} is beyond what can be held", origin, shown(text));
  return value;
}

bool read_switch(std::string_view text, std::string const& origin) {
  for (char const* yes : {"true", "1", "yes", "on"})
    if (text == yes) return true;
  for (char const* no : {"false", "0", "no", "off"})
    if (text == no) return false;
  unreadable(origin, text, "true or false");
}

struct Setter {
  Field const& field;
  std::string_view text;
  std::string const& origin;

  void operator()(bool* v) const { *v = read_switch(text, origin); }
  void operator()(int64_t* v) const { assign(v, read_number<int64_t>(text, origin, "a whole number")); }
  void operator()(uint64_t* v) const { assign(v, read_number<uint64_t>(text, origin, "a whole number")); }
  void operator()(double* v) const { assign(v, read_number<double>(text, origin, "a number")); }
  void operator()(std::string* v) const { assign(v, std::string(text)); }
  void operator()(std::vector<std::string>* v) const {
    std::string item(text);
    keep_to(field.range, item, origin);
    v->push_back(std::move(item));
  }
  template <class T>
  void assign(T* v, T value) const {
    keep_to(field.range, value, origin);
    *v = std::move(value);
  }
};

struct Writer {
  std::string operator()(bool* v) const { return *v ? "true" : "false"; }
  std::string operator()(std::string* v) const { return *v; }
  std::string operator()(std::vector<std::string>* v) const { return fmt::format("{}", fmt::join(*v, ", ")); }
  std::string operator()(auto* number) const { return fmt::format("{}", *number); }
};

struct Namer {
  char const* operator()(bool*) const { return ""; }
  char const* operator()(double*) const { return "X"; }
  char const* operator()(std::string*) const { return "TEXT"; }
  char const* operator()(std::vector<std::string>*) const { return "TEXT"; }
  char const* operator()(auto*) const { return "N"; }
};

}  // namespace

void set(Field const& field, std::string_view text, std::string const& origin) {
  std::visit(Setter{field, text, origin}, field.value);
}

std::string text_of(Field const& field) { return std::visit(Writer{}, field.value); }

std::string type_name(Field const& field) {
  if (!field.range.form.empty()) return field.range.form;
  if (!field.range.choices.empty()) return fmt::format("{}", fmt::join(field.range.choices, "|"));
  return std::visit(Namer{}, field.value);
}

Field const* find(Fields const& fields, std::string_view name) {
  auto const found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

namespace {

struct AboveZero {
  bool operator()(int64_t* v) const { return *v > 0; }
  bool operator()(uint64_t* v) const { return *v > 0; }
  bool operator()(double* v) const { return *v > 0; }
  bool operator()(auto*) const { return true; }
};

bool holds(Condition const& c, Field const& other) {
  if (c.values.empty()) return std::visit(AboveZero{}, other.value);
  std::string const value = text_of(other);
  return std::ranges::any_of(c.values, [&](std::string const& v) { return is_choice(v, value); });
}

std::string wanted(Condition const& c) {
  if (c.values.empty()) return fmt::format("a --{} above 0", c.option);
  std::string all = "--" + c.option;
  for (size_t i = 0; i < c.values.size(); ++i)
    all += (i == 0 ? " " : i + 1 == c.values.size() ? " or " : ", ") + c.values[i];
  return all;
}

}  // namespace

std::string idle(Fields const& fields, Field const& field, std::string const& origin) {
  auto const* const is_on = std::get_if<bool*>(&field.value);
  if (is_on && !**is_on) return "";
  for (Condition const& c : field.range.with) {
    Field const* const other = find(fields, c.option);
    if (!other || holds(c, *other)) continue;
    return fmt::format("{}{} with --{} {}: it counts only with {}; give that, or leave it away", origin,
                       is_on ? "" : " " + shown(text_of(field)), c.option, text_of(*other), wanted(c));
  }
  return "";
}

std::string environment_name(std::string_view field) {
  std::string name = "FOLIO_";
  for (char c : field) name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

Fields joined(std::initializer_list<Fields> lists) {
  Fields all;
  for (Fields const& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

Json to_json(Fields const& fields) {
  Json all = Json::object();
  for (Field const& field : fields) std::visit([&](auto* v) { all[field.name] = *v; }, field.value);
  return all;
}

std::string unknown_key(Fields const& fields, std::string_view given) {
  std::vector<std::string> names;
  for (Field const& field : fields) names.push_back(field.name);
  std::string const near = nearest(given, names);
  return fmt::format("there is no \"{}\"{}", shown(given), near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

namespace {

std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= name.size();) {
    size_t const end = std::min(name.find_first_of("-_", at), name.size());
    if (end > at) parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// Does `part` stand in `words`, as one of them or as the first letters of several that follow one another?
bool stands_in(std::string_view part, std::vector<std::string_view> const& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == part) return true;
    size_t n = 0;
    while (n < part.size() && i + n < words.size() && words[i + n][0] == part[n]) ++n;
    if (n == part.size() && n > 1) return true;
  }
  return false;
}

// The longest of `known` all of whose parts `given` has: batch of batch_size, lr of learning-rate.
std::string nearest_by_parts(std::string_view given, std::vector<std::string> const& known) {
  auto const words = parts_of(given);
  std::string best;
  for (std::string const& name : known) {
    auto const parts = parts_of(name);
    if (!parts.empty() && name.size() > best.size() &&
        std::ranges::all_of(parts, [&](std::string_view part) { return stands_in(part, words); }))
      best = name;
  }
  return best;
}

}  // namespace

std::string nearest(std::string_view given, std::vector<std::string> const& known) {
  std::string best;
  size_t least = 2 + given.size() / 3;
  if (given.size() > 64) return best;
  for (std::string const& word : known) {
    size_t const m = word.size();  // edits, a swap of neighbours counting one (optimal string alignment)
    std::vector<size_t> older(m + 1), above(m + 1), row(m + 1);
    for (size_t j = 0; j <= m; ++j) above[j] = j;
    for (size_t i = 1; i <= given.size(); ++i) {
      row[0] = i;
      for (size_t j = 1; j <= m; ++j) {
        row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (given[i - 1] != word[j - 1])});
        if (i > 1 && j > 1 && given[i - 1] == word[j - 2] && given[i - 2] == word[j - 1])
          row[j] = std::min(row[j], older[j - 2] + 1);
      }
      older.swap(above);
      above.swap(row);
    }
    if (above[m] < least && above[m] < std::max(given.size(), m)) {
      least = above[m];
      best = word;
    }
  }
  return best.empty() ? nearest_by_parts(given, known) : best;
}

}  // namespace folio

#include "train/groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace folio::train {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// How many letters of `name` or `glob` must change until they match; * is free (Levenshtein's distance but for that).
size_t distance(std::string_view glob, std::string_view name) {
  std::vector<size_t> row(name.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (char const letter : glob) {
    size_t diagonal = row[0];
    row[0] += letter != '*';
    for (size_t j = 1; j < row.size(); ++j) {
      size_t const above = row[j];
      row[j] = letter == '*'
                   ? std::min(above, row[j - 1])
                   : std::min({above + 1, row[j - 1] + 1, diagonal + (letter != '?' && letter != name[j - 1])});
      diagonal = above;
    }
  }
  return row.back();
}

[[noreturn]] void matches_none(std::string const& glob, std::vector<TensorRule> const& tensors) {
  auto const nearest =
      std::ranges::min_element(tensors, {}, [&](TensorRule const& t) { return distance(glob, t.name); });
  fail(Fault::value,
       "the group {} matches no tensor; the nearest is {} (folio train --show-groups lists all {}; * stands for any "
       "characters)",
       glob, nearest->name, tensors.size());
}

}  // namespace

std::string_view name_of(Optimizer::Rule rule) {
  constexpr std::string_view kNames[] = {"AdamW", "Adam", "SGD", "Muon"};
  return kNames[size_t(rule)];
}

bool decays(Decay decay, model::Spec const& spec) {
  if (decay == Decay::none || !spec.matrix) return false;
  return decay == Decay::matrices || !spec.uses.lookup;
}

Group group_from(std::string const& text) {
  char const* const form = "give \"GLOB: rate X, decay Y\" or one of the two, such as \"h.*.attn.*: rate 0.5\"";
  size_t const colon = text.find(':');
  Group group{.glob = std::string(trimmed(std::string_view(text).substr(0, colon))), .rate = {}, .decay = {}};
  check(colon != text.npos && !group.glob.empty(), Fault::usage, "the group \"{}\" cannot be read: {}", text, form);
  std::string_view rest = std::string_view(text).substr(colon + 1);
  while (true) {
    size_t const comma = std::min(rest.find(','), rest.size());
    std::string_view const part = trimmed(rest.substr(0, comma));
    size_t const blank = part.find(' ');
    std::string_view const key = part.substr(0, blank), digits = blank == part.npos ? "" : trimmed(part.substr(blank));
    double value = 0;
    auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    std::optional<double>* const to = key == "rate" ? &group.rate : key == "decay" ? &group.decay : nullptr;
    check(to && !*to && error == std::errc() && end == digits.data() + digits.size(), Fault::usage,
          "the group \"{}\" cannot be read at \"{}\": {}", text, part, form);
    check(std::isfinite(value) && value >= 0, Fault::value, "the group \"{}\": {} is {}; expected 0 or more", text, key,
          value);
    *to = value;
    if (comma == rest.size()) return group;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<TensorRule> tensor_rules(model::Config const& config, Optimizer const& base, Decay decay,
                                     std::vector<Group> const& groups) {
  std::vector<TensorRule> all;
  model::Weights names;
  names.config = config, names.blocks.resize(size_t(config.layers));
  for_each(names, [&](std::string const& name, Weight const&, model::Spec const& spec) {
    all.push_back({.name = name, .shape = spec.shape, .optimizer = base, .globs = {}});
    Optimizer& own = all.back().optimizer;
    if (!decays(decay, spec)) own.decay = 0;
    if (base.rule != Optimizer::Rule::muon) return;
    if (spec.uses.linear) own.parts = spec.parts;
    else own.rule = Optimizer::Rule::adamw;
  });
  for (Group const& group : groups) {
    bool any = false;
    for (TensorRule& t : all) {
      if (fnmatch(group.glob.c_str(), t.name.c_str(), 0) != 0) continue;
      any = true;
      t.optimizer.rate = group.rate.value_or(t.optimizer.rate);
      t.optimizer.decay = group.decay.value_or(t.optimizer.decay);
      t.globs += (t.globs.empty() ? "" : ", ") + group.glob;
    }
    if (!any) matches_none(group.glob, all);
  }
  return all;
}

}  // namespace folio::train

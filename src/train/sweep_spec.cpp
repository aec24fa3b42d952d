#include "train/sweep_spec.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "core/toml.h"

namespace folio::train {
namespace {

constexpr size_t kMostSettings = 10000;
constexpr int64_t kMostSeeds = 1000;

struct Reader {
  std::string const& name;
  Fields const& probe;

  std::string at(toml::node const& node, std::string_view key) const { return place(name, node, key); }

  [[noreturn]] void unknown(toml::node const& node, std::string_view key, std::vector<std::string> known) const {
    for (Field const& f : probe) known.push_back(f.name);
    std::string const near = nearest(key, known);
    fail(Fault::content, "{}: there is no \"{}\"{}", at(node, key), key,
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }

  Field const& field(toml::node const& node, std::string_view key, std::vector<std::string> const& known) const {
    Field const* const f = find(probe, key);
    if (!f) unknown(node, key, known);
    check(!std::holds_alternative<std::vector<std::string>*>(f->value), Fault::content,
          "{}: {} is a list of texts: set it for all runs, above the first [section]", at(node, key), key);
    return *f;
  }

  // As set() reads it; refused where the field would refuse it.
  std::string value(Field const& f, toml::node const& node) const {
    std::string const text = text_of_node(f, node, at(node, f.name));
    set(f, text, at(node, f.name));
    return text_of(f);
  }

  toml::table const& table(toml::node const& node, char const* key) const {
    check(node.is_table(), Fault::content, "{}: expected a section [{}]", at(node, key), key);
    return *node.as_table();
  }

  int64_t whole(toml::node const& node, char const* key, int64_t least, int64_t most) const {
    auto const v = node.value_exact<int64_t>();
    check(v.has_value(), Fault::content, "{}: expected a whole number", at(node, key));
    check(least <= *v && *v <= most, Fault::value, "{}: {} is out of range: expected {} to {}", at(node, key), *v,
          least, most);
    return *v;
  }
};

std::string name_of(std::vector<std::pair<std::string, std::string>> const& values) {
  std::string out;
  for (auto const& [field, text] : values) out += (out.empty() ? "" : ", ") + field + " " + text;
  return out.empty() ? "as they are" : out;
}

// In the order of the file: a table's own is by name.
template <class F>
void in_order(toml::table const& table, F f) {
  std::vector<std::pair<std::string, toml::node const*>> all;
  for (auto const& [key, node] : table) all.emplace_back(key.str(), &node);
  std::ranges::stable_sort(all, {}, [](auto const& item) {
    auto const& begin = item.second->source().begin;
    return std::pair(begin.line, begin.column);
  });
  for (auto const& [key, node] : all) f(key, *node);
}

void add_grid(Reader const& r, toml::table const& grid, toml::node const& node, std::vector<Setting>& out) {
  std::vector<Setting> all = {{}};
  check(!grid.empty(), Fault::content,
        "{}: the grid is empty: give each flag to vary a list of values, as "
        "lr = [1e-3, 3e-4]",
        r.at(node, "grid"));
  in_order(grid, [&](std::string const& key, toml::node const& values) {
    Field const& field = r.field(values, key, {});
    toml::array const* const list = values.as_array();
    check(list && !list->empty(), Fault::content, "{}: expected a list of values, as {} = [a, b]", r.at(values, key),
          key);
    check(all.size() <= kMostSettings / list->size(), Fault::value, "{}: the grid has more than {} settings",
          r.at(values, key), kMostSettings);
    std::vector<Setting> next;
    for (Setting const& s : all)
      for (toml::node const& item : *list) {
        next.push_back(s);
        next.back().values.emplace_back(key, r.value(field, item));
      }
    all = std::move(next);
  });
  out.insert(out.end(), all.begin(), all.end());
}

// Draw `index` of parameter `place`, uniform in [0, 1).
double uniform(uint64_t seed, uint32_t place, uint64_t index) {
  uint64_t const high = random_word(seed, Domain::data, place, 0, 0, 2 * index),
                 low = random_word(seed, Domain::data, place, 0, 0, 2 * index + 1);
  return double((high << 32 | low) >> 11) * 0x1p-53;
}

struct Distribution {
  Field const& field;
  std::string kind;
  double low = 0, high = 0;
  std::vector<std::string> choices = {};

  std::string draw(double u) const {
    if (kind == "choice") return choices[size_t(u * double(choices.size()))];
    if (kind == "int") return fmt::format("{:.0f}", low + std::floor(u * (high - low + 1)));
    double const v = kind == "uniform" ? low + u * (high - low) : low * std::pow(high / low, u);
    return fmt::format("{}", std::clamp(std::strtod(fmt::format("{:.4g}", v).c_str(), nullptr), low, high));
  }
};

Distribution distribution_of(Reader const& r, std::string const& key, toml::node const& node) {
  Field const& field = r.field(node, key, {"runs", "seed"});
  toml::table const* const table = node.as_table();
  char const* const kForms = "{ uniform = [a, b] }, { log-uniform = [a, b] }, { int = [a, b] } or { choice = [a, b] }";
  check(table && table->size() == 1, Fault::content, "{}: expected a distribution: {}", r.at(node, key), kForms);
  auto const begin = table->begin();
  toml::node const& range = begin->second;
  Distribution d{field, std::string(begin->first.str())};
  std::vector<std::string> const kinds = {"uniform", "log-uniform", "int", "choice"};
  std::string const near = nearest(d.kind, kinds);
  check(std::ranges::find(kinds, d.kind) != kinds.end(), Fault::content,
        "{}: there is no distribution \"{}\"{}; give {}", r.at(node, key), d.kind,
        near.empty() ? "" : fmt::format(" (did you mean {}?)", near), kForms);
  toml::array const* const list = range.as_array();
  check(list && !list->empty(), Fault::content, "{}: expected {} = [a, b]", r.at(node, key), d.kind);
  if (d.kind == "choice") {
    for (toml::node const& item : *list) d.choices.push_back(r.value(field, item));
    return d;
  }
  bool const whole = std::holds_alternative<int64_t*>(field.value) || std::holds_alternative<uint64_t*>(field.value);
  check(whole || std::holds_alternative<double*>(field.value), Fault::content,
        "{}: {} is no number: give {} = {{ choice = [a, b] }}", r.at(node, key), key, key);
  check(whole == (d.kind == "int"), Fault::content, "{}: {} takes {}: give {} = {{ {} = [a, b] }}", r.at(node, key),
        key, whole ? "whole numbers" : "numbers with a fraction", key, whole ? "int" : "uniform");
  check(list->size() == 2, Fault::content, "{}: expected {} = [least, largest]", r.at(node, key), d.kind);
  d.low = std::strtod(r.value(field, *list->get(0)).c_str(), nullptr);
  d.high = std::strtod(r.value(field, *list->get(1)).c_str(), nullptr);
  check(d.low <= d.high, Fault::value, "{}: {} lies above {}", r.at(node, key), d.low, d.high);
  check(d.kind != "log-uniform" || d.low > 0, Fault::value, "{}: log-uniform begins above 0, not at {}",
        r.at(node, key), d.low);
  return d;
}

void add_random(Reader const& r, toml::table const& random, toml::node const& node, std::vector<Setting>& out) {
  int64_t runs = 0, seed = 1;
  std::vector<std::pair<std::string, Distribution>> all;
  in_order(random, [&](std::string const& key, toml::node const& value) {
    if (key == "runs") runs = r.whole(value, "runs", 1, int64_t(kMostSettings));
    else if (key == "seed") seed = r.whole(value, "seed", 0, INT64_MAX);
    else all.emplace_back(key, distribution_of(r, key, value));
  });
  check(runs > 0, Fault::content, "{}: how many? Give runs = N", r.at(node, "random"));
  check(!all.empty(), Fault::content, "{}: names no flag to draw: give one, as lr = {{ log-uniform = [1e-4, 1e-2] }}",
        r.at(node, "random"));
  for (int64_t i = 0; i < runs; ++i) {
    Setting s{.name = {}, .values = {}, .of = Setting::Of::random};
    for (size_t p = 0; p < all.size(); ++p)
      s.values.emplace_back(all[p].first, all[p].second.draw(uniform(uint64_t(seed), uint32_t(p), uint64_t(i))));
    if (std::ranges::find(out, s.values, &Setting::values) == out.end()) out.push_back(std::move(s));  // drawn before
  }
}

void add_list(Reader const& r, toml::node const& node, std::vector<Setting>& out) {
  toml::array const* const list = node.as_array();
  check(list && !list->empty() && list->is_array_of_tables(), Fault::content,
        "{}: expected sections [[list]], one a setting", r.at(node, "list"));
  for (toml::node const& item : *list) {
    Setting s{.name = {}, .values = {}, .of = Setting::Of::list};
    in_order(*item.as_table(), [&](std::string const& key, toml::node const& value) {
      if (key != "name") return s.values.emplace_back(key, r.value(r.field(value, key, {"name"}), value)), void();
      auto const text = value.value_exact<std::string>();
      check(text && !text->empty() && text->size() <= 200, Fault::content, "{}: expected a text in quotes",
            r.at(value, key));
      s.name = *text;
    });
    out.push_back(std::move(s));
  }
}

void name_all(std::vector<Setting>& settings, std::string const& file) {
  std::set<std::string> names;
  std::set<std::vector<std::pair<std::string, std::string>>> values;
  for (Setting& s : settings) {
    if (s.name.empty()) s.name = name_of(s.values);
    check(std::ranges::none_of(s.name, [](unsigned char c) { return c < 0x20 || c == 0x7f; }), Fault::content,
          "{}: the name of setting {} holds a control character, such as a line feed: leave it out", file,
          &s - settings.data() + 1);
    auto sorted = s.values;
    std::ranges::sort(sorted);
    check(values.insert(sorted).second, Fault::content, "{}: the setting \"{}\" is there twice", file, s.name);
    check(names.insert(s.name).second, Fault::content, "{}: the name \"{}\" is there twice", file, s.name);
  }
}

std::vector<uint64_t> seeds_of(Reader const& r, toml::node const& node) {
  toml::array const* const list = node.as_array();
  check(list && !list->empty(), Fault::content, "{}: expected a list of seeds, as seeds = [1, 2, 3]",
        r.at(node, "seeds"));
  check(int64_t(list->size()) <= kMostSeeds, Fault::value, "{}: at most {} seeds", r.at(node, "seeds"), kMostSeeds);
  std::vector<uint64_t> seeds;
  for (toml::node const& item : *list) {
    seeds.push_back(uint64_t(r.whole(item, "seeds", 0, INT64_MAX)));
    check(std::ranges::count(seeds, seeds.back()) == 1, Fault::content, "{}: seed {} is there twice",
          r.at(item, "seeds"), seeds.back());
  }
  return seeds;
}

Halving halving_of(Reader const& r, toml::table const& table, toml::node const& node) {
  Halving h;
  for (auto const& [key, value] : table) {
    if (key == "eta") h.eta = r.whole(value, "eta", 2, 1000);
    else if (key == "first") h.first = r.whole(value, "first", 1, INT64_MAX / 1000);
    else {
      std::string const near = nearest(key.str(), {"eta", "first"});
      fail(Fault::content, "{}: there is no \"{}\"; halving has eta and first{}", r.at(value, key.str()), key.str(),
           near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
    }
  }
  check(h.first > 0, Fault::content, "{}: after how many steps is the first look? Give first = N",
        r.at(node, "halving"));
  return h;
}

}  // namespace

std::vector<std::string> SweepSpec::varied() const {
  std::vector<std::string> names;
  for (Setting const& s : settings)
    for (auto const& [field, text] : s.values)
      if (std::ranges::find(names, field) == names.end()) names.push_back(field);
  return names;
}

std::string config_of_sweep(std::string_view text, std::string const& name) {
  toml::table const table = parse_toml(text, name);
  toml::node const* const node = table.get("config");
  if (!node) return "";
  auto const file = node->value_exact<std::string>();
  check(file && !file->empty(), Fault::content, "{}: expected the name of a file in quotes",
        place(name, *node, "config"));
  return *file;
}

SweepSpec read_sweep(std::string_view text, std::string const& name, Fields const& base, Fields const& probe) {
  toml::table const table = parse_toml(text, name);
  Reader const r{name, probe};
  SweepSpec spec;
  spec.config = config_of_sweep(text, name);
  in_order(table, [&](std::string const& key, toml::node const& node) {
    if (key == "config") return;
    if (key == "seeds") spec.seeds = seeds_of(r, node);
    else if (key == "grid") add_grid(r, r.table(node, "grid"), node, spec.settings);
    else if (key == "random") add_random(r, r.table(node, "random"), node, spec.settings);
    else if (key == "list") add_list(r, node, spec.settings);
    else if (key == "halving") spec.halving = halving_of(r, r.table(node, "halving"), node);
    else {
      Field const* const field = find(base, key);
      if (!field) r.unknown(node, key, {"config", "seeds", "grid", "random", "list", "halving"});
      set_node(*field, node, r.at(node, key));
      spec.base.push_back(key);
    }
  });
  check(!spec.settings.empty(), Fault::content,
        "{} names no parameter to vary: give [grid] or [random] with flags of folio train, or [[list]] with settings; "
        "[[list]] with a name alone repeats one setting with each of the seeds",
        name);
  check(spec.settings.size() * std::max<size_t>(1, spec.seeds.size()) <= kMostSettings, Fault::value,
        "{}: more than {} runs", name, kMostSettings);
  name_all(spec.settings, name);
  for (std::string const& field : spec.varied()) {
    check(std::ranges::find(spec.base, field) == spec.base.end() || table.contains("list"), Fault::content,
          "{}: {} is set for all runs and varied: give it once", name, field);
    check(field != "seed" || spec.seeds.empty(), Fault::content, "{}: seed is varied, and there are seeds: give one",
          name);
  }
  return spec;
}

}  // namespace folio::train

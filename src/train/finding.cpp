#include "train/finding.h"

#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace folio::train {
namespace {

struct Names {
  char const *name, *words;
};
constexpr std::array<Names, 11> kNames = {{
    {"healthy", "healthy"},
    {"overfitting", "overfitting"},
    {"rate-too-high", "rate too high"},
    {"rate-too-low", "rate too low"},
    {"plateau", "plateau"},
    {"vanishing-gradient", "vanishing gradient"},
    {"exploding-gradient", "exploding gradient"},
    {"quiet-layer", "quiet layer"},
    {"repeating-data", "repeating data"},
    {"not-learning", "not learning"},
    {"not-finite", "not finite"},
}};

}  // namespace

char const* name_of(State state) { return kNames[static_cast<size_t>(state)].name; }
char const* words_for(State state) { return kNames[static_cast<size_t>(state)].words; }

State state_of(std::string const& name, std::string const& where) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i].name) return static_cast<State>(i);
  fail(Fault::content, "{}: `{}` is no state of a run that this folio knows", where, name);
}

std::vector<std::string> sentences_from(Json const& json, char const* key, std::string const& where) {
  std::vector<std::string> sentences;
  if (!json.contains(key)) return sentences;
  check(json[key].is_array(), Fault::content, "{}: `{}` is no list", where, key);
  for (Json const& sentence : json[key]) {
    check(sentence.is_string(), Fault::content, "{}: `{}` holds something else than sentences", where, key);
    sentences.push_back(sentence.get<std::string>());
  }
  return sentences;
}

Json to_json(Finding const& f) {
  Json json = {{"type", "diagnosis"}, {"step", f.step}, {"state", name_of(f.state)}};
  if (!f.grade.empty()) json["grade"] = f.grade;
  json["since"] = f.since;
  json["evidence"] = f.evidence;
  json["advice"] = f.advice;
  json["flags"] = f.flags;
  return json;
}

Finding finding_from(Json const& json, std::string const& where) {
  return {.state = state_of(get_string(json, "state", where), where),
          .grade = find_string(json, "grade", where).value_or(""),
          .step = get_integer(json, "step", where),
          .since = get_integer(json, "since", where),
          .evidence = sentences_from(json, "evidence", where),
          .advice = find_string(json, "advice", where).value_or(""),
          .flags = find_string(json, "flags", where).value_or("")};
}

}  // namespace folio::train

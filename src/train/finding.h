// What a run shows, in words: see train/diagnosis.h, which finds it, and docs/diagnosis.md.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"

namespace folio::train {

enum class State {
  healthy,
  overfitting,
  rate_too_high,
  rate_too_low,
  plateau,
  vanishing_gradient,
  exploding_gradient,
  quiet_layer,
  repeating_data,
  not_learning,
  not_finite,
};
char const* name_of(State);                                         // as logs have it: rate-too-high
char const* words_for(State);                                       // as people read it: rate too high
State state_of(std::string const& name, std::string const& where);  // throws Fault::content where there is none

struct Finding {
  State state = State::healthy;
  std::string grade = {};                  // "severe"; empty where the state has none
  int64_t step = 0;                        // when it was seen
  int64_t since = 0;                       // the step at which it began
  std::vector<std::string> evidence = {};  // a sentence each
  std::string advice = {};                 // a sentence
  std::string flags = {};                  // of folio train, to paste; empty: nothing to change
};

/// A list of texts; empty where the key is absent. Throws Fault::content where it is something else.
std::vector<std::string> sentences_from(Json const&, char const* key, std::string const& where);

Json to_json(Finding const&);
Finding finding_from(Json const&, std::string const& where);

}  // namespace folio::train

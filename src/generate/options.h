// How tokens are chosen and when a text ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/api.h"
#include "core/fields.h"

namespace folio::generate {

struct SamplingOptions {
  bool greedy = false;
  double temperature = 1;
  int64_t top_k = 0;  // 0: all
  double top_p = 1;
  double repetition_penalty = 1;
  std::string penalty_form = "sign-aware";  // or divide
  uint64_t seed = 1337;
};

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_new_tokens = 200;
  int64_t samples = 1;            // of each prompt
  std::vector<std::string> stop;  // texts that end a sequence; they are not part of the result
  bool ignore_eos = false;
  bool no_cache = false;  // reads the whole window again for every token: slow, the same text
  int64_t slide = 0;      // how many tokens a full window drops; 0: half of the context
};

/// By the names of the flags; they point into the options, which outlive them.
FOLIO_API Fields fields(GenerateOptions&);
/// Fault::value, naming it, where an option is not in the range that its field has (at least one new token, too).
FOLIO_API void validate(GenerateOptions const&);

}  // namespace folio::generate

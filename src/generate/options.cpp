#include "generate/options.h"

namespace folio::generate {

Fields fields(GenerateOptions& o) {
  SamplingOptions& s = o.sampling;
  char const* choice = "Choosing tokens";
  char const* length = "Length and ending";
  return {
      {"greedy", &s.greedy, "always the likeliest token", {}, choice},
      {"temperature",
       &s.temperature,
       "divides the logits: below 1 safer, above 1 wilder",
       {.min = 0, .above_min = true},
       choice},
      {"top-k", &s.top_k, "only the k likeliest tokens; 0: all", {.min = 0}, choice},
      {"top-p",
       &s.top_p,
       "only the likeliest tokens that together reach p",
       {.min = 0, .max = 1, .above_min = true},
       choice},
      {"repetition-penalty",
       &s.repetition_penalty,
       "above 1: tokens already in the text become less likely",
       {.min = 0, .above_min = true},
       choice},
      {"penalty-form",
       &s.penalty_form,
       "sign-aware: positive logits are divided, negative ones multiplied; divide: all are divided",
       {.choices = {"sign-aware", "divide"}},
       choice},
      {"seed", &s.seed, "the same seed gives the same text", {}, choice},
      {"max-new-tokens", &o.max_new_tokens, "tokens to write at most", {.min = 1}, length},
      {"n", &o.samples, "texts for each prompt", {.min = 1, .max = 4096}, length},
      {"stop", &o.stop, "end where this text appears; it is left out", {}, length},
      {"ignore-eos", &o.ignore_eos, "write on past the end-of-text token", {}, length},
      {"slide",
       &o.slide,
       "tokens that a full context drops; 0: half of it, 1: the exact crop, slow",
       {.min = 0},
       length},
      {"no-cache", &o.no_cache, "read the whole window again for each token: slow, the same text", {}, length},
  };
}

void validate(GenerateOptions const& o) {
  GenerateOptions copy = o;
  for (Field const& field : fields(copy))
    if (!std::holds_alternative<std::vector<std::string>*>(field.value)) set(field, text_of(field), field.name);
}

}  // namespace folio::generate

// GPT-2's sizes by name, how many parameters a shape has and where, and the options that make a shape.
#pragma once

#include <span>

#include "core/api.h"
#include "core/fields.h"
#include "model/config.h"

namespace folio::model {

struct ModelSize {
  char const* name;
  int64_t layers, heads, channels, context;
};
FOLIO_API std::span<ModelSize const>
sizes();  // smallest first; with GPT-2's vocabulary, biases and a tied head the published totals

inline constexpr int64_t kGpt2Vocab = 50257;

/// Throws Fault::value with "did you mean" for a name that is none.
FOLIO_API ModelSize const& size_named(std::string const& name);

struct ParameterCounts {
  int64_t token_embedding = 0;     // V·C
  int64_t position_embedding = 0;  // T·C
  int64_t attention = 0;           // c_attn and c_proj of all blocks
  int64_t mlp = 0;                 // c_fc and c_proj of all blocks
  int64_t norms = 0;               // ln_1, ln_2 of all blocks and ln_f
  int64_t head = 0;                // V·C where it is not tied
  int64_t saved_by_tying = 0;      // V·C where it is
  int64_t total() const { return token_embedding + position_embedding + attention + mlp + norms + head; }
};
/// Of a shape, without laying it out.
FOLIO_API ParameterCounts count_parameters(Config const&);

/// The flags that describe a model. 0, or a site's rate below 0, means "not given": the size's value, the data's
/// vocabulary, the rate of --dropout.
struct FOLIO_API ModelOptions {
  std::string size = "baby";  // empty: none, every value is spelled out
  int64_t layers = 0, heads = 0, channels = 0, context = 0, vocab = 0;
  double dropout = 0;
  double embedding_dropout = -1, attention_dropout = -1, attention_residual_dropout = -1, mlp_residual_dropout = -1;
  bool bias = true;
  bool untied = false;

  Fields fields();
  /// The shape, validated. `data_vocab` is the vocabulary that the data needs: the default, and the least; 0 where
  /// there is no data, and then the default is GPT-2's.
  Config config(int64_t data_vocab = 0) const;
  /// The options with every value spelled out: what a run's configuration file records.
  static ModelOptions of(Config const&);
};

}  // namespace folio::model

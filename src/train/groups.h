// Groups of tensors with a rate and a decay of their own. A group is a glob over the names of tensors (for_each of
// model/weights.h) and what differs for them: "h.*.attn.*: rate 0.5, decay 0". In a glob * is any characters, ? any
// one, [0-5] one of those; it must match the whole name. Where several match, a later group overrides what it names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/api.h"
#include "model/weights.h"

namespace folio::train {

enum class Decay {  // which tensors weight decay applies to; biases and layer norms never decay
  matrices,         // every two-dimensional one, embeddings too (nanoGPT, llm.c)
  linear,           // linear layers and an untied head; not the embeddings, nor a head tied to them
  none,
};
/// Does weight decay apply to this tensor?
FOLIO_API bool decays(Decay, model::Spec const&);

struct Group {
  std::string glob;
  std::optional<double> rate;   // share of the schedule's rate; 0: the tensors stay as they are
  std::optional<double> decay;  // instead of the run's, whatever Decay says
};

/// Reads "GLOB: rate X, decay Y", either or both. Fault::usage where it cannot be read, Fault::value for a number below
/// 0 or not finite.
Group group_from(std::string const& text);

/// "AdamW"
FOLIO_API std::string_view name_of(Optimizer::Rule);

struct TensorRule {
  std::string name;
  Shape shape;
  Optimizer optimizer;
  std::string globs;  // of the groups that changed it, in their order; empty: the run's options hold
};

/// What each tensor of a shape is moved by, in the order of for_each: where `base` is Muon, the matrices of the blocks
/// by it, all others by AdamW. Fault::value for a group that matches none, with the nearest name.
FOLIO_API std::vector<TensorRule> tensor_rules(model::Config const&, Optimizer const& base, Decay,
                                               std::vector<Group> const&);

}  // namespace folio::train

// What a run is told, beside its model and its data. The fields are in the groups that the command line shows; the
// groups "Learning rate", "Bad steps", "Early stopping", "Intervals" and "Machine" may change when a run is resumed,
// the others are the run's own.
#pragma once

#include <map>

#include "data/batcher.h"
#include "train/saver.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace folio::train {

inline constexpr double kMuonMomentum = 0.95;  // Jordan et al. 2024

struct RunOptions {
  int64_t steps = 5000;  // optimizer steps
  int64_t batch = 12;    // sequences a micro-batch
  int64_t accumulate = 1;
  std::string windows = "shuffled";  // or random
  uint64_t seed = 1337;
  ScheduleOptions schedule;
  std::string optimizer = "adamw";  // or adam, sgd, muon
  double weight_decay = 0.1;
  std::string decay = "matrices";
  double clip = 1;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double momentum = 0.9;  // of sgd and muon; of muon the command line gives kMuonMomentum where it names none
  bool nesterov = false;
  std::vector<std::string> groups;  // train/groups.h
  double loss_scale = 65536;        // of f16
  int64_t loss_scale_every = 2000;
  double label_smoothing = 0;
  std::string on_nonfinite = "skip";  // or rollback, abort
  std::string on_spike = "warn";      // or skip, rollback
  double spike_score = 8;
  int64_t verify_step = 0;  // 0: never
  int64_t patience = 0;     // evaluations; 0: never stop early
  double min_improvement = 0;
  int64_t eval_every = 250;
  std::string eval_batches = "20";  // or "all"
  int64_t stats_every = 100;        // 0: never
  int64_t sample_every = 0;         // 0: never
  std::string sample_prompt;        // empty: the end of text, or where the tokenizer has none a line end
  int64_t sample_tokens = 100;
  bool tensorboard = false;
  int64_t checkpoint_every = 1000;
  std::string save = "background";  // or foreground
  int64_t keep = 2;
  int64_t keep_every = 0;          // steps; 0: none
  int64_t chunk = 0;               // tokens whose logits exist at once; 0: by the size of the vocabulary
  std::string recompute = "none";  // or mlp, block: model::Recompute
};

Fields fields(RunOptions&);
void validate(RunOptions const&);

/// Name and value of those fields that may change on resuming.
std::map<std::string, std::string> changeable(RunOptions const&);

/// Name and value of all others, and of the shape's: a run keeps them.
std::map<std::string, std::string> kept(RunOptions const&, model::Config const&);

/// May a field of this group differ from the run's on resuming?
bool may_change(Field const&);

/// Number of evaluation batches; 0 means all of the split.
int64_t evaluation_batches(RunOptions const&);

/// Tokens whose logits exist at once: as many as keep a chunk's logits in 64 MiB, at least 32.
int64_t chunk_for(int64_t rows, int64_t vocab);

Optimizer optimizer_of(RunOptions const&);
/// "AdamW, β 0.9 and 0.95, decay 0.1 (matrices), clip 1"
std::string describe_optimizer(RunOptions const&);
/// Is decay added to the gradient: sgd, adam?
bool decay_is_coupled(RunOptions const&);
/// What --weight-decay is there where it is not given.
inline constexpr double kCoupledDecay = 1e-4;
/// A sentence where such a decay is so large that weights lose most of what they learn; else empty.
std::string strong_decay(RunOptions const&);
/// What each tensor is moved by. Fault::value for a group that matches none.
std::vector<TensorRule> tensor_rules(RunOptions const&, model::Config const&);
TrainerOptions trainer_options(RunOptions const&, model::Config const&, int64_t length);
SaveOptions save_options(RunOptions const&);
data::BatcherOptions batcher_options(RunOptions const&, int64_t length);

}  // namespace folio::train

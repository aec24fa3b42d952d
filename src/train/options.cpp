#include "train/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "model/sizes.h"

namespace folio::train {

Fields fields(RunOptions& o) {
  std::vector<Condition> const kMoments = {{"optimizer", {"adamw", "adam", "muon"}}},
                               kMomentum = {{"optimizer", {"sgd", "muon"}}}, kScaled = {{"dtype", {"f16"}}};
  Fields all = {
      {"batch", &o.batch, "sequences a micro-batch", {.min = 1, .max = 1 << 20}, "Batch"},
      {"accumulate", &o.accumulate, "micro-batches a step", {.min = 1, .max = 1 << 20}, "Batch"},
      {"windows",
       &o.windows,
       "shuffled: every window once an epoch; random: starts drawn with replacement",
       {.choices = {"shuffled", "random"}},
       "Batch"},
      {"seed", &o.seed, "of initialisation, dropout and the order of the data", {}, "Batch"},
      {"steps", &o.steps, "optimizer steps of the whole run", {.min = 1}, "Learning rate"},
  };
  Fields schedule = fields(o.schedule);
  all.insert(all.end(), schedule.begin(), schedule.end());
  Fields rest = {
      {"optimizer",
       &o.optimizer,
       "adamw (decay apart from the gradient), adam (decay added to it, L2), sgd (likewise) or muon (the blocks' "
       "matrices by orthogonal steps, the rest by adamw)",
       {.choices = {"adamw", "adam", "sgd", "muon"}},
       "Optimizer"},
      {"weight-decay",
       &o.weight_decay,
       "pulls the weights that decay towards 0; 1e-4 with adam or sgd where not given",
       {.min = 0, .with = {{"decay", {"matrices", "linear"}}}},
       "Optimizer"},
      {"decay",
       &o.decay,
       "what decays: matrices (all two-dimensional tensors), linear (not the embeddings) or none",
       {.choices = {"matrices", "linear", "none"}},
       "Optimizer"},
      {"clip", &o.clip, "largest norm of all gradients together; 0: never clip", {.min = 0}, "Optimizer"},
      {"beta1",
       &o.beta1,
       "decay of the first moment",
       {.min = 0, .max = 1, .below_max = true, .with = kMoments},
       "Optimizer"},
      {"beta2",
       &o.beta2,
       "decay of the second moment",
       {.min = 0, .max = 1, .below_max = true, .with = kMoments},
       "Optimizer"},
      {"epsilon",
       &o.epsilon,
       "added to the root of the second moment",
       {.min = 0, .above_min = true, .with = kMoments},
       "Optimizer"},
      {"momentum",
       &o.momentum,
       "sgd, muon: share of its last direction that a step keeps; 0: none; 0.95 where not given with muon",
       {.min = 0, .max = 1, .below_max = true, .with = kMomentum},
       "Optimizer"},
      {"nesterov",
       &o.nesterov,
       "sgd: look ahead along the momentum; muon always does",
       {.with = {{"optimizer", {"sgd"}}}},
       "Optimizer"},
      {"group",
       &o.groups,
       "tensors with a share of the rate and a decay of their own; repeated: a later one overrides; --show-groups",
       {.form = "GLOB: rate X, decay Y"},
       "Optimizer"},
      {"loss-scale",
       &o.loss_scale,
       "f16: what gradients are multiplied by at first, so that small ones are not lost",
       {.min = 1, .max = 0x1p60, .with = kScaled},
       "Precision"},
      {"loss-scale-every",
       &o.loss_scale_every,
       "f16: clean steps that double the scale, which an overflow halves; 0: it stays as it is",
       {.min = 0, .with = kScaled},
       "Precision"},
      {"label-smoothing",
       &o.label_smoothing,
       "share of the target that is spread over the vocabulary; losses are reported without",
       {.min = 0, .max = 1, .below_max = true},
       "Regularisation"},
      {"on-nonfinite",
       &o.on_nonfinite,
       "a step whose loss or gradient norm is not finite is never taken; then: skip (end after 5 in a row), rollback "
       "(go "
       "back to an earlier checkpoint and pass over the data) or abort",
       {.choices = {"skip", "rollback", "abort"}},
       "Bad steps"},
      {"on-spike",
       &o.on_spike,
       "a step whose loss or gradient norm stands far above those before it: warn (and take it), skip or rollback",
       {.choices = {"warn", "skip", "rollback"}},
       "Bad steps"},
      {"spike-score",
       &o.spike_score,
       "how far above, in deviations of the last 64 steps, makes a spike",
       {.min = 0, .above_min = true},
       "Bad steps"},
      {"verify-step",
       &o.verify_step,
       "steps between those that are computed twice and compared bit for bit (bad memory, races); 0: never",
       {.min = 0},
       "Bad steps"},
      {"patience",
       &o.patience,
       "end after so many evaluations in a row that improve nothing; 0: never",
       {.min = 0},
       "Early stopping"},
      {"min-improvement",
       &o.min_improvement,
       "what an evaluation must be below the last that improved, nats a token",
       {.min = 0, .with = {{"patience"}}},
       "Early stopping"},
      {"eval-every", &o.eval_every, "steps between evaluations; also after the last", {.min = 1}, "Intervals"},
      {"eval-batches", &o.eval_batches, "batches of each evaluation, always the same; or all", {}, "Intervals"},
      {"stats-every",
       &o.stats_every,
       "steps between statistics of weights, gradients, updates and activations; 0: never",
       {.min = 0},
       "Intervals"},
      {"sample-every",
       &o.sample_every,
       "steps between samples of what the model writes; 0: never",
       {.min = 0},
       "Intervals"},
      {"sample-prompt",
       &o.sample_prompt,
       "what samples go on from; empty: the beginning of a document, or of a line",
       {.with = {{"sample-every"}}},
       "Intervals"},
      {"sample-tokens",
       &o.sample_tokens,
       "tokens of a sample, at most",
       {.min = 1, .max = 1 << 20, .with = {{"sample-every"}}},
       "Intervals"},
      {"tensorboard", &o.tensorboard, "also write event files of TensorBoard, RUN/tensorboard", {}, "Intervals"},
      {"checkpoint-every",
       &o.checkpoint_every,
       "steps between checkpoints; also after the last",
       {.min = 1},
       "Intervals"},
      {"save",
       &o.save,
       "background: from a copy in memory, while training goes on; foreground: no copy, training waits",
       {.choices = {"background", "foreground"}},
       "Intervals"},
      {"keep", &o.keep, "newest checkpoints kept, beside the best", {.min = 2}, "Intervals"},
      {"keep-every",
       &o.keep_every,
       "checkpoints whose step is a multiple of this are kept too; 0: none",
       {.min = 0},
       "Intervals"},
      {"chunk",
       &o.chunk,
       "tokens whose logits exist at once; 0: by the vocabulary; a GPU takes more where they are few",
       {.min = 0},
       "Machine"},
      {"recompute",
       &o.recompute,
       "what backward computes again instead of keeping it, to save memory: none, mlp (half a block), block",
       {.choices = {"none", "mlp", "block"}},
       "Machine"},
  };
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

bool may_change(Field const& field) {
  return field.group == "Learning rate" || field.group == "Bad steps" || field.group == "Early stopping" ||
         field.group == "Intervals" || field.group == "Machine";
}

std::map<std::string, std::string> changeable(RunOptions const& o) {
  std::map<std::string, std::string> values;
  RunOptions copy = o;
  for (Field const& f : fields(copy))
    if (may_change(f)) values[f.name] = text_of(f);
  return values;
}

std::map<std::string, std::string> kept(RunOptions const& o, model::Config const& shape) {
  std::map<std::string, std::string> values;
  RunOptions copy = o;
  for (Field const& f : fields(copy))
    if (!may_change(f)) values[f.name] = text_of(f);
  model::ModelOptions model = model::ModelOptions::of(shape);
  for (Field const& f : model.fields())
    if (f.name != "size" && f.name != "dropout") values[f.name] = text_of(f);  // others say the same
  return values;
}

int64_t evaluation_batches(RunOptions const& o) {
  if (o.eval_batches == "all") return 0;
  int64_t n = 0;
  auto const [end, error] = std::from_chars(o.eval_batches.data(), o.eval_batches.data() + o.eval_batches.size(), n);
  check(error == std::errc() && end == o.eval_batches.data() + o.eval_batches.size() && n > 0, Fault::value,
        "--eval-batches {}: give a number of batches, 1 or more, or `all`", o.eval_batches);
  return n;
}

namespace {

std::vector<Group> groups_of(RunOptions const& o) {
  std::vector<Group> groups;
  for (std::string const& text : o.groups) groups.push_back(group_from(text));
  return groups;
}

Decay decay_of(RunOptions const& o) {
  return o.decay == "matrices" ? Decay::matrices : o.decay == "linear" ? Decay::linear : Decay::none;
}

}  // namespace

void validate(RunOptions const& o) {
  validate(o.schedule, o.steps);
  evaluation_batches(o);
  check(!o.nesterov || o.optimizer != "sgd" || o.momentum > 0, Fault::value,
        "--nesterov with --momentum 0: it looks ahead along the momentum; give a momentum above 0, or --no-nesterov");
  groups_of(o);
}

std::string describe_optimizer(RunOptions const& o) {
  Optimizer const p = optimizer_of(o);
  std::string const momentum =
      p.momentum == 0 ? "no momentum" : fmt::format("momentum {}{}", p.momentum, p.nesterov ? ", Nesterov" : "");
  std::string const betas = fmt::format("β {} and {}", p.beta1, p.beta2);
  std::string const own = p.rule == Optimizer::Rule::muon  ? momentum + "; AdamW for the rest, " + betas
                          : p.rule == Optimizer::Rule::sgd ? momentum
                                                           : betas;
  std::string const decay =
      o.weight_decay == 0 || o.decay == "none" ? "no decay" : fmt::format("decay {} ({})", o.weight_decay, o.decay);
  return fmt::format("{}, {}, {}, {}", name_of(p.rule), own, decay,
                     o.clip > 0 ? fmt::format("clip {}", o.clip) : "no clipping");
}

bool decay_is_coupled(RunOptions const& o) { return o.optimizer == "sgd" || o.optimizer == "adam"; }

// Measured: docs/training.md, Optimizers.
std::string strong_decay(RunOptions const& o) {
  constexpr double kShortHalfLife = 50, kStrongForAdam = 0.02;
  if (!decay_is_coupled(o) || o.weight_decay == 0 || o.decay == "none") return "";
  if (o.optimizer == "adam")
    return o.weight_decay > kStrongForAdam
               ? fmt::format("--weight-decay {} is added to the gradient with --optimizer adam, and outweighs it",
                             o.weight_decay)
               : "";
  double const half_life = std::log(2) * (1 - o.momentum) / (o.schedule.lr * o.weight_decay);
  if (half_life > kShortHalfLife || half_life > double(o.steps) / 4) return "";
  return fmt::format("--weight-decay {} with --optimizer sgd takes half of a weight every {:.2g} steps at a rate of {}",
                     o.weight_decay, half_life, o.schedule.lr);
}

Optimizer optimizer_of(RunOptions const& o) {
  bool const muon = o.optimizer == "muon";
  return {.rule = muon                    ? Optimizer::Rule::muon
                  : o.optimizer == "sgd"  ? Optimizer::Rule::sgd
                  : o.optimizer == "adam" ? Optimizer::Rule::adam
                                          : Optimizer::Rule::adamw,
          .nesterov = muon ? o.momentum > 0 : o.nesterov && o.optimizer == "sgd",
          .decay = o.weight_decay,
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .epsilon = o.epsilon,
          .momentum = o.momentum};
}

int64_t chunk_for(int64_t rows, int64_t vocab) {
  constexpr int64_t kLogitsBytes = int64_t{64} << 20;
  return std::min(rows, std::max<int64_t>(32, kLogitsBytes / 4 / vocab));
}

std::vector<TensorRule> tensor_rules(RunOptions const& o, model::Config const& config) {
  return tensor_rules(config, optimizer_of(o), decay_of(o), groups_of(o));
}

TrainerOptions trainer_options(RunOptions const& o, model::Config const& config, int64_t length) {
  int64_t const rows = o.batch * length;
  return {
      .config = config,
      .batch = o.batch,
      .accumulate = o.accumulate,
      .length = length,
      .chunk = o.chunk > 0 ? std::min(rows, o.chunk) : chunk_for(rows, config.vocab),
      .recompute = o.recompute == "block" ? model::Recompute::block
                   : o.recompute == "mlp" ? model::Recompute::mlp
                                          : model::Recompute::none,
      .seed = o.seed,
      .decay = decay_of(o),
      .optimizer = optimizer_of(o),
      .groups = groups_of(o),
      .loss_scale = o.loss_scale,
      .decide = {.clip = o.clip, .spike = o.on_spike == "warn" ? 0 : o.spike_score, .scale_every = o.loss_scale_every},
      .classifier = {.label_smoothing = o.label_smoothing},
      .verify = o.verify_step > 0};
}

SaveOptions save_options(RunOptions const& o) {
  return {
      .background = o.save == "background", .keep = o.keep, .keep_every = o.keep_every, .every = o.checkpoint_every};
}

data::BatcherOptions batcher_options(RunOptions const& o, int64_t length) {
  return {.batch = o.batch,
          .accumulate = o.accumulate,
          .context = length,
          .windows = data::windows_of(o.windows),
          .seed = o.seed};
}

}  // namespace folio::train

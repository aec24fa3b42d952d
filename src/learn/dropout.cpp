// Dropout: what it does to numbers, and why switching it off stands for the mean of many networks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"
#include "model/gpt2.h"

namespace folio::learn {
namespace {

struct Effect {
  double zero, mean, largest;
};

Effect effect_of(Lab& lab, double rate) {
  constexpr int64_t kElements = 100000;
  Tensor const x = lab.floats({1, 1, kElements}, std::vector<float>(kElements, 1)), y = lab.floats({1, 1, kElements});
  StepState state;
  state.seed = 11, state.attempted = 1;
  Dropout const dropout{.rate = rate, .sequences = lab.numbers({1}, {0}), .state = lab.state(state)};
  lab.backend.dropout_add(y, {}, x, dropout);
  Effect e{0, 0, 0};
  for (float const v : lab.read(y)) e.zero += v == 0, e.mean += v, e.largest = std::max(e.largest, double(v));
  e.zero /= kElements, e.mean /= kElements;
  return e;
}

// Log-probabilities of the right words of 32 new sentences; pass 0 is evaluation, others draw their own masks.
class Class {
 public:
  Class(Backend& backend, train::Trainer const& trainer)
      : lab_(backend), trainer_(trainer), host_(sentences(7, 500000, kSentences)) {
    std::vector<int32_t> positions(host_.tokens.size());
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = int32_t(i % kSentence);
    Shape const shape{kSentences, kSentence};
    batch_ = {
        lab_.ids(shape, host_.tokens), lab_.ids(shape, positions), lab_.numbers({kSentences}, host_.sequences), {}};
    targets_ = lab_.ids(shape, host_.targets);
    scores_ = lab_.raw(DType::f64, {kSentences, kSentence, 3});
    train::TrainerOptions const& o = trainer.options();
    lab_.lend({.rows = kSentences * kSentence,
               .sequences = kSentences,
               .context = kSentence,
               .channels = o.config.channels,
               .heads = o.config.heads,
               .vocab = o.config.vocab,
               .chunk = o.chunk});
  }
  std::vector<double> logprobs(int64_t pass) {
    StepState s;
    s.seed = 21, s.attempted = pass;
    Tensor const state = pass > 0 ? lab_.state(s) : Tensor{};
    Tensor const hidden = forward(lab_.backend, trainer_.weights(), trainer_.acts(), batch_, state);
    token_loss(lab_.backend, trainer_.weights(), trainer_.acts(), scores_, hidden, targets_);
    std::vector<double> const all = lab_.read_f64(scores_);
    std::vector<double> out;
    for (size_t i = 0; i < all.size(); i += 3) out.push_back(all[i]);
    return out;
  }
  static constexpr int64_t kSentences = 32;

 private:
  Lab lab_;
  train::Trainer const& trainer_;
  data::HostBatch host_;
  model::Batch batch_;
  Tensor targets_, scores_;
};

double mean_loss(std::vector<double> const& logprobs) {
  double sum = 0;
  for (double const v : logprobs) sum -= v;
  return sum / double(logprobs.size());
}

Page run(Backend& backend) {
  constexpr int kPasses = 32;
  constexpr double kRate = 0.4;
  Lab lab(backend);
  Numbers effects{"rates",
                  "100,000 ones behind the op, in training:",
                  {{"rate", ".1f"}, {"zero", "percent"}, {"kept ones", ".3f"}, {"mean", ".3f"}},
                  {}};
  for (double const rate : {0.1, 0.2, 0.5}) {
    Effect const e = effect_of(lab, rate);
    effects.rows.push_back({rate, e.zero, e.largest, e.mean});
  }
  train::Trainer trainer(backend, options_of({.batch = Class::kSentences, .dropout = kRate}));
  teach(trainer, 120, 0.01);
  Class pupils(backend, trainer);
  double const evaluation = mean_loss(pupils.logprobs(0));
  std::vector<double> sum(size_t(Class::kSentences * kSentence));
  report::ChartLine together{"ensemble", {}}, off{"switched off", {}, true};
  double single = 0, spread = 0;
  Numbers losses{
      "ensembles", "Loss on new sentences, of a model trained at rate 0.4:", {{"network"}, {"loss", ".4f"}}, {}};
  double ensemble = 0;
  for (int k = 1; k <= kPasses; ++k) {
    std::vector<double> const one = pupils.logprobs(k);
    double const loss = mean_loss(one);
    single += loss / kPasses, spread += loss * loss / kPasses;
    ensemble = 0;
    for (size_t i = 0; i < one.size(); ++i) {
      sum[i] += std::exp(one[i]);
      ensemble -= std::log(sum[i] / k) / double(one.size());
    }
    together.points.push_back({double(k), ensemble}), off.points.push_back({double(k), evaluation});
    if (k == 1 || k == 4 || k == 16 || k == kPasses)
      losses.rows.push_back({fmt::format("mean of {} mask{}", k, k > 1 ? "s" : ""), ensemble});
  }
  losses.rows.push_back({"one mask, on average", single});
  losses.rows.push_back({"dropout off", evaluation});
  Page page;
  page.finding = fmt::format("Off, dropout loses {:.3f} nats; the mean of {} masks {:.3f}; a single mask {:.3f}",
                             evaluation, kPasses, ensemble, single);
  page.numbers = {effects, losses};
  report::LineChart chart{
      "loss, nats, by the number of masks whose probabilities are averaged", "masks", {together, off}, true};
  chart.low = 0.9 * std::min(evaluation, ensemble);
  page.pictures = {chart};
  page.see = {
      "In training a share of the numbers is set to 0 and the kept ones are divided by 1 - rate, so the mean stays: "
      "the "
      "next layer sees the same size with and without.",
      fmt::format("Each mask is a network of its own. One alone loses {:.3f} nats on average ({:.3f} deviation between "
                  "masks); averaging the probabilities of {} of them brings it to {:.3f}.",
                  single, std::sqrt(std::max(0.0, spread - single * single)), kPasses, ensemble),
      fmt::format("Switching dropout off costs one pass instead of {} and gives {:.3f}, {} the ensemble: that is why "
                  "evaluation and generation do it.",
                  kPasses, evaluation, evaluation < ensemble ? "better than" : "close to"),
      "No mask is stored: it is a function of seed, step, layer and element, so backward makes the same one again."};
  return page;
}

}  // namespace

Topic dropout() {
  return {
      "dropout",
      "Dropout in training, in evaluation, as an ensemble",
      "Dropout sets random numbers to 0 while a model trains and does nothing afterwards. What happens to the numbers, "
      "and how does the network without it compare with the many that were trained?",
      {{"src/backend/backend.h", "Dropout: when an element is kept"},
       {"src/core/random.h", "Philox, random numbers without a state"},
       {"src/model/gpt2.cpp", "the four sites; a forward pass without a state is evaluation"}},
      "--dropout, or a rate for each site; folio eval and folio generate always run without it",
      run};
}

}  // namespace folio::learn

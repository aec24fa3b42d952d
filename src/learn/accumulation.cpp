// One step of sixteen sentences, cut into micro-batches in three ways; and the mean of means, which is another thing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

constexpr int64_t kSequences = 16;

// Sentence s counts its first words only, as documents of different lengths do.
data::HostBatch uneven(int64_t first, int64_t sequences) {
  data::HostBatch b = sentences(7, uint64_t(first), sequences);
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t t = 2 + (first + s) / 2; t < kSentence; ++t) b.targets[size_t(s * kSentence + t)] = -1;
  b.total_weight = double(std::ranges::count_if(b.targets, [](int32_t id) { return id >= 0; }));
  for (int64_t s = 0; s < sequences; ++s) b.sequences[size_t(s)] = first + s;
  return b;
}

struct Result {
  double loss, norm;
  std::vector<float> gradient, weights;
};

Result of(Backend& backend, train::Trainer const& trainer) {
  Lab const lab(backend);
  Result r{trainer.state().loss, trainer.state().norm, {}, {}};
  for_each(trainer.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    for (float const v : lab.read(w.grad)) r.gradient.push_back(v);
    for (float const v : lab.read(w.master)) r.weights.push_back(v);
  });
  return r;
}

Result step(Backend& backend, int64_t batch, int64_t accumulate, int64_t first = 0) {
  train::Trainer trainer(backend, options_of({.batch = batch, .accumulate = accumulate}));
  trainer.step(uneven(first, batch * accumulate), 1e-3);
  return of(backend, trainer);
}

double furthest(std::vector<float> const& a, std::vector<float> const& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double(a[i]) - b[i]));
  return most;
}

Result mean_of_means(Backend& backend) {
  Result sum = step(backend, 4, 1, 0);
  for (int64_t first = 4; first < kSequences; first += 4) {
    Result const next = step(backend, 4, 1, first);
    sum.loss += next.loss;
    for (size_t i = 0; i < sum.gradient.size(); ++i) sum.gradient[i] += next.gradient[i];
  }
  sum.loss /= 4;
  for (float& g : sum.gradient) g /= 4;
  sum.norm = norm_of(sum.gradient);
  return sum;
}

Page run(Backend& backend) {
  Result const whole = step(backend, kSequences, 1);
  double const largest = furthest(whole.gradient, std::vector<float>(whole.gradient.size()));
  Numbers table{"ways",
                "Sixteen sentences of which 2 to 9 words count, in one step:",
                {{"micro-batches"}, {"loss", ".5f"}, {"norm", ".5f"}, {"gradient off", ".0e"}, {"weights off", ".0e"}},
                {}};
  report::BarChart bars{"largest difference of a gradient from that of one batch, as a share of the largest gradient",
                        {}};
  auto const add = [&](std::string const& name, Result const& r, bool stepped) {
    double const far = furthest(r.gradient, whole.gradient);
    table.rows.push_back({name, r.loss, r.norm, far, stepped ? furthest(r.weights, whole.weights) : NAN});
    bars.bars.push_back({name, far / largest, fmt::format("{:.1e}", far / largest), !stepped});
    return far / largest;
  };
  add("1 of 16", whole, true);
  add("4 of 4", step(backend, 4, 4), true);
  double const ones = add("16 of 1", step(backend, 1, 16), true);
  Result const wrong = mean_of_means(backend);
  double const off = add("mean of means", wrong, false);
  Page page;
  page.finding =
      fmt::format("Accumulating changes nothing ({:.0e}); averaging the averages does ({:.0f} %)", ones, 100 * off);
  page.numbers = {table};
  page.pictures = {bars};
  page.see = {
      fmt::format(
          "One batch of 16, 4 of 4 and 16 of 1 have the same loss and the same gradient up to the order of sums "
          "in f32: at most {:.0e} of the largest gradient.",
          ones),
      fmt::format("The denominator is the reason: it is the number of counted words of the whole step ({:.0f}), known "
                  "before the first micro-batch, not of each.",
                  uneven(0, kSequences).total_weight),
      fmt::format(
          "Dividing each micro-batch by its own count and then by 4 gives a short sentence's words more weight: "
          "loss {:.3f} instead of {:.3f}, and a gradient that is off by {:.0f} %.",
          wrong.loss, whole.loss, 100 * off)};
  return page;
}

}  // namespace

Topic accumulation() {
  return {"accumulation",
          "Gradient accumulation equals a large batch",
          "A batch that does not fit into memory is taken in parts, whose gradients add up before the weights move. Is "
          "that "
          "the same step? Sentences of different lengths make the question sharp.",
          {{"src/train/trainer.cpp", "compute_gradients: micro-batch after micro-batch, one update"},
           {"src/backend/step_state.h", "inverse_total, the one denominator"},
           {"src/data/batcher.cpp", "counts the whole step's weights beforehand"}},
          "--batch and --accumulate: their product is what the model learns from, --batch alone what memory holds",
          run};
}

}  // namespace folio::learn

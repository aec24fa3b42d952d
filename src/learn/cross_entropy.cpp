// The loss of one prediction: from scores to probabilities to nats, and the gradient that comes back.
#include <fmt/format.h>

#include <cmath>

#include "learn/lab.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

struct Scored {
  std::vector<double> logprobs;  // of each row's target
  std::vector<double> entropies;
};

// Rows x (N, 1) through a head whose weights are the scores of a vocabulary of V at x = 1.
Scored score_rows(Lab& lab, std::vector<float> const& x, std::vector<int32_t> const& targets, Weight const& head) {
  auto const N = int64_t(x.size());
  Tensor const scores = lab.raw(DType::f64, {1, N, 3});
  lab.backend.token_loss(scores, lab.floats({1, N, 1}, x), head, lab.ids({1, N}, targets));
  Scored s;
  std::vector<double> const all = lab.read_f64(scores);
  for (size_t n = 0; n < x.size(); ++n) s.logprobs.push_back(all[3 * n]), s.entropies.push_back(all[3 * n + 2]);
  return s;
}

// The gradient of the loss in x, row by row; that in the scores, summed over rows, is left in head.grad.
std::vector<float> gradients(Lab& lab, std::vector<float> const& x, std::vector<int32_t> const& targets,
                             Weight const& head) {
  auto const N = int64_t(x.size());
  Tensor const dx = lab.floats({1, N, 1}), losses = lab.floats({2, N});
  StepState state;
  state.input.inverse_total = 1;
  Targets const t{lab.ids({1, N}, targets), lab.floats({1, N}, std::vector<float>(x.size(), 1))};
  lab.backend.classifier(losses, dx, lab.floats({1, N, 1}, x), head, t, lab.state(state), {});
  return lab.read(dx);
}

Limits limits_of(int64_t rows, int64_t vocab) {
  return {.rows = rows, .sequences = 1, .context = rows, .channels = 1, .heads = 1, .vocab = vocab, .chunk = rows};
}

Page three_words(Backend& backend) {
  static constexpr char const* kWords[] = {"cat", "dog", "fish"};
  std::vector<float> const logits = {2, 1, 0.5};
  Lab lab(backend);
  lab.lend(limits_of(3, 3));
  Weight const head = lab.weight({3, 1}, {.head = true}, logits);
  Scored const s = score_rows(lab, {1, 1, 1}, {0, 1, 2}, head);
  gradients(lab, {1}, {1}, head);
  std::vector<float> const d = lab.read(head.grad);
  Page page;
  Numbers table{"words",
                "Scores, probabilities, the loss if the word is the right one, and the gradient of the scores where "
                "\"dog\" is:",
                {{"word"}, {"score", ".1f"}, {"probability", ".3f"}, {"loss", ".3f"}, {"gradient", "+.3f"}},
                {}};
  report::BarChart bars{"probability", {}, 1};
  for (size_t i = 0; i < 3; ++i) {
    double const p = std::exp(s.logprobs[i]);
    table.rows.push_back({kWords[i], double(logits[i]), p, -s.logprobs[i], double(d[i])});
    bars.bars.push_back({kWords[i], p, fmt::format("{:.3f}", p), i == 1});
  }
  double const loss = -s.logprobs[1], p = std::exp(-loss);
  page.finding = fmt::format("\"dog\" has probability {:.3f}, so its loss is {:.3f}", p, loss);
  page.numbers = {table};
  page.pictures = {bars};
  page.see = {
      fmt::format("softmax makes the scores 2, 1, 0.5 the probabilities {:.3f}, {:.3f}, {:.3f}: above 0, together 1.",
                  std::exp(s.logprobs[0]), p, std::exp(s.logprobs[2])),
      fmt::format(
          "The loss of a word is -ln of its probability: -ln {:.3f} = {:.3f} nats. e to the loss is {:.2f}: the "
          "model is as unsure as if it chose evenly among so many words (the perplexity).",
          p, loss, std::exp(loss)),
      fmt::format("A model that knows nothing gives each of three words a third: loss ln 3 = {:.3f}. This one is worse "
                  "than that where \"dog\" is right, since it believes in \"cat\".",
                  std::log(3.0)),
      fmt::format(
          "The gradient is probability minus 1 for the right word ({:+.3f}) and the probability for the others: "
          "it sums to {:.0f}, pulls \"dog\" up and pushes the others down by as much as they were believed.",
          double(d[1]), std::abs(double(d[0]) + d[1] + d[2]))};
  return page;
}

Page right_answers(Backend& backend) {
  std::vector<double> const named = {0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
  std::vector<float> x;
  auto const add = [&](double p) { x.push_back(float(std::log(p / (1 - p)))); };
  for (double const p : named) add(p);
  for (int i = 1; i < 100; ++i) add(0.01 * i);
  Lab lab(backend);
  lab.lend(limits_of(int64_t(x.size()), 2));
  Weight const head = lab.weight({2, 1}, {.head = true}, {1, 0});  // scores x and 0: the first word's odds are e^x
  std::vector<int32_t> const targets(x.size(), 0);
  Scored const s = score_rows(lab, x, targets, head);
  std::vector<float> const d = gradients(lab, x, targets, head);
  Numbers table{
      "probabilities", "", {{"probability", ".3f"}, {"loss", ".3f"}, {"bits", ".3f"}, {"gradient", "+.3f"}}, {}};
  for (size_t i = 0; i < named.size(); ++i)
    table.rows.push_back({std::exp(s.logprobs[i]), -s.logprobs[i], -s.logprobs[i] / std::log(2.0), double(d[i])});
  report::ChartLine loss{"loss", {}}, pull{"pull", {}};
  for (size_t i = named.size(); i < x.size(); ++i) {
    double const p = std::exp(s.logprobs[i]);
    loss.points.push_back({p, -s.logprobs[i]}), pull.points.push_back({p, -double(d[i])});
  }
  Page page;
  page.finding = fmt::format("Sure and wrong is dear: at probability 0.001 the loss is {:.2f}, at 0.99 it is {:.2f}",
                             -s.logprobs[0], -s.logprobs[8]);
  page.numbers = {table};
  page.pictures = {report::LineChart{"loss, nats, by the probability given to the right answer", "", {loss}},
                   report::LineChart{"how hard the gradient pulls its score up", "", {pull}}};
  page.see = {
      fmt::format("Halving the probability costs the same everywhere: from 0.5 to 0.25 it is {:.3f} nats, one bit, and "
                  "from 0.1 to 0.05 as well ({:.3f}).",
                  s.logprobs[5] - s.logprobs[4], s.logprobs[3] - s.logprobs[2]),
      fmt::format("The pull on the score is 1 - probability: {:.3f} where the answer was a surprise, {:.3f} where it "
                  "was known. What is learnt already changes the weights little.",
                  -double(d[0]), -double(d[8])),
      "The loss has no upper end, the pull has: one strange token cannot make a gradient of any size, but many in a "
      "batch can raise its norm. That is what clipping is for."};
  return page;
}

}  // namespace

Topic cross_entropy() {
  return {
      "cross-entropy",
      "Cross-entropy in a world of three words",
      "A model gives every word of its vocabulary a score. How do scores become a loss, and what does the loss tell "
      "the scores? Here the vocabulary has three words, and the ops are those that train: the classifier and "
      "the scoring of tokens.",
      {{"src/backend/backend.h", "the formulas of token_loss and classifier"},
       {"src/backend/reference/classifier.cpp", "both, as plain loops"},
       {"src/backend/cpu/classifier.cpp", "the same, fast, a chunk of tokens at a time"}},
      "the loss on the progress line of folio train; --label-smoothing softens the target",
      three_words};
}

Topic right_answer() {
  return {
      "right-answer",
      "Loss against the probability of the right answer",
      "Only the probability of what really came counts for the loss. This goes through all of them, from nearly 0 to "
      "nearly 1, for a choice between two words.",
      {{"src/backend/cpu/classifier.cpp", "loss and gradient of each token at once"},
       {"src/model/evaluate.cpp", "the mean over a data set: loss, perplexity, bits a byte"}},
      "--clip limits the norm that many surprises together can have; folio score shows each token's loss",
      right_answers};
}

}  // namespace folio::learn

// What a head of the classroom's model attends to, read off the attention op itself.
#include <fmt/format.h>

#include <cmath>

#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

constexpr uint64_t kShown = 900000;       // number of a sentence that training does not reach
constexpr size_t kPerson = 3, kAsks = 8;  // the words' places: the person, and the "the" before the place

// The op gives sums of values, not weights. With the identity as values the sums are the weights: y[t] = Σ_j p[t, j]
// e_j. qkv (1, T, 3C) with T ≤ D; returns (H, T, T), 0 above the diagonal.
std::vector<float> weights_of(Lab& lab, std::vector<float> qkv, int64_t T, int64_t H, int64_t C) {
  int64_t const D = C / H;
  for (int64_t t = 0; t < T; ++t)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t j = 0; j < D; ++j) qkv[size_t(t * 3 * C + 2 * C + h * D + j)] = float(j == t);
  Tensor const y = lab.floats({1, T, C});
  lab.backend.attention(y, lab.floats({1, H, T}), lab.floats({1, T, 3 * C}, qkv), {});
  std::vector<float> const sums = lab.read(y);
  std::vector<float> weights(size_t(H * T * T));
  for (int64_t h = 0; h < H; ++h)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t j = 0; j < T; ++j) weights[size_t((h * T + t) * T + j)] = sums[size_t(t * C + h * D + j)];
  return weights;
}

struct Head {
  size_t layer, head;
  std::vector<float> weights;  // (T, T)
  float at(size_t query, size_t key) const { return weights[query * kSentence + key]; }
};

std::vector<Head> heads_of(Lab& lab, train::Trainer& trainer) {
  model::Config const& c = trainer.options().config;
  trainer.evaluate();  // of the sentence that the last step uploaded
  std::vector<Head> heads;
  for (size_t l = 0; l < trainer.acts().blocks.size(); ++l) {
    std::vector<float> const qkv = lab.read(trainer.acts().blocks[l].qkv);
    auto const all = weights_of(lab, qkv, kSentence, c.heads, c.channels);
    for (size_t h = 0; h < size_t(c.heads); ++h) {
      auto const first = all.begin() + std::ptrdiff_t(h * kSentence * kSentence);
      heads.push_back({l, h, {first, first + kSentence * kSentence}});
    }
  }
  return heads;
}

// The same weights in a trainer that takes one sentence at a time.
void copy_weights(Backend& backend, train::Trainer const& to, train::Trainer const& from) {
  std::vector<Weight> all;
  for_each(from.weights(), [&](std::string const&, Weight const& w, model::Spec const&) { all.push_back(w); });
  size_t i = 0;
  for_each(to.weights(), [&](std::string const&, Weight const& w, model::Spec const&) {
    backend.copy(w.master, all[i++].master);
    backend.prepare(w);
  });
}

Page run(Backend& backend) {
  train::Trainer trainer(backend, options_of({})), reader(backend, options_of({.batch = 1}));
  teach(trainer, 150, 0.01);
  copy_weights(backend, reader, trainer);
  reader.step(sentences(7, kShown, 1), 0);
  Lab lab(backend);
  lab.lend(
      {.rows = kSentence, .sequences = 1, .context = kSentence, .channels = 32, .heads = 2, .vocab = 1, .chunk = 1});
  std::vector<Head> const heads = heads_of(lab, reader);
  std::vector<int32_t> const ids = sentence_numbered(7, kShown);
  auto const word = [&](size_t place) { return vocabulary()[size_t(ids[place])]; };
  Head const* best = &heads[0];
  for (Head const& h : heads)
    if (h.at(kAsks, kPerson) > best->at(kAsks, kPerson)) best = &h;
  Numbers table{"heads",
                fmt::format("How much the \"the\" before \"{}\" attends to each word before it:", word(9)),
                {{"layer.head"}},
                {}};
  for (size_t j = 3; j <= kAsks; ++j) table.columns.push_back({fmt::format("{} {}", j + 1, word(j)), ".3f"});
  for (Head const& h : heads) {
    table.rows.push_back({fmt::format("{}.{}", h.layer, h.head)});
    for (size_t j = 3; j <= kAsks; ++j) table.rows.back().emplace_back(double(h.at(kAsks, j)));
  }
  report::GridChart grid{
      fmt::format("layer {} head {}: a row attends to the columns", best->layer, best->head), {}, {}};
  double future = 0, least = 1, most = 0;
  for (size_t t = 0; t < kSentence; ++t) {
    grid.rows.push_back(fmt::format("{:2} {}", t + 1, word(t)));
    double sum = 0;
    for (size_t j = 0; j < kSentence; ++j) {
      grid.shares.push_back(j <= t ? double(best->at(t, j)) : NAN);
      sum += double(best->at(t, j));
      if (j > t) future = std::max(future, std::abs(double(best->at(t, j))));
    }
    least = std::min(least, sum), most = std::max(most, sum);
  }
  Page page;
  page.finding = fmt::format("To guess \"{}\", the model looks back at \"{}\": {:.0f} % of a head's attention", word(9),
                             word(kPerson), 100 * double(best->at(kAsks, kPerson)));
  page.numbers = {table};
  page.pictures = {grid};
  page.see = {
      fmt::format(
          "Every row sums to 1 (here {:.6f} to {:.6f}), and what lies right of the diagonal is exactly {:.0f}: a "
          "word never sees what comes after it. That is what causal means, and why a sentence of {} words is {} "
          "exercises at once.",
          least, most, future, kSentence, kSentence),
      fmt::format("The first word has only itself, so its weight is {:.0f}.", double(best->at(0, 0))),
      fmt::format(
          "The place follows from the person. Layer {} head {} gives \"{}\" {:.2f} of its attention when the place "
          "is to come; an even look at nine words would be {:.2f}. No rule said so: the loss did.",
          best->layer, best->head, word(kPerson), double(best->at(kAsks, kPerson)), 1.0 / 9)};
  return page;
}

}  // namespace

Topic attention() {
  return {
      "attention",
      "Causal attention on a sentence",
      "A small GPT-2 has learnt a language of 32 words. For each word of a new sentence, how much does a head look at "
      "each word before it? The attention op gives only sums of values; with the identity in place of the values, the "
      "sums are the weights.",
      {{"src/backend/reference/attention.cpp", "causal attention, query by query"},
       {"src/model/gpt2.cpp", "attention_forward: norm, qkv, attention, projection, sum"},
       {"src/learn/classroom.h", "the language"}},
      "--heads and --layers; --context is how far back a word can look",
      run};
}

}  // namespace folio::learn

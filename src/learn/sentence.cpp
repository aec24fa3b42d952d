// The loss of a sentence, word by word, of a model that has just learnt its language.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "learn/classroom.h"
#include "learn/topics.h"
#include "model/score.h"

namespace folio::learn {
namespace {

constexpr uint64_t kShown = 900000;  // number of a sentence that training does not reach

Page run(Backend& backend) {
  train::Trainer trainer(backend, options_of({}));
  std::vector<double> const losses = teach(trainer, 150, 0.01);
  std::vector<int32_t> const ids = sentence_numbered(7, kShown);
  model::TextScores const scores = model::score(backend, trainer.weights(), ids, {.top = 1});
  Numbers table{
      "words",
      "",
      {{"word"}, {"probability", ".3f"}, {"rank", "count"}, {"loss", ".3f"}, {"possible", ".3f"}, {"likeliest"}},
      {}};
  report::BarChart bars{"loss, nats", {}};
  double total = 0, possible = 0;
  for (size_t i = 1; i < ids.size(); ++i) {
    double const loss = -scores.logprobs[i], least = entropies()[i - 1];
    std::string const word = vocabulary()[size_t(ids[i])];
    bool const first = scores.ranks[i] == 0;
    std::string const likeliest = first ? word : vocabulary()[size_t(scores.rivals_of(i)[0].id)];
    table.rows.push_back({word, std::exp(-loss), double(scores.ranks[i] + 1), loss, least, likeliest});
    bars.bars.push_back({word, loss, fmt::format("{:.3f}", loss), i == 3});
    total += loss, possible += least;
  }
  double const mean = total / kSentence, floor = possible / kSentence;
  Page page;
  page.finding = fmt::format("The sentence costs {:.2f} nats, and {:.2f} of them fall on \"{}\"", total,
                             -scores.logprobs[3], vocabulary()[size_t(ids[3])]);
  page.numbers = {table};
  page.pictures = {bars};
  page.see = {
      fmt::format(
          "Before training each word cost about ln {} = {:.2f} nats; the first step's mean was {:.2f}. Now it is "
          "{:.3f}.",
          vocabulary().size(), std::log(double(vocabulary().size())), losses[0], mean),
      fmt::format("The person is one of four and nothing before tells which: ln 4 = {:.3f} nats, and no model can do "
                  "better. The adjective, the verb and the thing are one of two: ln 2 = {:.3f} each.",
                  std::log(4.0), std::log(2.0)),
      fmt::format(
          "\"the\", the preposition and the place follow from what stands before; the model gives them nearly all "
          "its probability. Together the least possible is 5 ln 2 = {:.3f} nats, {:.3f} a word.",
          possible, floor),
      fmt::format("So a loss is never judged against 0: this one is {:.3f} nats a word above what the language itself "
                  "leaves open.",
                  mean - floor)};
  return page;
}

}  // namespace

Topic sentence() {
  return {
      "sentence",
      "The loss of a sentence, word by word",
      "A small GPT-2 learns, here and now, a language of 32 words in which every sentence tells of a person who does "
      "something somewhere. How many nats does each word of a new sentence cost, and how few could it be?",
      {{"src/learn/classroom.h", "the language, whose entropy is known"},
       {"src/train/trainer.cpp", "the steps that taught it"},
       {"src/model/score.cpp", "probability, rank and loss of every token"}},
      "folio score RUN --text FILE shows this for your model and text; folio eval gives the mean",
      run};
}

}  // namespace folio::learn

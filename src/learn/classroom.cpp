#include "learn/classroom.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "train/schedule.h"

namespace folio::learn {
namespace {

struct Person {
  char const *name, *verbs[2], *things[2], *preposition, *place;
};
constexpr Person kPeople[] = {{"cook", {"cuts", "sells"}, {"bread", "cheese"}, "in", "kitchen"},
                              {"sailor", {"paints", "steers"}, {"boat", "ship"}, "on", "sea"},
                              {"farmer", {"feeds", "leads"}, {"cow", "horse"}, "behind", "barn"},
                              {"pupil", {"reads", "hides"}, {"book", "letter"}, "at", "school"}};
constexpr char const* kAdjectives[] = {"old", "young"};

}  // namespace

std::vector<std::string> const& vocabulary() {
  static std::vector<std::string> const words = [] {
    std::vector<std::string> all = {".", "the", kAdjectives[0], kAdjectives[1]};
    for (Person const& p : kPeople)
      for (char const* word : {p.name, p.verbs[0], p.verbs[1], p.things[0], p.things[1], p.preposition, p.place})
        all.emplace_back(word);
    return all;
  }();
  return words;
}

int32_t id_of(std::string const& word) {
  auto const& words = vocabulary();
  auto const found = std::ranges::find(words, word);
  check(found != words.end(), "\"{}\" is no word of the classroom", word);
  return int32_t(found - words.begin());
}

std::vector<int32_t> sentence_numbered(uint64_t seed, uint64_t number) {
  auto const choice = [&](uint64_t which, uint64_t n) {
    return random_below(seed, Domain::data, 0, 4 * number + which, n);
  };
  Person const& p = kPeople[choice(0, 4)];
  std::vector<int32_t> ids = {0};
  for (char const* word : {"the", kAdjectives[choice(1, 2)], p.name, p.verbs[choice(2, 2)], "the",
                           p.things[choice(3, 2)], p.preposition, "the", p.place, "."})
    ids.push_back(id_of(word));
  return ids;
}

std::vector<double> const& entropies() {
  static double const two = std::log(2.0);
  static std::vector<double> const all = {0, two, 2 * two, two, 0, two, 0, 0, 0, 0};
  return all;
}

data::HostBatch sentences(uint64_t seed, uint64_t first, int64_t sequences) {
  data::HostBatch b;
  for (int64_t s = 0; s < sequences; ++s) {
    std::vector<int32_t> const ids = sentence_numbered(seed, first + uint64_t(s));
    b.tokens.insert(b.tokens.end(), ids.begin(), ids.end() - 1);
    b.targets.insert(b.targets.end(), ids.begin() + 1, ids.end());
    b.sequences.push_back(s);
  }
  b.token_weights.assign(b.tokens.size(), 1);
  b.total_weight = double(b.tokens.size());
  return b;
}

train::TrainerOptions options_of(Pupil const& p) {
  train::TrainerOptions o;
  o.config = {.layers = p.layers,
              .heads = 2,
              .channels = 32,
              .vocab = int64_t(vocabulary().size()),
              .context = kSentence + 1,
              .bias = true,
              .tied = p.tied,
              .dropout = {p.dropout, p.dropout, p.dropout, p.dropout}};
  o.batch = p.batch, o.accumulate = p.accumulate, o.length = kSentence;
  o.seed = p.seed;
  o.optimizer.decay = p.decay;
  return o;
}

std::vector<double> teach(train::Trainer& trainer, int64_t steps, double rate, uint64_t seed) {
  train::ScheduleOptions const schedule{.schedule = "cosine", .lr = rate, .min_lr = 0.1 * rate, .warmup = steps / 10};
  int64_t const sequences = trainer.options().batch * trainer.options().accumulate;
  std::vector<double> losses;
  for (int64_t it = 0; it < steps; ++it) {
    trainer.step(sentences(seed, uint64_t(it * sequences), sequences), train::rate_at(schedule, it, steps));
    losses.push_back(trainer.state().loss);
  }
  return losses;
}

}  // namespace folio::learn

// One distribution, shaped by temperature, top-k and top-p, and drawn from.
#include "generate/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "generate/processors.h"
#include "learn/topics.h"

namespace folio::learn {
namespace {

constexpr char const* kWords[] = {"sea", "boat", "wind", "moon", "fish", "king", "tax", "the"};
std::vector<float> const kLogits = {3.0F, 2.4F, 1.8F, 1.2F, 0.6F, 0.0F, -0.6F, -1.2F};
constexpr int kDraws = 10000;

struct Way {
  std::string name;
  generate::SamplingOptions options;
  std::vector<double> probabilities = {};  // 0 for a word that is out
  std::vector<double> drawn = {};          // shares
  double entropy = 0;
  int kept = 0;
};

void work_out(Way& way) {
  std::vector<generate::Candidate> left;
  std::vector<double> weights;
  generate::fill(left, kLogits);
  generate::temperature(left, way.options.temperature);
  if (way.options.top_k > 0) generate::top_k(left, way.options.top_k);
  generate::top_p(left, way.options.top_p);
  double const sum = generate::weigh(left, weights);
  way.probabilities.assign(kLogits.size(), 0);
  for (size_t i = 0; i < left.size(); ++i) {
    double const p = weights[i] / sum;
    way.probabilities[size_t(left[i].id)] = p;
    way.entropy -= p > 0 ? p * std::log(p) : 0;
  }
  way.kept = int(left.size());
  way.drawn.assign(kLogits.size(), 0);
  generate::Sampler sampler(way.options);
  for (int64_t i = 0; i < kDraws; ++i) way.drawn[size_t(sampler.pick(kLogits, {}, 0, i))] += 1.0 / kDraws;
}

Page run(Backend&) {
  std::vector<Way> ways = {{"as it is", {}},
                           {"T 0.5", {.temperature = 0.5}},
                           {"T 2", {.temperature = 2}},
                           {"top-k 3", {.top_k = 3}},
                           {"top-p 0.9", {.top_p = 0.9}}};
  for (Way& way : ways) work_out(way);
  Numbers table{"words", "Probability of each word:", {{"word"}}, {}},
      summary{"ways",
              "",
              {{"way"}, {"words", "count"}, {"entropy", ".3f"}, {"perplexity", ".2f"}, {"draws off by", ".4f"}},
              {}};
  Page page;
  double most_off = 0;
  for (Way const& way : ways) {
    table.columns.push_back({way.name, ".3f"});
    double off = 0;
    for (size_t i = 0; i < kLogits.size(); ++i) off = std::max(off, std::abs(way.drawn[i] - way.probabilities[i]));
    summary.rows.push_back({way.name, double(way.kept), way.entropy, std::exp(way.entropy), off});
    most_off = std::max(most_off, off);
    report::BarChart bars{"probability, " + way.name, {}, ways[1].probabilities[0]};
    for (size_t i = 0; i < kLogits.size(); ++i)
      if (way.probabilities[i] > 0)
        bars.bars.push_back({kWords[i], way.probabilities[i], fmt::format("{:.3f}", way.probabilities[i])});
    page.pictures.emplace_back(std::move(bars));
  }
  for (size_t i = 0; i < kLogits.size(); ++i) {
    table.rows.push_back({kWords[i]});
    for (Way const& way : ways) table.rows.back().emplace_back(way.probabilities[i]);
  }
  Way const &plain = ways[0], &cold = ways[1], &hot = ways[2], &k = ways[3], &p = ways[4];
  page.finding =
      fmt::format("top-k 3 leaves {} of eight words, top-p 0.9 leaves {}; temperature keeps all and moves their odds",
                  k.kept, p.kept);
  page.numbers = {table, summary};
  page.see = {
      fmt::format("Temperature divides the scores. At 0.5 the odds of \"sea\" to \"boat\" are squared ({:.2f} becomes "
                  "{:.2f}), at "
                  "2 their root is taken ({:.2f}): the first word has {:.3f}, {:.3f}, {:.3f}.",
                  plain.probabilities[0] / plain.probabilities[1], cold.probabilities[0] / cold.probabilities[1],
                  hot.probabilities[0] / hot.probabilities[1], cold.probabilities[0], plain.probabilities[0],
                  hot.probabilities[0]),
      fmt::format(
          "top-k keeps the 3 likeliest, whatever their share ({:.3f} here). top-p keeps the fewest that reach 0.9: {} "
          "words, and fewer where the model is sure.",
          plain.probabilities[0] + plain.probabilities[1] + plain.probabilities[2], p.kept),
      "Both share the rest out in proportion: the odds between the words that stay do not change.",
      fmt::format("10,000 draws of the sampler give each word its share within {:.4f}. A draw is a function of seed, "
                  "sample and "
                  "position alone, so the same seed writes the same text.",
                  most_off)};
  return page;
}

}  // namespace

Topic sampling() {
  return {"sampling",
          "Temperature, top-k and top-p on one distribution",
          "A trained model gives every next word a score. What is written depends on how one is drawn. Here are eight "
          "words "
          "with fixed scores, shaped in four ways by the processors of folio generate, and drawn 10,000 times.",
          {{"src/generate/processors.cpp", "temperature, top_k, top_p"},
           {"src/generate/sampler.cpp", "the draw"},
           {"src/generate/candidates.cpp", "the weights of what is left"}},
          "none: these are folio generate's --temperature, --top-k and --top-p; --greedy takes the likeliest",
          run};
}

}  // namespace folio::learn

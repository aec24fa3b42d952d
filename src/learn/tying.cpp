// One matrix for reading words in and for scoring them: what it saves, and where its gradient comes from.
#include <fmt/format.h>

#include <cmath>

#include "core/progress.h"
#include "learn/classroom.h"
#include "learn/lab.h"
#include "learn/topics.h"
#include "model/sizes.h"
#include "report/table.h"

namespace folio::learn {
namespace {

constexpr double kBytes = 16;  // a parameter in training: master, gradient and two moments in f32

// Untied, with the head a copy of the embedding: the gradients of the two uses apart.
struct Apart {
  double lookup, head, sum, tied, furthest;
};

Apart gradients_apart(Backend& backend) {
  Lab lab(backend);
  train::Trainer tied(backend, options_of({})), untied(backend, options_of({.tied = false}));
  lab.write(untied.weights().head.master, lab.read(untied.weights().wte.master));
  backend.prepare(untied.weights().head);
  data::HostBatch const batch = sentences(7, 0, 16);
  tied.step(batch, 0), untied.step(batch, 0);
  std::vector<float> const lookup = lab.read(untied.weights().wte.grad), head = lab.read(untied.weights().head.grad),
                           both = lab.read(tied.weights().wte.grad);
  std::vector<float> sum(lookup.size());
  Apart a{norm_of(lookup), norm_of(head), 0, norm_of(both), 0};
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = lookup[i] + head[i];
    a.furthest = std::max(a.furthest, std::abs(double(sum[i]) - both[i]));
  }
  a.sum = norm_of(sum);
  return a;
}

Page run(Backend& backend) {
  Numbers table{"sizes",
                "",
                {{"model"}, {"tied", "count"}, {"untied", "count"}, {"saved", "percent"}, {"in training", "bytes"}},
                {}};
  report::BarChart bars{"share of an untied model's parameters that tying saves", {}};
  double first_share = 0, last_share = 0;
  for (model::ModelSize const& size : model::sizes()) {
    model::Config config{
        .layers = size.layers, .heads = size.heads, .channels = size.channels, .context = size.context, .dropout = {}};
    auto const tied = double(count_parameters(config).total());
    config.tied = false;
    auto const untied = double(count_parameters(config).total());
    double const share = (untied - tied) / untied;
    table.rows.push_back({size.name, tied, untied, share, kBytes * (untied - tied)});
    bars.bars.push_back({size.name, share, fmt::format("{:.1f} %", 100 * share), std::string(size.name) == "124M"});
    if (std::string(size.name) == "124M") first_share = share;
    last_share = share;
  }
  Apart const a = gradients_apart(backend);
  Numbers gradients{"gradients",
                    "Norm of the embedding's gradient in a first step of the small model:",
                    {{"of"}, {"norm", ".5f"}},
                    {{"reading words (untied)", a.lookup},
                     {"scoring words (untied)", a.head},
                     {"their sum", a.sum},
                     {"the tied matrix", a.tied}}};
  auto const saved = int64_t(model::kGpt2Vocab) * 768;
  Page page;
  page.finding = fmt::format("Tying saves {:.0f} % of the 124M model, and {:.1f} % of the largest", 100 * first_share,
                             100 * last_share);
  page.numbers = {table, gradients};
  page.pictures = {bars};
  page.see = {
      fmt::format(
          "At 124M the head would be {} numbers more, {} in training with gradient and moments. The matrix grows "
          "with the width, the blocks with its square and the depth: the share falls.",
          report::grouped(saved), format_bytes(kBytes * double(saved))),
      fmt::format(
          "The tied matrix learns from both uses: its gradient is the sum of that of reading and that of scoring, "
          "to {:.0e}.",
          a.furthest),
      fmt::format(
          "Scoring has the larger part at first ({:.3f} against {:.3f}): every word of the vocabulary is pushed "
          "at every place, while only words that occur are read.",
          a.head, a.lookup)};
  return page;
}

}  // namespace

Topic tying() {
  return {"tying",
          "What tying the head to the embedding saves",
          "GPT-2 reads a word as a row of a matrix, and scores the next word with the same rows. A second matrix for "
          "scoring would be possible. What does the shared one save, and what does it learn from?",
          {{"src/model/sizes.cpp", "count_parameters"},
           {"src/model/weights.h", "weights.head is a copy of wte's views where it is tied"},
           {"src/backend/cpu/embedding.cpp", "embed_backward, which adds to what the classifier left"}},
          "--untied gives the head a matrix of its own; folio inspect counts the parameters of a model",
          run};
}

}  // namespace folio::learn

// The workloads of a whole model: a training step, and decoding.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/op_times.h"
#include "core/clock.h"
#include "core/error.h"
#include "generate/engine.h"
#include "model/sizes.h"
#include "train/options.h"
#include "train/statistics.h"

namespace folio::cli {
namespace {

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

model::Config shape(BenchOptions const& o, int64_t context) {
  model::ModelOptions m;
  m.size = o.size, m.layers = o.layers, m.heads = o.heads, m.channels = o.embd;
  m.context = context, m.vocab = o.vocab, m.dropout = o.dropout;
  return m.config();
}

std::string size_name(BenchOptions const& o, model::Config const& c) {
  return o.layers || o.heads || o.embd ? fmt::format("{}×{}", c.layers, c.channels) : o.size;
}

std::string describe(BenchOptions const& o, model::Config const& c) {
  return fmt::format("{} {}, B {}, T {}", size_name(o, c), o.backend.type_text(), o.batch, c.context) +
         (o.dropout > 0 ? fmt::format(", dropout {}", o.dropout) : "");
}

std::vector<int32_t> spread_ids(int64_t n, int64_t vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(int64_t(i) * 7919 % vocab);
  return ids;
}

// Steps without anyone watching, with active units noted, and with all statistics taken, in turn.
std::vector<BenchRow> cost_of_statistics(Backend& backend, train::Trainer& trainer, data::HostBatch const& batch,
                                         int64_t repeat) {
  train::StatisticsTaker taker(backend, trainer);
  std::vector<double> plain, noted, taken;
  for (int64_t i = -1; i < repeat; ++i)
    for (auto* const times : {&plain, &noted, &taken}) {
      trainer.watch(times == &plain ? nullptr : &taker);
      double const begin = now();
      if (times == &taken) taker.ask();
      trainer.step(batch, 6e-4);
      (void)trainer.state();
      if (times == &taken) (void)to_json(taker.take(i + 2, 1));
      if (i >= 0) times->push_back(now() - begin);
    }
  double const p = median(plain), n = median(noted), t = median(taken);
  auto const row = [&](char const* name, double seconds) {
    return BenchRow{.name = name, .value = 100 * (seconds - p) / p, .unit = "% of a step", .seconds = seconds - p};
  };
  return {row("active units, each step", n), row("statistics, a step that takes them", t),
          row("statistics every 10 steps", (9 * n + t) / 10), row("statistics every 100 steps", (99 * n + t) / 100)};
}

}  // namespace

std::vector<BenchRow> bench_train(BenchOptions const& o) {
  model::Config const c = shape(o, o.context);
  auto const backend = o.backend.make();
  int64_t const rows = o.batch * c.context;
  train::Trainer trainer(*backend, {.config = c,
                                    .dtype = o.backend.compute_type(),
                                    .batch = o.batch,
                                    .length = c.context,
                                    .chunk = train::chunk_for(rows, c.vocab),
                                    .optimizer = {},
                                    .decide = {},
                                    .classifier = {}});
  data::HostBatch batch;
  batch.tokens = spread_ids(rows, c.vocab);
  batch.targets = spread_ids(rows, c.vocab);
  batch.token_weights.assign(size_t(rows), 1);
  for (int64_t b = 0; b < o.batch; ++b) batch.sequences.push_back(b);
  batch.total_weight = double(rows);
  std::vector<double> times;
  for (int64_t i = -1; i < o.repeat; ++i) {
    double const begin = now();
    trainer.step(batch, 6e-4);
    (void)trainer.state();  // waits
    if (i >= 0) times.push_back(now() - begin);
  }
  double const seconds = median(times);
  // 6 a parameter and token for the products of forward and backward, 12 L C T for attention (the positions' table and
  // the norms are left out; a tied head counts where it multiplies).
  model::ParameterCounts const n = model::count_parameters(c);
  double const matrices = double(n.attention + n.mlp) + double(c.vocab) * double(c.channels);
  double const flop = double(rows) * (6 * matrices + 12 * double(c.layers) * double(c.channels) * double(c.context));
  std::vector<BenchRow> out = {{"train " + describe(o, c), double(rows) / seconds, "tok/s", seconds},
                               {"train " + describe(o, c) + ", 6N + 12LCT", flop / seconds / 1e9, "GFLOP/s", seconds}};
  if (o.statistics) std::ranges::copy(cost_of_statistics(*backend, trainer, batch, o.repeat), std::back_inserter(out));
  if (o.profile) {
    OpTimes times(*backend, trainer.acts().losses);
    times.begin();
    trainer.step(batch, 6e-4);
    std::ranges::copy(times.rows(), std::back_inserter(out));
  }
  return out;
}

std::vector<BenchRow> bench_decode(BenchOptions const& o) {
  model::Config const c = shape(o, std::max(o.context, o.prompt + o.new_tokens));
  auto const backend = o.backend.make();
  model::WeightArenas arenas;
  model::Weights weights;
  auto lay_out = [&] { weights = lay_out_weights(arenas, *backend, c, o.backend.compute_type(), false); };
  lay_out();
  arenas.masters.allocate(*backend), arenas.compute.allocate(*backend);
  lay_out();
  initialise(*backend, weights, 1);
  generate::Engine engine(*backend, weights, std::vector<std::string_view>(size_t(c.vocab), "x"), -1,
                          {.sequences = o.batch});
  generate::GenerateOptions options;
  options.sampling.greedy = true;
  options.max_new_tokens = o.new_tokens;
  std::vector<std::vector<int32_t>> const prompts(size_t(o.batch), spread_ids(o.prompt, c.vocab));
  std::vector<double> reading, decoding;
  for (int64_t i = -1; i < o.repeat; ++i) {
    engine.generate(prompts, options);
    if (i < 0) continue;
    reading.push_back(engine.timing().prompt_seconds);
    decoding.push_back(engine.timing().decode_seconds);
  }
  double const read = median(reading), decode = median(decoding);
  std::string const what =
      fmt::format("{} {}, batch {}, prompt {}", size_name(o, c), name_of(o.backend.compute_type()), o.batch, o.prompt);
  return {{"prompt " + what, double(o.batch * o.prompt) / read, "tok/s", read},
          {"decode " + what, double(o.batch * (o.new_tokens - 1)) / decode, "tok/s", decode}};
}

}  // namespace folio::cli

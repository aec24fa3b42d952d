// Logs of runs that were not trained: exact curves, in the form that folio writes.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "train/history.h"

namespace folio::test {

struct MadeLog {
  int64_t steps = 1000, eval_every = 100, statistics_every = 100;
  int64_t layers = 2;
  std::function<double(int64_t)> train = [](int64_t s) { return 1.2 + 3 * std::exp(-double(s) / 150); };
  std::function<double(int64_t)> gap = [](int64_t) { return 0.05; };
  std::function<double(int64_t)> norm = [](int64_t s) { return 0.4 + 2 * std::exp(-double(s) / 50); };
  int64_t not_finite_from = -1;  // −1: never
  std::function<double(int64_t)> loss_scale = [](int64_t) { return 0; };
  std::vector<int64_t> overflows = {};  // steps that a gradient scaler skipped
  std::string sample = "";              // at each evaluation; empty: none
};

inline train::Statistics made_statistics(MadeLog const& m, int64_t step) {
  train::Statistics s{.step = step, .period = m.statistics_every};
  auto const add = [&](std::string const& name, double share) {
    s.tensors.push_back({name, {0.001, 0.02, 3, share * m.norm(step), 1e-3}});
  };
  add("wte.weight", 0.5), add("wpe.weight", 0.1);
  for (int64_t i = 0; i < m.layers; ++i) {
    for (char const* part : {"ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
                             "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
                             "mlp.c_proj.weight", "mlp.c_proj.bias"})
      add(fmt::format("h.{}.{}", i, part), 0.1 + 0.02 * double(i));
    for (char const* site : {"attn", "mlp", "gelu", "residual"})
      s.activations.push_back({fmt::format("h.{}.{}", i, site), {0.1, 1.5, -4, 5}});
    s.quiet.push_back(0.01 * double(i + 1));
  }
  add("ln_f.weight", 0.05);
  for (char const* type : {"embedding", "attention", "mlp", "norm"})
    s.types.push_back({type, {0.001, 0.02, 3, 0.3, 1e-3}});
  return s;
}

inline std::string made_log(MadeLog const& m) {
  std::string out = dump(train::metrics_header()) + "\n";
  auto const add = [&](Json const& line) { out += dump(line) + "\n"; };
  auto const evaluate = [&](int64_t s) {
    double const train = m.train(s), val = train + m.gap(s);
    add(to_json(train::EvalReport{.step = s,
                                  .train = train,
                                  .val = val,
                                  .val_bits_per_byte = val * 1.44,
                                  .best = false,
                                  .seconds = 0.1 * double(s)}));
    if (!m.sample.empty()) add(to_json(train::Sample{s, "\n", m.sample}));
  };
  evaluate(0);
  for (int64_t s = 1; s <= m.steps; ++s) {
    bool const broken = m.not_finite_from >= 0 && s >= m.not_finite_from;
    bool const overflow = std::ranges::count(m.overflows, s) > 0;
    add(to_json(train::StepReport{.step = s,
                                  .loss = broken ? NAN : m.train(s) * (1 + 0.01 * double(s % 7 - 3)),
                                  .rate = 1e-3 * std::min(1.0, double(s) / 100),
                                  .norm = broken || overflow ? NAN : m.norm(s),
                                  .loss_scale = m.loss_scale(s),
                                  .accepted = !broken && !overflow,
                                  .seconds = 0.1 * double(s),
                                  .tokens_per_second = 9600 + double(s % 10),
                                  .memory_bytes = 9e8}));
    if (m.statistics_every > 0 && s % m.statistics_every == 0) add(to_json(made_statistics(m, s)));
    if (broken) continue;
    if (s % m.eval_every == 0 || s == m.steps) evaluate(s);
  }
  return out;
}

/// A run directory of such a log, as `folio report` takes it.
inline void make_run(Path const& folder, std::string const& log, std::string const& config) {
  make_folders(folder / "checkpoints");
  write_file(folder / "config.toml", config);
  write_file(folder / "metrics.jsonl", log);
}

inline std::string const kMadeConfig =
    "version = 1\ndata = \"/data/plays\"\nsize = \"\"\nlayers = 2\nheads = 2\nembd = 16\ncontext = 32\nvocab = 65\n"
    "batch = 4\nsteps = 1000\nthreads = 0\n";

}  // namespace folio::test

#include "train/fit.h"

#include <algorithm>

#include "core/error.h"

namespace folio::train {
namespace {

constexpr int64_t kShortest = 32;            // positions: a shorter context is another model
constexpr int64_t kMost = int64_t{1} << 20;  // micro-batches, as the options have it

// `run` with micro-batches of `batch` sequences, a divisor of its own. Evaluations read the same windows.
RunOptions with_batch(RunOptions run, int64_t batch) {
  int64_t const parts = run.batch / batch;
  run.accumulate *= parts;
  if (int64_t const n = evaluation_batches(run); n > 0) run.eval_batches = std::to_string(n * parts);
  run.batch = batch;
  return run;
}

void add_rungs(std::vector<Rung>& rungs, RunOptions const& run, int64_t context, bool smaller_batches) {
  static constexpr char const* kModes[] = {"none", "mlp", "block"};
  auto const first = std::ranges::find(kModes, run.recompute);
  for (auto mode = first; mode != std::end(kModes); ++mode)
    for (int64_t batch = run.batch; batch >= (smaller_batches ? 1 : run.batch); --batch) {
      if (run.batch % batch != 0 || run.accumulate * (run.batch / batch) > kMost) continue;
      Rung rung{with_batch(run, batch), context};
      rung.run.recompute = *mode;
      rungs.push_back(rung);
      if (rung.run.save == "foreground") continue;
      rung.run.save = "foreground";
      rungs.push_back(std::move(rung));
    }
}

}  // namespace

std::vector<Rung> ladder(RunOptions const& run, int64_t context, Ladder kind) {
  std::vector<Rung> rungs;
  add_rungs(rungs, run, context, kind != Ladder::same_bits);
  if (kind != Ladder::shorter_context) return rungs;
  RunOptions shorter = run;
  for (int64_t T = context / 2; T >= kShortest && shorter.accumulate * 2 <= kMost; T /= 2) {
    shorter.accumulate *= 2;  // as many tokens a step
    add_rungs(rungs, shorter, T, true);
  }
  return rungs;
}

std::string flags_of(Rung const& rung, RunOptions const& was, int64_t context) {
  std::string flags = rung.context == context ? "" : fmt::format(" --context {}", rung.context);
  RunOptions now = rung.run, before = was;
  Fields const fields_now = fields(now), fields_before = fields(before);
  for (size_t i = 0; i < fields_now.size(); ++i)
    if (text_of(fields_now[i]) != text_of(fields_before[i]))
      flags += fmt::format(" --{} {}", fields_now[i].name, text_of(fields_now[i]));
  return flags.empty() ? flags : flags.substr(1);
}

int64_t largest(int64_t most, std::function<bool(int64_t)> const& fits) {
  int64_t low = 0, high = 1;  // low fits
  while (high <= most && fits(high)) low = high, high *= 2;
  high = std::min(high, most + 1);
  while (high - low > 1) {
    int64_t const middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace folio::train

#include "train/step_time.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/room.h"
#include "core/clock.h"
#include "core/random.h"
#include "model/evaluate.h"
#include "model/sizes.h"
#include "train/fit.h"
#include "train/statistics.h"

namespace folio::train {
namespace {

constexpr int64_t kRows = 4096, kRowsOfDevice = 16384;  // tokens that keep a machine busy
constexpr double kWork = 1.2e12;                        // operations of a pass, of more than kFewRows tokens
constexpr int64_t kFewRows = 1024;
constexpr size_t kMemory = size_t{512} << 20;  // that several blocks may take
constexpr int64_t kTokens = 32;                // of a sample
constexpr size_t kEnough = 7;                  // passes, where they are no shorter than
constexpr double kShortest = 0.15;             // seconds

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[(v.size() - 1) / 2];
}

struct Parts {                                // seconds
  double blocks = 0, outside = 0;             // of forward and backward
  double norm = 0;                            // of the gradient, and what is decided by it
  double own_updates = 0, other_updates = 0;  // of the blocks' tensors, of the others
};
constexpr double Parts::*kParts[] = {&Parts::blocks, &Parts::outside, &Parts::norm, &Parts::own_updates,
                                     &Parts::other_updates};

double Parts::*part_of(Event const& e) {
  if (e.phase != Phase::update) return e.layer >= 0 ? &Parts::blocks : &Parts::outside;
  if (std::string_view(e.op) != "optimize") return &Parts::norm;
  return std::string_view(e.outputs[0].label).starts_with("h.") ? &Parts::own_updates : &Parts::other_updates;
}

// Adds up the ops of a pass by where they stand. Reading an element waits for what a device has queued.
class OpClock {
 public:
  OpClock(Backend& backend, Tensor probe) : backend_(backend), probe_(probe.reshaped({1})) {
    wait();
    last_ = now();
    before_ = backend.observe([this](Event const& e) {
      wait();
      double const time = now();
      parts.*part_of(e) += time - last_;
      last_ = time;
    });
  }
  ~OpClock() { backend_.observe(std::move(before_)); }
  OpClock(OpClock const&) = delete;
  Parts parts;

 private:
  void wait() {
    std::byte element[16];
    backend_.download(element, probe_);
  }
  Backend& backend_;
  Tensor probe_;
  Observer before_;
  double last_ = 0;
};

// What a pass takes, by its parts: the medians of the clock's, scaled to what it takes unwatched.
Parts measured(Backend& backend, Tensor probe, double budget, int64_t* count, std::function<void()> const& pass) {
  std::vector<double> whole;
  std::vector<Parts> clocked;
  pass();  // makes what is made once: products' primitives, a device's kernels
  double const start = now(), least = std::min(budget, kShortest * double(kEnough));
  do {
    double const begin = now();
    pass();
    whole.push_back(now() - begin);
    OpClock clock(backend, probe);
    pass();
    clocked.push_back(clock.parts);
  } while (now() - start < (whole.size() < kEnough ? budget : least));
  if (count) *count = int64_t(whole.size());
  Parts p;
  for (auto const part : kParts) {
    std::vector<double> times;
    for (Parts const& c : clocked) times.push_back(c.*part);
    p.*part = median(times);
  }
  double sum = 0;
  for (auto const part : kParts) sum += p.*part;
  if (sum <= 0) return {.outside = median(whole)};
  for (auto const part : kParts) p.*part *= median(whole) / sum;
  return p;
}

// As in a new model, but a pattern for the draws: what is much smaller becomes numbers that a processor is slow at.
void fill(Backend& backend, model::Weights const& w) {
  std::vector<double> pattern(size_t{1} << 20);
  for (size_t i = 0; i < pattern.size(); ++i)  // uniform, of deviation 1
    pattern[i] = std::sqrt(12.0) * (double(philox({uint32_t(i), 0, 0, 0}, 1)[0]) * 0x1p-32 - 0.5);
  for_each(w, [&](std::string const&, Weight const& weight, model::Spec const& spec) {
    Tensor const flat = weight.master.reshaped({spec.shape.size()});
    for (int64_t first = 0; first < flat.size(); first += int64_t(pattern.size())) {
      Tensor const piece = flat.slice(first, std::min(flat.size(), first + int64_t(pattern.size())));
      std::vector<double> values(pattern.begin(), pattern.begin() + piece.size());
      for (double& v : values) v = spec.deviation > 0 ? spec.deviation * v : spec.value;
      if (piece.dtype == DType::f64) backend.upload(piece, values.data());
      else backend.upload(piece, std::vector<float>(values.begin(), values.end()).data());
    }
    backend.prepare(weight);
  });
}

data::HostBatch any_batch(TrainerOptions const& o) {
  data::HostBatch b;
  for (int64_t i = 0; i < o.batch * o.length; ++i) {
    auto const words = philox({uint32_t(i), 1, 0, 0}, 1);
    b.tokens.push_back(int32_t(words[0] % uint64_t(o.config.vocab)));
    b.targets.push_back(int32_t(words[1] % uint64_t(o.config.vocab)));
  }
  b.token_weights.assign(b.tokens.size(), 1);
  for (int64_t s = 0; s < o.batch; ++s) b.sequences.push_back(s);
  b.total_weight = double(b.tokens.size());
  return b;
}

double copy_rate(Backend& backend, Tensor from) {
  int64_t const rows = std::max<int64_t>(1, from.shape[0] * (int64_t{32} << 20) / int64_t(from.bytes()));
  Tensor const part = from.slice(0, std::min(rows, from.shape[0]));
  std::vector<std::byte> to(part.bytes());
  double const begin = now();
  backend.download(to.data(), part);
  return double(part.bytes()) / std::max(1e-9, now() - begin);
}

}  // namespace

RunTime run_time(RunOptions const& o, int64_t from, StepTimes const& t, int64_t batches, SaveTimes const& save) {
  auto const multiples = [&](int64_t of) {  // after `from`, up to the last step; 0: never
    return of > 0 ? o.steps / of - from / of : 0;
  };
  auto const ends_on = [&](int64_t of) { return o.steps % of == 0; };
  int64_t const both = std::lcm(std::min(o.eval_every, o.steps + 1), std::min(o.checkpoint_every, o.steps + 1));
  bool const one_more = o.steps > from && !ends_on(o.eval_every);  // evaluation, after the last step
  RunTime r{.steps = o.steps - from, .statistics = multiples(o.stats_every), .samples = multiples(o.sample_every)};
  r.evaluations = multiples(o.eval_every) + one_more + (from == 0);
  r.saves = multiples(o.eval_every) + multiples(o.checkpoint_every) - multiples(both) +
            (one_more && !ends_on(o.checkpoint_every));
  r.in_steps = double(r.steps + multiples(o.verify_step)) * t.step;
  r.in_statistics = double(r.statistics) * t.statistics;
  r.in_evaluations = double(r.evaluations * batches) * t.evaluation_batch;
  r.in_samples = double(r.samples) * t.sample;
  if (r.saves == 0) return r;
  // What a save takes longer than the steps to the next one holds up the next; nothing hides the last one.
  double const between = r.total() / double(r.saves);
  r.in_saves =
      double(r.saves) * save.held_up + double(r.saves - 1) * std::max(0.0, save.behind - between) + save.behind;
  return r;
}

TrainerOptions measured_options(Backend& backend, TrainerOptions const& o) {
  TrainerOptions small = o;
  small.config.layers = 1;
  double const of_a_token = 6 * double(model::count_parameters(small.config).total());  // forward and backward
  int64_t const rows = backend.device_memory().total > 0
                           ? kRowsOfDevice
                           : int64_t(std::clamp(kWork / of_a_token, double(kFewRows), double(kRows)));
  small.batch = std::clamp<int64_t>(rows / o.length, 1, o.batch);
  small.accumulate = 1;
  small.chunk = std::min(o.chunk, small.batch * o.length);
  small.initialise = small.verify = false;
  small.groups.clear();  // a block that is not there has no tensors
  auto const is_little = [&, tried = small](int64_t layers) mutable {
    tried.config.layers = layers;
    return bytes_of(Trainer::plan(backend, tried)) <= kMemory;
  };
  small.config.layers = std::max<int64_t>(1, largest(o.config.layers, is_little));
  return small;
}

StepTimes measure_step(Backend& backend, RunOptions const& run, TrainerOptions const& o, SampleWriter const& writer,
                       double budget) {
  double const begin = now();
  TrainerOptions const small = measured_options(backend, o);
  Trainer trainer(backend, small);
  fill(backend, trainer.weights());
  std::optional<StatisticsTaker> statistics;
  if (run.stats_every > 0) statistics.emplace(backend, trainer);
  data::HostBatch const batch = any_batch(small);
  StepTimes t{.blocks = small.config.layers, .sequences = small.batch};
  Tensor const probe = trainer.acts().losses;
  auto const count = [](model::Config const& c) { return double(model::count_parameters(c).total()); };
  double const blocks = double(o.config.layers) / double(small.config.layers);
  double const sequences = double(o.batch) / double(small.batch), passes = double(o.accumulate) * sequences;
  auto const of_run = [&](Parts const& p) {
    return passes * (blocks * p.blocks + p.outside) + p.norm * count(o.config) / count(small.config) +
           blocks * p.own_updates + p.other_updates;
  };
  auto const step = [&] {
    trainer.step(batch, 1e-6);
    (void)trainer.state();
  };
  t.step = of_run(measured(backend, probe, 0.75 * budget, &t.steps, step));
  if (statistics) {
    Parts const with = measured(backend, probe, 0.1 * budget, nullptr, [&] {
      statistics->ask();
      step();
      (void)statistics->take(1, 1);
    });
    t.statistics = std::max(0.0, of_run(with) - t.step);
  }
  model::Evaluator evaluate(backend, small.config, small.batch, small.length, small.dtype);
  Parts const evaluation = measured(backend, probe, 0.15 * budget, nullptr, [&] {
    bool given = false;
    evaluate(trainer.weights(), [&](model::EvalBatch& b) {
      b = {batch.tokens, batch.targets, {}};
      return !std::exchange(given, true);
    });
  });
  t.evaluation_batch = sequences * (blocks * evaluation.blocks + evaluation.outside);
  if (run.sample_every > 0) {
    int64_t const tokens = std::min(kTokens, run.sample_tokens);
    Parts const sample = measured(backend, probe, 0, nullptr, writer(trainer.weights(), tokens));
    t.sample = (blocks * sample.blocks + sample.outside) * double(run.sample_tokens) / double(tokens);
  }
  t.copy_rate = copy_rate(backend, trainer.weights().wte.master);
  t.seconds = now() - begin;
  return t;
}

}  // namespace folio::train

// Statistics of a run: they change no bit of it, they are what the tensors say, and a unit is quiet where it was so all
// period long.
#include "train/statistics.h"

#include "model/layer_type.h"
#include "tests/support/files.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

using train::Statistics;
using train::StatisticsTaker;
using train::Trainer;

class StatisticsOf : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Backend> backend = GetParam().make();
  DType dtype = GetParam().dtype;
};

struct Ran {
  std::vector<double> losses;
  State state;
};

Ran run(Backend& backend, DType dtype, int64_t every, model::Recompute recompute = {}) {
  train::TrainerOptions options = odd_options(dtype);
  options.recompute = recompute;
  Trainer t(backend, options);
  randomise(backend, t.weights(), 0.3);
  std::optional<StatisticsTaker> taker;
  if (every > 0) taker.emplace(backend, t);
  Ran ran;
  for (int64_t step = 1; step <= 12; ++step) {
    bool const asked = every > 0 && step % every == 0;
    if (asked) taker->ask();
    data::HostBatch b = batch(4, kOddLength, kOddVocab, unsigned(step));
    if (step == 9) b.token_weights[4] = NAN;  // a step that is refused
    t.step(b, 1e-2 / double(step));
    if (step != 9) ran.losses.push_back(t.state().loss);
    if (!asked) continue;
    Statistics const s = taker->take(step, 1);
    EXPECT_EQ(s.step, step);
    EXPECT_EQ(s.period, every);
    EXPECT_EQ(s.tensors[0].second.update == 0, step == 9) << "a refused step moves nothing";
  }
  ran.state = read_state(backend, t);
  return ran;
}

TEST_P(StatisticsOf, ChangeNoBitOfTheRun) {
  Ran const without = run(*backend, dtype, 0);
  for (int64_t const every : {1, 3})
    for (auto const recompute : {model::Recompute::none, model::Recompute::block}) {
      Ran const with = run(*backend, dtype, every, recompute);
      EXPECT_TRUE(with.losses == without.losses);
      EXPECT_TRUE(with.state.w == without.state.w);
      EXPECT_TRUE(with.state.g == without.state.g);
      EXPECT_TRUE(with.state.m == without.state.m);
      EXPECT_TRUE(with.state.v == without.state.v);
    }
}

struct Expected {
  double mean = 0, deviation = 0, norm = 0, least = INFINITY, largest = -INFINITY;
  explicit Expected(std::vector<double> const& v) {
    double squares = 0, apart = 0;
    for (double x : v) mean += x / double(v.size()), squares += x * x;
    for (double x : v) apart += (x - mean) * (x - mean) / double(v.size());
    for (double x : v) least = std::min(least, x), largest = std::max(largest, x);
    deviation = std::sqrt(apart), norm = std::sqrt(squares);
  }
};

void expect_near(double got, double expected, double scale, std::string const& what) {
  EXPECT_NEAR(got, expected, 2e-6 * scale) << what;
}

train::WeightNumbers const& numbers_of(Statistics const& s, std::string const& name) {
  for (auto const* all : {&s.tensors, &s.types})
    for (auto const& [other, numbers] : *all)
      if (other == name) return numbers;
  throw std::runtime_error(name + " has no numbers");
}
train::ActivationNumbers const& activation_of(Statistics const& s, std::string const& name) {
  for (auto const& [other, numbers] : s.activations)
    if (other == name) return numbers;
  throw std::runtime_error(name + " has no numbers");
}

class Taken : public StatisticsOf {
 protected:
  void SetUp() override {  // not where a row of a GPU is skipped
    train::TrainerOptions options = odd_options(dtype);
    options.accumulate = 1, options.config.dropout = {};
    trainer = std::make_unique<Trainer>(*backend, options);
    randomise(*backend, trainer->weights(), 0.3);
    taker = std::make_unique<StatisticsTaker>(*backend, *trainer);
  }
  Statistics step(int64_t number, double loss_scale = 1) {
    taker->ask();
    trainer->step(batch(2, kOddLength, kOddVocab, unsigned(number)), 1e-2);
    return taker->take(number, loss_scale);
  }
  std::vector<double> all(Tensor t) const { return values(*backend, t); }

  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<StatisticsTaker> taker;
};

TEST_P(Taken, WeightsGradientsAndUpdatesAreWhatTheTensorsSay) {
  std::vector<std::vector<double>> before;
  for_each(trainer->weights(),
           [&](std::string const&, Weight const& w, model::Spec const&) { before.push_back(all(w.master)); });
  Statistics const s = step(1, 4);
  ASSERT_EQ(s.tensors.size(), before.size());
  std::map<std::string, std::array<std::vector<double>, 3>> types;
  size_t i = 0;
  for_each(trainer->weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    std::vector<double> const now = all(w.master), gradient = all(w.grad);
    std::vector<double> moved = now;
    for (size_t k = 0; k < moved.size(); ++k) moved[k] -= before[i][k];
    Expected const e(now);
    train::WeightNumbers const& n = numbers_of(s, name);
    expect_near(n.mean, e.mean, e.deviation, name), expect_near(n.deviation, e.deviation, e.deviation, name);
    expect_near(n.norm, e.norm, e.norm, name);
    expect_near(n.gradient, Expected(gradient).norm / 4, Expected(gradient).norm, name);
    EXPECT_NEAR(n.update, Expected(moved).norm / e.norm, 1e-4 * n.update) << name;
    EXPECT_GT(n.update, 1e-4) << name;
    auto& type = types[model::name_of(model::layer_type(name))];
    for (auto const& [to, from] : {std::pair{0, &now}, {1, &gradient}, {2, &moved}})
      type[size_t(to)].insert(type[size_t(to)].end(), from->begin(), from->end());
    ++i;
  });
  ASSERT_EQ(types.size(), 4u);
  ASSERT_EQ(s.types.size(), 4u);
  for (auto const& [name, of] : types) {
    Expected const e(of[0]);
    train::WeightNumbers const& n = numbers_of(s, name);
    expect_near(n.mean, e.mean, e.deviation, name), expect_near(n.deviation, e.deviation, e.deviation, name);
    expect_near(n.norm, e.norm, e.norm, name);
    expect_near(n.gradient, Expected(of[1]).norm / 4, Expected(of[1]).norm, name);
    EXPECT_NEAR(n.update, Expected(of[2]).norm / e.norm, 1e-4 * n.update) << name;
  }
}

TEST_P(Taken, ActivationsAreWhatTheTensorsSay) {
  Statistics const s = step(1);
  model::Acts const& acts = trainer->acts();
  std::vector<std::pair<std::string, std::vector<double>>> expected;
  auto const less = [](std::vector<double> a, std::vector<double> const& b) {
    for (size_t k = 0; k < a.size(); ++k) a[k] -= b[k];
    return a;
  };
  expected.emplace_back("embed", all(acts.blocks[0].input));
  for (size_t l = 0; l < acts.blocks.size(); ++l) {
    std::string const h = "h." + std::to_string(l) + ".";
    std::vector<double> const next = all(l + 1 < acts.blocks.size() ? acts.blocks[l + 1].input : acts.hidden),
                              mid = all(acts.blocks[l].mid);
    expected.emplace_back(h + "attn", less(mid, all(acts.blocks[l].input)));
    expected.emplace_back(h + "gelu", all(acts.blocks[l].gelu));
    expected.emplace_back(h + "mlp", less(next, mid));
    expected.emplace_back(h + "residual", next);
  }
  expected.emplace_back("ln_f", all(acts.ln_f));
  ASSERT_EQ(s.activations.size(), expected.size());
  for (auto const& [name, v] : expected) {
    Expected const e(v);
    double const scale = std::max(std::abs(e.least), std::abs(e.largest));
    train::ActivationNumbers const& n = activation_of(s, name);
    expect_near(n.mean, e.mean, scale, name), expect_near(n.deviation, e.deviation, scale, name);
    expect_near(n.least, e.least, scale, name), expect_near(n.largest, e.largest, scale, name);
    EXPECT_GT(n.deviation, 0) << name;
  }
}

TEST_P(Taken, AllMicroBatchesCount) {
  train::TrainerOptions options = odd_options(dtype);
  options.config.dropout = {};
  Trainer two(*backend, options);  // two micro-batches of what `trainer` sees at once
  randomise(*backend, two.weights(), 0.3);
  StatisticsTaker of_two(*backend, two);
  of_two.ask();
  two.step(batch(4, kOddLength, kOddVocab, 1), 1e-2);
  Statistics const s = of_two.take(1, 1);
  options.batch = 4, options.accumulate = 1;
  Trainer one(*backend, options);
  randomise(*backend, one.weights(), 0.3);
  StatisticsTaker of_one(*backend, one);
  of_one.ask();
  one.step(batch(4, kOddLength, kOddVocab, 1), 1e-2);
  Statistics const whole = of_one.take(1, 1);
  for (auto const& [name, e] : whole.activations) {
    train::ActivationNumbers const& n = activation_of(s, name);
    double const scale = std::max(std::abs(e.least), std::abs(e.largest));
    double const bound = dtype == DType::bf16 ? 1e-2 : 1e-5;  // products of other sizes round in another order
    EXPECT_NEAR(n.mean, e.mean, bound * scale) << name;
    EXPECT_NEAR(n.deviation, e.deviation, bound * scale) << name;
    EXPECT_NEAR(n.least, e.least, bound * scale) << name;
    EXPECT_NEAR(n.largest, e.largest, bound * scale) << name;
  }
}

// Layer 1's units below `quiet` get no input and a bias that GELU takes to 0.
void make_quiet(Backend& backend, model::Weights const& w, size_t quiet, float bias) {
  Affine const& a = w.blocks[1].c_fc;
  std::vector<double> weight = values(backend, a.weight.master), biases = values(backend, a.bias.master);
  size_t const units = biases.size();
  for (size_t u = 0; u < quiet; ++u) {
    biases[u] = bias;
    for (size_t row = 0; row < weight.size() / units; ++row) weight[row * units + u] = 0;
  }
  set_weight(backend, a.weight, weight), set_weight(backend, a.bias, biases);
}

TEST_P(Taken, AUnitThatWasActiveOnceInThePeriodIsNotQuiet) {
  double const units = 4 * 24;
  make_quiet(*backend, trainer->weights(), 10, 1);
  auto const plain = [&](int64_t n) { trainer->step(batch(2, kOddLength, kOddVocab, unsigned(n)), 0); };
  plain(1);
  make_quiet(*backend, trainer->weights(), 10, -10);
  plain(2);
  EXPECT_EQ(step(3).quiet, (std::vector<double>{0, 0})) << "active in the first step of this period";
  plain(4);
  make_quiet(*backend, trainer->weights(), 7, 1);
  plain(5), plain(6);
  Statistics const s = step(7);
  EXPECT_EQ(s.period, 4);
  EXPECT_EQ(s.quiet, (std::vector<double>{0, 3 / units})) << "quiet from the beginning of the period";
}

TEST_P(Taken, APeriodGoesOnFromACheckpoint) {
  make_quiet(*backend, trainer->weights(), 10, 1);
  trainer->step(batch(2, kOddLength, kOddVocab, 1), 0);
  train::ActiveUnits const active = taker->active();
  EXPECT_EQ(active.since, 0);
  EXPECT_EQ(active.layers, (std::vector<std::string>(2, std::string(24, 'f'))));
  make_quiet(*backend, trainer->weights(), 10, -10);
  taker->begin_at(1);
  trainer->step(batch(2, kOddLength, kOddVocab, 2), 0);
  EXPECT_EQ(taker->active().layers[1], "003" + std::string(21, 'f'));
  taker->restore(active, "state.json");
  Statistics const s = step(2);
  EXPECT_EQ(s.period, 2);
  EXPECT_EQ(s.quiet[1], 0) << "active before the checkpoint";
  EXPECT_EQ(step(3).quiet[1], 10 / (4.0 * 24));
  expect_fault(Fault::content, {"state.json", "3 layers"}, [&] { taker->restore({0, {"0", "1", "2"}}, "state.json"); });
  expect_fault(Fault::content, {"state.json", "hex digits"}, [&] {
    taker->restore({0, {std::string(24, 'f'), std::string(24, 'g')}}, "state.json");
  });
}

INSTANTIATE_TEST_SUITE_P(, StatisticsOf, testing::Values(kReference, kCpu, kCpuBf16, kCuda, kCudaBf16), kind_name);
INSTANTIATE_TEST_SUITE_P(, Taken, testing::Values(kReference, kCpu, kCpuBf16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

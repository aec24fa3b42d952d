// The step: begin_step, add_norm, decide_step, optimize.
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpOptimizer : public OpTest {};

TEST_P(OpOptimizer, TheNormIsTheRootOfTheSumOfSquares) {
  for (int64_t const n : {1, 5, 63, 64, 1000, 70001})
    check_body(candidate(), [&](Rig& rig) -> Outputs {
      StepState s;
      Tensor const state = rig.object(s), a = rig.real_wide({n}, Draw(1).normal(n, 3)),
                   b = rig.real_wide({7}, Draw(2).normal(7));
      rig.backend->begin_step(state, rig.object(StepInput{.rate = 0.5, .inverse_total = 0.25}));
      rig.backend->add_norm(state, a), rig.backend->add_norm(state, b);
      rig.backend->decide_step(state, {.clip = 1, .spike = 0});
      s = rig.read_object<StepState>(state);
      EXPECT_EQ(s.attempted, 1);
      EXPECT_EQ(s.accepted, 1);
      EXPECT_EQ(s.input.rate, 0.5);
      EXPECT_EQ(s.input.inverse_total, 0.25);
      return {{"norm", {s.norm}}, {"norm", {s.grad_factor}}};
    });
}

using Rule = Optimizer::Rule;
constexpr double kRate = 0.7, kDecay = 0.1;  // of a group, and of its weights
Optimizer const kOptimizers[] = {
    {.rule = Rule::adamw, .rate = kRate, .decay = kDecay, .beta2 = 0.99},
    {.rule = Rule::adam, .rate = kRate, .decay = kDecay, .beta2 = 0.99},
    {.rule = Rule::sgd, .rate = kRate, .decay = kDecay},
    {.rule = Rule::sgd, .rate = kRate, .decay = kDecay, .momentum = 0.9},
    {.rule = Rule::sgd, .nesterov = true, .rate = kRate, .decay = kDecay, .momentum = 0.9},
};

// Those that the optimizer has, from 0.
Moments moments_of(Rig& rig, Shape const& shape, Optimizer const& o) {
  Values const zeros(size_t(shape.size()), 0.0);
  return {o.moments() > 0 ? rig.real_wide(shape, zeros) : Tensor(),
          o.moments() > 1 ? rig.real_wide(shape, zeros) : Tensor()};
}

TEST_P(OpOptimizer, TenStepsOfEachRule) {
  for (Optimizer const& rule : kOptimizers)
    for (int64_t const n : {1, 7, 16, 1001, 40000})
      for (bool const linear : {false, true})
        check_body(candidate(), [&](Rig& rig) -> Outputs {
          Draw draw(4);
          Shape const shape = linear ? Shape{n, 1} : Shape{n};
          Weight const w = rig.weight(shape, {.linear = linear}, draw.normal(n, 0.3, 2), Values(n, 0.0));
          Moments const moments = moments_of(rig, shape, rule);
          Tensor const state = rig.object(StepState{}), x = rig.real({1, n}, draw.normal(n)), y = rig.output({1, 1});
          rig.lend({.rows = 1, .channels = n});
          for (int step = 0; step < 10; ++step) {
            Values const g = draw.normal(n, 0.1);
            std::vector<float> const narrow(g.begin(), g.end());
            rig.backend->upload(w.grad,
                                w.grad.dtype == DType::f32 ? static_cast<void const*>(narrow.data()) : g.data());
            rig.backend->begin_step(state, rig.object(StepInput{.rate = 1e-2 * (step + 1), .inverse_total = 1}));
            rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 0.5, .spike = 0});
            rig.backend->optimize(w, moments, state, rule);
          }
          Outputs out = {{"optimizer", rig.read(w.master)}};
          for (Tensor const& t : {moments.m, moments.v})
            if (!t.empty()) out.emplace_back("optimizer", rig.read(t));
          if (linear && n < 1000) {  // the form that linear uses followed the master
            rig.backend->linear(y, x, {w, {}});
            out.emplace_back("optimizer linear", rig.read(y));
          }
          return out;
        });
}

struct MuonRow {
  Shape shape;
  int64_t parts;
};
MuonRow const kMatrices[] = {{{1, 1}, 1},   {{1, 7}, 1},    {{5, 1}, 1},    {{3, 12}, 3},  {{16, 40}, 1},
                             {{61, 37}, 1}, {{24, 144}, 3}, {{192, 48}, 1}, {{70, 260}, 1}};

// Not squares: a random one has singular values near 0, whose vectors no rounding leaves as they are. Weights, steps
// and inputs have a mean of one sign, so that no output is what is left of larger ones.
TEST_P(OpOptimizer, FiveStepsOfMuon) {
  for (auto const& [shape, parts] : kMatrices)
    for (Optimizer const& rule :
         {Optimizer{.rule = Rule::muon, .nesterov = true, .rate = kRate, .decay = 0.5, .momentum = 0.95},
          Optimizer{.rule = Rule::muon, .rate = kRate, .decay = 0.5, .momentum = 0.9},
          Optimizer{.rule = Rule::muon, .rate = kRate, .decay = 0.5}})
      check_body(candidate(), [&](Rig& rig) -> Outputs {
        Optimizer o = rule;
        o.parts = parts;
        int64_t const n = shape.size();
        Draw draw(4);
        Weight const w = rig.weight(shape, {.linear = true}, draw.normal(n, 0.02, -0.1), Values(n, 0.0));
        Moments const moments = moments_of(rig, shape, o);
        Tensor const state = rig.object(StepState{}), x = rig.real({1, shape[0]}, draw.uniform(shape[0], 0.5, 1.5)),
                     y = rig.output({1, shape[1]});
        rig.lend({.rows = 1, .channels = std::max(shape[0], shape[1]), .muon = true});
        for (int step = 0; step < 5; ++step) {
          Values const g = draw.normal(n, 0.05, 0.1);
          std::vector<float> const narrow(g.begin(), g.end());
          rig.backend->upload(w.grad, w.grad.dtype == DType::f32 ? static_cast<void const*>(narrow.data()) : g.data());
          rig.backend->begin_step(state, rig.object(StepInput{.rate = 5e-2 * (step + 1), .inverse_total = 1}));
          rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 0.5, .spike = 0});
          rig.backend->optimize(w, moments, state, o);
        }
        Outputs out = {{"muon", rig.read(w.master)}};
        if (!moments.m.empty()) out.emplace_back("optimizer", rig.read(moments.m));
        rig.backend->linear(y, x, {w, {}});
        out.emplace_back("muon linear", rig.read(y));
        return out;
      });
}

// The singular values of a matrix (rows, columns), rows ≤ columns: roots of the eigenvalues of its square, by Jacobi's
// rotations.
Values singular_values(Values const& x, int64_t rows, int64_t columns) {
  Values a(size_t(rows * rows), 0.0);
  auto const at = [&](int64_t i, int64_t j) -> double& { return a[size_t(i * rows + j)]; };
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < rows; ++j)
      for (int64_t k = 0; k < columns; ++k) at(i, j) += x[size_t(i * columns + k)] * x[size_t(j * columns + k)];
  for (int sweep = 0; sweep < 30; ++sweep)
    for (int64_t p = 0; p < rows; ++p)
      for (int64_t q = p + 1; q < rows; ++q) {
        double const angle = 0.5 * std::atan2(2 * at(p, q), at(q, q) - at(p, p)), c = std::cos(angle),
                     s = std::sin(angle);
        for (int64_t k = 0; k < rows; ++k) {
          double const left = at(k, p), right = at(k, q);
          at(k, p) = c * left - s * right, at(k, q) = s * left + c * right;
        }
        for (int64_t k = 0; k < rows; ++k) {
          double const upper = at(p, k), lower = at(q, k);
          at(p, k) = c * upper - s * lower, at(q, k) = s * upper + c * lower;
        }
      }
  Values values;
  for (int64_t i = 0; i < rows; ++i) values.push_back(std::sqrt(at(i, i)));
  return values;
}

TEST_P(OpOptimizer, AStepOfMuonIsNearlyOrthogonalAndAsLargeAsAdamWs) {
  constexpr int64_t kRows = 24, kColumns = 96;
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Shape const shape{kRows, kColumns};
    Weight const w = rig.weight(shape, {.linear = true}, Values(shape.size(), 0.0), Draw(3).normal(shape.size(), 1e-4));
    Optimizer const o{.rule = Rule::muon, .nesterov = true, .decay = 0.1, .momentum = 0.95};
    Tensor const state = rig.object(StepState{});
    rig.lend({.rows = 1, .channels = kColumns, .muon = true});
    rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
    rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 1});
    rig.backend->optimize(w, moments_of(rig, shape, o), state, o);
    Values moved = rig.read(w.master);
    double squares = 0;
    for (double& v : moved) {
      squares += v * v;
      v /= 0.2 * std::sqrt(double(kColumns));
    }
    EXPECT_NEAR(std::sqrt(squares / double(shape.size())), 0.2, 0.05);  // of each element, whatever the gradient's size
    double const rounding = tolerance("muon", candidate().dtype);
    for (double const s : singular_values(moved, kRows, kColumns)) {  // the quintic's least and largest value there
      EXPECT_GT(s, 0.681 - rounding);
      EXPECT_LT(s, 1.203 + rounding);
    }
    return {};
  });
}

// So large that the cpu backend multiplies bf16; what the step moves is four times what was there.
TEST_P(OpOptimizer, AStepOfMuonOfALargeMatrix) {
  Shape const shape{384, 900};
  Optimizer const o{.rule = Rule::muon, .nesterov = true, .decay = 0.5, .momentum = 0.95};
  check_body(candidate(), [&](Rig& rig) -> Outputs {
    int64_t const n = shape.size();
    Weight const w = rig.weight(shape, {.linear = true}, Draw(1).normal(n, 0.05), Draw(2).normal(n, 1e-3));
    Tensor const state = rig.object(StepState{});
    rig.lend({.rows = 1, .channels = shape[1], .muon = true});
    rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
    rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 1});
    rig.backend->optimize(w, moments_of(rig, shape, o), state, o);
    return {{"muon", rig.read(w.master)}};
  });
}

TEST_P(OpOptimizer, MuonOnlyDecaysWhereTheGradientIsZero) {
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Shape const shape{6, 15};
    Weight const w = rig.weight(shape, {.linear = true}, Values(90, 0.5), Values(90, 0.0));
    Optimizer const o{.rule = Rule::muon, .nesterov = true, .decay = 0.5, .momentum = 0.95, .parts = 3};
    Tensor const state = rig.object(StepState{});
    rig.lend({.rows = 1, .channels = 15, .muon = true});
    rig.backend->begin_step(state, rig.object(StepInput{.rate = 0.25, .inverse_total = 1}));
    rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 1});
    rig.backend->optimize(w, moments_of(rig, shape, o), state, o);
    EXPECT_EQ(rig.read(w.master), Values(90, 0.5 - 0.25 * 0.5 * 0.5));
    return {};
  });
}

TEST_P(OpOptimizer, ARefusedStepWritesNothing) {
  for (Rule const rule : {Rule::adamw, Rule::muon})
    for (int const why : {0, 1, 2}) {  // a gradient that is not finite, a loss that is not, a spike
      run_body(candidate(), [&](Rig& rig) -> Outputs {
        Shape const shape{3, 11};
        Values const start = rig.rounded(Draw(1).normal(33)), moment = Draw(2).uniform(33, 0.1, 1);
        Values grad = Draw(3).normal(33);
        if (why == 0) grad[20] = NAN;
        Weight const w = rig.weight(shape, {.linear = true}, start, grad);
        StepState s;
        s.accepted = 4, s.attempted = 6, s.scored = kScoredSteps;
        std::ranges::fill(s.log_norms, why == 2 ? -4 : 2);
        Tensor const m = rig.real_wide(shape, moment), v = rig.real_wide(shape, moment), state = rig.object(s);
        rig.lend({.rows = 1, .channels = 11, .muon = true});
        rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
        if (why == 1) {
          StepState broken = rig.read_object<StepState>(state);
          broken.loss = INFINITY;
          rig.backend->upload(state, &broken);
        }
        rig.backend->add_norm(state, w.grad),
            rig.backend->decide_step(state, {.clip = 1, .spike = why == 2 ? 3.0 : 0.0});
        rig.backend->optimize(w, {m, rule == Rule::muon ? Tensor() : v}, state, {.rule = rule, .momentum = 0.95});
        s = rig.read_object<StepState>(state);
        EXPECT_EQ(s.accept, 0);
        EXPECT_EQ(s.accepted, 4);
        EXPECT_EQ(s.attempted, 7);
        EXPECT_EQ(s.non_finite, why != 2);
        EXPECT_EQ(s.spikes_in_a_row, why == 2);
        EXPECT_EQ(s.scored, kScoredSteps);
        EXPECT_EQ(rig.read(w.master), start);
        EXPECT_EQ(rig.read(m), moment);
        EXPECT_EQ(rig.read(v), moment);
        return {};
      });
    }
}

TEST_P(OpOptimizer, ALossScaleLeavesTheStepAsItWas) {
  for (Rule const rule : {Rule::adamw, Rule::muon}) {
    Values weights[2];
    for (int const scaled : {0, 1})
      run_body(candidate(), [&](Rig& rig) -> Outputs {
        Shape const shape{5, 10};
        Values grad = Draw(3).normal(50);
        for (double& g : grad) g *= scaled ? 65536 : 1;
        Weight const w = rig.weight(shape, {.linear = true}, Draw(1).normal(50), grad);
        StepState s;
        s.loss_scale = scaled ? 65536 : 1;
        Optimizer const o{.rule = rule, .momentum = 0.95};
        Tensor const state = rig.object(s);
        rig.lend({.rows = 1, .channels = 10, .muon = true});
        rig.backend->begin_step(state, rig.object(StepInput{.rate = 0.1, .inverse_total = 1}));
        rig.backend->add_norm(state, w.grad), rig.backend->decide_step(state, {.clip = 1, .spike = 0});
        rig.backend->optimize(w, moments_of(rig, shape, o), state, o);
        weights[scaled] = rig.read(w.master);
        return {};
      });
    EXPECT_EQ(weights[0], weights[1]);  // a power of two: every bit
  }
}

// Each letter is a step: o overflows, . is finite. The scale after it, as a power of two.
TEST_P(OpOptimizer, TheLossScaleHalvesOnOverflowAndDoublesAfterCleanSteps) {
  struct Row {
    int64_t every;
    int first;
    char const* steps;
    std::vector<int> after;
  };
  for (Row const& row : std::vector<Row>{
           {3, 4, "...o......", {4, 4, 5, 4, 4, 4, 5, 5, 5, 6}},
           {3, 4, "..o..o...", {4, 4, 3, 3, 3, 2, 2, 2, 3}},  // an overflow begins the count anew
           {2, 1, "ooo..", {0, 0, 0, 0, 1}},                  // not below 1
           {0, 4, "..o..", {4, 4, 4, 4, 4}},
       })
    run_body(candidate(), [&](Rig& rig) -> Outputs {
      StepState s;
      s.loss_scale = std::exp2(row.first);
      Tensor const state = rig.object(s), clean = rig.real_wide({5}, {3, 0, 4, 0, 0}),
                   overflown = rig.real_wide({5}, {3, 0, INFINITY, 0, 0});
      int64_t accepted = 0;
      for (size_t i = 0; i < row.after.size(); ++i) {
        double const scale = rig.read_object<StepState>(state).loss_scale;
        bool const finite = row.steps[i] == '.';
        rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
        rig.backend->add_norm(state, finite ? clean : overflown);
        rig.backend->decide_step(state, {.clip = 0, .scale_every = row.every});
        s = rig.read_object<StepState>(state);
        EXPECT_EQ(s.loss_scale, std::exp2(row.after[i])) << row.steps << ", step " << i;
        EXPECT_EQ(s.accept, finite);
        EXPECT_EQ(s.accepted, accepted += finite);
        if (!finite) continue;
        EXPECT_EQ(s.norm, 5 / scale) << "by the scale that this step's gradients had";
        EXPECT_EQ(s.grad_factor, 1 / scale);
      }
      return {};
    });
}

// The definition, by sorting: a window of the last 64, its level, its trend, its deviation.
double score_of(double value, std::vector<double> const& taken, double share, double least, size_t most = 64) {
  auto const median = [](std::vector<double> v) {
    std::ranges::sort(v);
    return v[v.size() / 2];
  };
  if (taken.size() < 32) return 0;
  std::vector<double> const w(taken.end() - std::ptrdiff_t(std::min(most, taken.size())), taken.end());
  auto const third = std::ptrdiff_t(w.size() / 3);
  double const begin = median({w.begin(), w.begin() + third}), level = median({w.end() - third, w.end()}),
               slope = (level - begin) / double(w.size() - size_t(third));
  std::vector<double> rest;
  for (size_t i = 0; i < w.size(); ++i) rest.push_back(w[i] - slope * double(i));
  double const centre = median(rest);
  for (double& r : rest) r = std::abs(r - centre);
  return (value - level) / (1.4826 * median(rest) + share * std::abs(level) + least);
}

// Of five losses, this one and the four before it, none for more than 5.
double score_of_five(double value, std::vector<double> const& taken) {
  if (taken.size() < 32 + 5) return -INFINITY;
  std::vector<double> const before(taken.begin(), taken.end() - 4);
  double sum = std::min(5.0, score_of(value, before, 0.01, 1e-6, 60));
  for (auto v = taken.end() - 4; v != taken.end(); ++v) sum += std::min(5.0, score_of(*v, before, 0.01, 1e-6, 60));
  return sum / std::sqrt(5);
}

struct ScoredStep {
  double loss, norm;
};
// 200 steps of a loss that falls, with noise; every 23rd from 60 on is far above.
std::vector<ScoredStep> steps_with_spikes() {
  Values const noise = Draw(5).normal(400);
  std::vector<ScoredStep> steps;
  for (size_t i = 0; i < 200; ++i) {
    double const grown = i >= 60 && i % 23 == 0 ? 3 : 0;
    steps.push_back({2 + 4 * std::exp(-double(i) / 20) + 0.05 * noise[2 * i] + grown,
                     std::exp(0.2 * noise[2 * i + 1] + (i >= 60 && i % 46 == 0 ? 2 : 0))});
  }
  return steps;
}

TEST_P(OpOptimizer, ASpikeIsWhatStandsFarAboveTheStepsThatWereTaken) {
  for (double const refused_above : {0.0, 8.0})
    run_body(candidate(), [&](Rig& rig) -> Outputs {
      Tensor const state = rig.object(StepState{});
      std::vector<double> losses, norms;
      int spikes = 0;
      for (size_t i = 0; auto const& [loss, norm] : steps_with_spikes()) {
        rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
        StepState s = rig.read_object<StepState>(state);
        s.loss = loss, s.norm_squared = norm * norm;
        rig.backend->upload(state, &s);
        rig.backend->decide_step(state, {.clip = 0, .spike = refused_above});
        s = rig.read_object<StepState>(state);
        double const score = std::max({score_of(loss, losses, 0.01, 1e-6), score_of(std::log(s.norm), norms, 0, 0.2),
                                       score_of_five(loss, losses)});
        EXPECT_NEAR(s.spike_score, score, 1e-9 * (1 + std::abs(score))) << "step " << i;
        bool const planted = i >= 60 && i % 23 == 0;
        EXPECT_EQ(s.spike_score > 8, planted) << "step " << i << ": " << s.spike_score;
        EXPECT_EQ(s.accept, !(planted && refused_above > 0)) << "step " << i;
        spikes += planted;
        if (s.accept) losses.push_back(loss), norms.push_back(std::log(s.norm));
        EXPECT_EQ(s.scored, int64_t(losses.size()));
        ++i;
      }
      EXPECT_EQ(spikes, 6);
      return {};
    });
}

TEST_P(OpOptimizer, AfterFiveSpikesInARowTheLevelIsAnother) {
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Tensor const state = rig.object(StepState{});
    std::string taken;
    for (int i = 0; i < 90; ++i) {
      rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
      StepState s = rig.read_object<StepState>(state);
      s.loss = i < 40 ? 2 : i == 43 ? INFINITY : 4, s.norm_squared = 1;
      rig.backend->upload(state, &s);
      rig.backend->decide_step(state, {.clip = 0, .spike = 8});
      taken += rig.read_object<StepState>(state).accept ? '.' : 'x';
    }
    // One that is not finite is neither a spike nor the end of a row of them.
    EXPECT_EQ(taken, std::string(40, '.') + "xxxxxx" + std::string(44, '.'));
    EXPECT_EQ(rig.read_object<StepState>(state).scored, 44);
    return {};
  });
}

TEST_P(OpOptimizer, FiveStepsInARowThatAreALittleHighAreASpikeAndTwoAreNot) {
  run_body(candidate(), [&](Rig& rig) -> Outputs {
    Values const noise = Draw(7).normal(100);
    for (int const high : {2, 5}) {
      Tensor const state = rig.object(StepState{});
      double most = 0;
      for (int i = 0; i < 100; ++i) {
        rig.backend->begin_step(state, rig.object(StepInput{.rate = 1, .inverse_total = 1}));
        StepState s = rig.read_object<StepState>(state);
        s.loss = i >= 80 && i < 80 + high ? 3.9 : 3 + 0.2 * noise[size_t(i)], s.norm_squared = 1;
        rig.backend->upload(state, &s);
        rig.backend->decide_step(state, {.clip = 0, .spike = 0});
        double const score = rig.read_object<StepState>(state).spike_score;
        EXPECT_LT(i < 83 ? score : 0, 8) << "step " << i << ": one step, or a few";
        most = std::max(most, score);
      }
      EXPECT_EQ(most > 8, high == 5) << most;
    }
    return {};
  });
}

FOLIO_ON_EVERY_BACKEND(OpOptimizer);

}  // namespace
}  // namespace folio::test

// What the complex step cannot see of a training step: refusals, the reported loss, the loss scale, the backend's
// own form of a weight after an update, micro-batches.
#include <functional>

#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

class Step : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Backend> backend_ = GetParam().make();
  double bound() const { return GetParam().bound; }
  train::TrainerOptions options(int64_t batch = 2, int64_t accumulate = 2) const {
    return {.config = small(true, true, 0.2),
            .dtype = GetParam().dtype,
            .batch = batch,
            .accumulate = accumulate,
            .length = 5,
            .chunk = 3,
            .recompute = {},
            .seed = 5,
            .decay = {},
            .optimizer = {},
            .decide = {.clip = 0.05, .spike = 0},
            .classifier = {}};
  }
};

TEST_P(Step, OptionsAndBatchesThatFitNoTrainerAreTheCallersMistake) {
  auto const refused = [](auto make) {
    try {
      make();
      ADD_FAILURE() << "it was taken";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::value) << e.what();
    }
  };
  using Options = train::TrainerOptions;
  std::vector<std::function<void(Options&)>> const slips = {[](Options& o) { o.batch = 0; },
                                                            [](Options& o) { o.accumulate = 0; },
                                                            [](Options& o) { o.chunk = 0; },
                                                            [](Options& o) { o.length = 0; },
                                                            [](Options& o) { o.length = 7; },
                                                            [](Options& o) { o.config.heads = 3; },
                                                            [](Options& o) { o.config.layers = 0; },
                                                            [](Options& o) { o.config.dropout.attention = 1; },
                                                            [](Options& o) { o.optimizer.beta1 = 1; },
                                                            [](Options& o) { o.optimizer.beta2 = -0.1; },
                                                            [](Options& o) { o.optimizer.epsilon = 0; },
                                                            [](Options& o) { o.optimizer.decay = NAN; },
                                                            [](Options& o) { o.decide.clip = -1; },
                                                            [](Options& o) { o.decide.spike = -1; }};
  for (auto const& slip : slips) {
    Options o = options();
    slip(o);
    refused([&] { train::Trainer t(*backend_, o); });
  }
  train::Trainer t(*backend_, options());
  refused([&] { t.step(batch(3, 5, 13), 1e-2); });
  refused([&] { t.step(batch(4, 4, 13), 1e-2); });
  refused([&] { t.step({}, 1e-2); });
  for (double const rate : {-1.0, double(NAN), double(INFINITY)}) refused([&] { t.step(batch(4, 5, 13), rate); });
  EXPECT_EQ(t.state().attempted, 0);
}

TEST_P(Step, RefusedForANonFiniteValueChangesNothingAndCountsAsAttempted) {
  for (float const poison : {INFINITY, -INFINITY, NAN}) {
    train::Trainer t(*backend_, options()), twin(*backend_, options());
    for (auto* x : {&t, &twin}) x->step(batch(4, 5, 13, 1), 1e-2);
    State const before = read_state(*backend_, t);
    StepState const state_before = t.state();
    auto poisoned = batch(4, 5, 13, 2);
    ASSERT_GE(poisoned.targets[13], 0);
    poisoned.token_weights[13] = poison;
    t.step(poisoned, 1e-2);
    State const after = read_state(*backend_, t);
    StepState const s = t.state();
    EXPECT_TRUE(before.w == after.w && before.m == after.m && before.v == after.v);
    EXPECT_EQ(s.accept, 0);
    EXPECT_EQ(s.attempted, 2);
    EXPECT_EQ(s.accepted, 1);
    EXPECT_EQ(s.non_finite, 1);
    EXPECT_EQ(s.scored, state_before.scored) << "a refused step entered the window of spikes";
    EXPECT_EQ(s.spike_score, 0);
    StepState skip = twin.state();
    skip.attempted += 1;  // the twin never saw the poisoned batch
    twin.set_state(skip);
    for (auto* x : {&t, &twin}) x->step(batch(4, 5, 13, 3), 1e-2);
    EXPECT_EQ(t.state().accepted, 2);
    EXPECT_EQ(read_state(*backend_, t).w, read_state(*backend_, twin).w) << "the step after it differs";
  }
}

TEST_P(Step, RefusedForASpikeOnlyWhereTheOptionsAskForIt) {
  for (double const spike : {0.0, 3.0}) {
    auto o = options();
    o.decide.spike = spike;
    train::Trainer t(*backend_, o);
    StepState quiet = t.state();  // as after so many steps of a loss near ln 13 and of a norm of 1
    quiet.scored = kScoredSteps;
    for (double& loss : quiet.losses) loss = 2.6;
    t.set_state(quiet);
    for (unsigned i = 1; i <= 3; ++i) t.step(batch(4, 5, 13, i), 1e-3);
    EXPECT_EQ(t.state().accepted, 3);
    State const before = read_state(*backend_, t);
    auto loud = batch(4, 5, 13, 4);
    for (float& w : loud.token_weights) w *= 100;  // total_weight says otherwise: gradients 100 times too large
    t.step(loud, 1e-3);
    EXPECT_EQ(t.state().accept, spike == 0);
    EXPECT_GT(t.state().spike_score, 100);
    EXPECT_EQ(t.state().scored, kScoredSteps + (spike == 0 ? 4 : 3));
    EXPECT_EQ(t.state().non_finite, 0);
    EXPECT_EQ(read_state(*backend_, t).w == before.w, spike != 0);
  }
}

TEST_P(Step, LeavesTheBackendsOwnFormPrepared) {
  train::Trainer t(*backend_, options());
  randomise(*backend_, t.weights());
  if (t.weights().blocks[0].c_attn.weight.compute.empty())
    GTEST_SKIP() << GetParam().name << " computes from the masters";
  for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    if (w.compute.empty()) return;
    auto const before = host<uint8_t>(*backend_, w.compute);
    t.step(batch(4, 5, 13), 1e-2);
    auto const left = host<uint8_t>(*backend_, w.compute);
    EXPECT_NE(left, before) << name;
    backend_->prepare(w);
    EXPECT_EQ(left, host<uint8_t>(*backend_, w.compute)) << name;
  });
}

TEST_P(Step, ReportsTheWeightedMeanLossWithoutSmoothing) {
  auto o = options(4, 1);
  o.classifier.label_smoothing = 0.2;
  train::Trainer one(*backend_, o), two(*backend_, options(2, 2));
  auto const whole = batch(4, 5, 13);
  one.step(whole, 1e-2), two.step(whole, 1e-2);
  auto const losses = values(*backend_, one.acts().losses[0]), smoothed = values(*backend_, one.acts().losses[1]);
  double sum = 0, total = 0;
  for (size_t n = 0; n < losses.size(); ++n) {
    EXPECT_EQ(losses[n] == 0, whole.targets[n] < 0) << n;
    if (whole.targets[n] < 0) continue;
    EXPECT_NE(losses[n], smoothed[n]);
    sum += whole.token_weights[n] * losses[n], total += whole.token_weights[n];
  }
  EXPECT_NEAR(one.state().loss, sum / total, 3 * bound());
  EXPECT_NEAR(one.state().loss, two.state().loss, 3 * bound());
}

TEST_P(Step, IsTheSameWhateverTheLossScale) {
  if (GetParam().dtype == DType::f16) GTEST_SKIP() << "small numbers of f16 have fewer bits: see loss_scale_test";
  train::Trainer t(*backend_, options()), scaled(*backend_, options());
  StepState s = scaled.state();
  s.loss_scale = 65536;  // a power of two loses nothing
  scaled.set_state(s);
  for (auto* x : {&t, &scaled}) x->step(batch(4, 5, 13, 1), 1e-2);
  EXPECT_EQ(read_state(*backend_, t).w, read_state(*backend_, scaled).w);
  EXPECT_EQ(t.state().norm, scaled.state().norm);
  State const a = read_state(*backend_, t), b = read_state(*backend_, scaled);
  EXPECT_EQ(b.g[0], a.g[0] * 65536);
}

TEST_P(Step, OfManyMicroBatchesIsTheStepOfOneBatch) {
  train::Trainer whole(*backend_, options(12, 1));
  data::HostBatch const all = batch(12, 5, 13);  // token weights and masks differ from row to row
  randomise(*backend_, whole.weights());
  whole.step(all, 1e-2);
  State const expected = read_state(*backend_, whole);
  for (int64_t const k : {2, 3, 12}) {
    train::Trainer t(*backend_, options(12 / k, k));
    randomise(*backend_, t.weights());
    t.step(all, 1e-2);
    State const got = read_state(*backend_, t);
    EXPECT_LE(tensor_error(got.g, expected.g), 10 * bound()) << k << " micro-batches";
    EXPECT_LE(tensor_error(got.v, expected.v), 10 * bound()) << k << " micro-batches";
    EXPECT_NEAR(t.state().loss, whole.state().loss, 10 * bound());
    EXPECT_NEAR(t.state().norm, whole.state().norm, 10 * bound() * whole.state().norm);
  }
}

TEST_P(Step, RepeatedGivesTheSameBits) {
  State runs[2];
  for (State& run : runs) {
    auto const fresh = GetParam().make();
    train::Trainer t(*fresh, options());
    for (unsigned i = 1; i <= 5; ++i) t.step(batch(4, 5, 13, i), 1e-2);
    run = read_state(*fresh, t);
  }
  EXPECT_TRUE(runs[0].w == runs[1].w && runs[0].m == runs[1].m && runs[0].v == runs[1].v && runs[0].g == runs[1].g);
}

INSTANTIATE_TEST_SUITE_P(, Step, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

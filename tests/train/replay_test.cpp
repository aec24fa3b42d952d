// A step that a device captured and replays has the bits of one that is run op by op: an observer makes every op run by
// itself, so runs with one from the start, with one in the middle, and without are compared, over steps whose rate,
// data and dropout words change.
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

constexpr int64_t kSteps = 20;

struct Ran {
  std::vector<double> losses;
  State state;
  int64_t accepted = 0, ops = 0;
};

Ran run(Backend& backend, train::TrainerOptions const& options, int64_t observe_from, int64_t observe_to) {
  train::Trainer t(backend, options);
  randomise(backend, t.weights(), 0.3);
  Ran ran;
  for (int64_t step = 0; step < kSteps; ++step) {
    bool const observed = observe_from <= step && step < observe_to;
    backend.observe(observed ? Observer([&](Event const&) { ++ran.ops; }) : Observer{});
    data::HostBatch b = batch(4, kOddLength, kOddVocab, unsigned(step));
    if (step == 9) b.token_weights[4] = NAN;  // a step that is refused
    t.step(b, 1e-2 / double(step + 1));
    if (step != 9) ran.losses.push_back(t.state().loss);
  }
  backend.observe({});
  ran.state = read_state(backend, t);
  ran.accepted = t.state().accepted;
  return ran;
}

void expect_same_bits(Ran const& a, Ran const& b) {
  EXPECT_TRUE(a.losses == b.losses);
  EXPECT_TRUE(a.state.g == b.state.g);
  EXPECT_TRUE(a.state.w == b.state.w);
  EXPECT_TRUE(a.state.m == b.state.m);
  EXPECT_TRUE(a.state.v == b.state.v);
}

class Replay : public testing::TestWithParam<Kind> {};

TEST_P(Replay, HasTheBitsOfOpsRunOneByOne) {
  auto const backend = GetParam().make();
  for (auto const rule : {Optimizer::Rule::adamw, Optimizer::Rule::muon}) {
    train::TrainerOptions options = odd_options(GetParam().dtype);
    options.optimizer.rule = rule, options.optimizer.nesterov = true, options.optimizer.momentum = 0.95;
    Ran const replayed = run(*backend, options, 0, 0), again = run(*backend, options, 0, 0),
              observed = run(*backend, options, 0, kSteps), partly = run(*backend, options, 6, 13);
    ASSERT_TRUE(std::isfinite(replayed.losses.back()));
    EXPECT_LT(replayed.losses.back(), replayed.losses.front());
    EXPECT_EQ(replayed.accepted, kSteps - 1);
    EXPECT_EQ(replayed.ops, 0);
    EXPECT_GT(partly.ops, 7 * 50);
    expect_same_bits(again, replayed);
    expect_same_bits(observed, replayed);
    expect_same_bits(partly, replayed);
  }
}

INSTANTIATE_TEST_SUITE_P(, Replay, testing::Values(kReference, kCpu, kCpuBf16, kCpuF16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

// Several ranks take the step of one: each has a share of the global batch, gradients and loss are summed, and losses,
// norms and weights are those of one rank with all of it, with dropout, masked targets and micro-batches.
#include "tests/support/ranks.h"

#include <iostream>

#include "backend/plugin.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

constexpr int64_t kSteps = 20, kAccumulate = 2, kSequences = 4;

train::TrainerOptions options(DType dtype, int ranks, Optimizer const& optimizer = {}) {
  train::TrainerOptions o = odd_options(dtype);
  o.optimizer = optimizer;
  o.batch = kSequences / ranks;
  o.accumulate = kAccumulate;
  o.classifier = {};
  return o;
}

struct Ran {
  std::vector<double> losses, norms;
  State state;
};

Ran steps(Backend& backend, DType dtype, std::unique_ptr<Communicator> communicator, Optimizer const& optimizer = {}) {
  int const rank = communicator->rank(), ranks = communicator->size();
  train::Trainer t(backend, options(dtype, ranks, optimizer), std::move(communicator));
  Ran ran;
  for (unsigned step = 0; step < kSteps; ++step) {
    t.step(share(batch(kAccumulate * kSequences, kOddLength, kOddVocab, step), kAccumulate, rank, ranks), 3e-3);
    ran.losses.push_back(t.state().loss);
    ran.norms.push_back(t.state().norm);
  }
  ran.state = read_state(backend, t);
  return ran;
}

using Backends = std::vector<std::unique_ptr<Backend>>;

std::vector<Ran> all_ranks(Backends const& backends, DType dtype,
                           std::vector<std::unique_ptr<Communicator>> communicators, Optimizer const& optimizer = {}) {
  std::vector<Ran> ran(backends.size());
  on_ranks(int(backends.size()), [&](int r) {
    ran[size_t(r)] = steps(*backends[size_t(r)], dtype, std::move(communicators[size_t(r)]), optimizer);
  });
  return ran;
}

void expect_one_run(std::vector<Ran> const& ranks, Ran const& alone, double bound) {
  std::cout << fmt::format(
      "  {} ranks, {} steps: largest difference of a loss {:.1e}, of a weight {:.1e} of the largest\n", ranks.size(),
      kSteps, worst_error(ranks[0].losses, alone.losses, 0), tensor_error(ranks[0].state.w, alone.state.w));
  for (Ran const& r : ranks) {
    EXPECT_LE(worst_error(r.losses, alone.losses, 0), bound);
    EXPECT_LE(worst_error(r.norms, alone.norms, 0), 10 * bound);
    EXPECT_LE(tensor_error(r.state.w, alone.state.w), 10 * bound);
    EXPECT_TRUE(r.losses == ranks[0].losses) << "ranks disagree";
    EXPECT_TRUE(r.state.w == ranks[0].state.w) << "ranks disagree";
  }
}

class Ranks : public testing::TestWithParam<Kind> {};

TEST_P(Ranks, TakeTheStepsOfOne) {
  auto const one = GetParam().make();
  Ran const alone = steps(*one, GetParam().dtype, std::make_unique<Single>(*one));
  for (int const ranks : {2, 4}) {
    Backends backends;
    for (int r = 0; r < ranks; ++r) backends.push_back(GetParam().make());
    expect_one_run(all_ranks(backends, GetParam().dtype, together(ranks)), alone,
                   GetParam().dtype == DType::f64 ? 1e-11 : 1e-5);
  }
}

Optimizer const kMuon{.rule = Optimizer::Rule::muon, .nesterov = true, .momentum = 0.95};

TEST_P(Ranks, TakeTheStepsOfOneByMuon) {
  auto const one = GetParam().make();
  Ran const alone = steps(*one, GetParam().dtype, std::make_unique<Single>(*one), kMuon);
  Backends backends;
  for (int r = 0; r < 2; ++r) backends.push_back(GetParam().make());
  expect_one_run(all_ranks(backends, GetParam().dtype, together(2), kMuon), alone,
                 GetParam().dtype == DType::f64 ? 1e-11 : 1e-5);
}

INSTANTIATE_TEST_SUITE_P(, Ranks, testing::Values(kReference, kCpu), kind_name);

class CudaRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_status().gpus.size() < 2) GTEST_SKIP() << "two GPUs are needed; there are " << cuda_status().gpus.size();
    for (int r = 0; r < 2; ++r) backends.push_back(make_cuda_backend({.device = r}));
  }
  std::vector<std::unique_ptr<Communicator>> joined() const {
    return make_nccl(std::vector<Backend*>{backends[0].get(), backends[1].get()});
  }
  void expect_steps_of_one(Optimizer const& optimizer) const {
    auto const one = make_cuda_backend({.device = 0});
    Ran const alone = steps(*one, DType::f32, std::make_unique<Single>(*one), optimizer);
    expect_one_run(all_ranks(backends, DType::f32, joined(), optimizer), alone, 1e-5);
  }
  Backends backends;
};

TEST_F(CudaRanks, TwoGpusTakeTheStepsOfOneAndAgree) {
  expect_steps_of_one({});
  auto const communicators = joined();
  on_ranks(2, [&](int r) {
    EXPECT_TRUE(communicators[size_t(r)]->agree(r == 1));
    EXPECT_FALSE(communicators[size_t(r)]->agree(false));
    communicators[size_t(r)]->barrier();
  });
}

TEST_F(CudaRanks, TwoGpusTakeTheStepsOfOneByMuon) { expect_steps_of_one(kMuon); }

// The device in use is a property of the calling thread, which an op must not rely on.
TEST_F(CudaRanks, TwoGpusAreUsedInTurnByOneThreadAndByAnother) {
  std::vector<Tensor> x, y;
  std::vector<float> const ones(1000, 1);
  for (auto const& backend : backends) {
    for (auto* list : {&x, &y}) list->push_back({DType::f32, {1000}, backend->acquire(4000), "t"});
    backend->upload(x.back(), ones.data());
  }
  auto const compute = [&](int r) { backends[size_t(r)]->gelu(y[size_t(r)], x[size_t(r)]); };
  for (int const r : {0, 1, 0, 1}) compute(r);
  for (int const r : {1, 0}) std::jthread([&, r] { compute(r); });
  for (int const r : {0, 1}) {
    EXPECT_NEAR(host<float>(*backends[size_t(r)], y[size_t(r)])[999], 0.841192f, 1e-6);
    for (auto* list : {&x, &y}) backends[size_t(r)]->release((*list)[size_t(r)].data);
  }
}

// Every collective, between ranks that hold rank + 1 in all elements but for those that a collective gives.
void every_collective(Backend& backend, Communicator& c) {
  auto const tensor = [&](int64_t n, double value) {
    Tensor const t{DType::f64, {n}, backend.acquire(size_t(n) * 8), "t"};
    backend.upload(t, std::vector<double>(size_t(n), value).data());
    return t;
  };
  double const own = c.rank() + 1, all = c.size() * (c.size() + 1) / 2.0;
  Tensor const whole = tensor(3 * c.size(), own), part = tensor(3, 0), from_last = tensor(5, own);
  c.all_reduce(whole);
  EXPECT_EQ(host<double>(backend, whole), std::vector<double>(size_t(3 * c.size()), all));
  c.reduce_scatter(part, whole);
  EXPECT_EQ(host<double>(backend, part), std::vector<double>(3, all * c.size()));
  backend.upload(part, std::vector<double>(3, own).data());
  c.all_gather(whole, part);
  std::vector<double> const gathered = host<double>(backend, whole);
  for (int r = 0; r < c.size(); ++r) EXPECT_EQ(gathered[size_t(3 * r + 2)], r + 1);
  c.broadcast(from_last, c.size() - 1);
  EXPECT_EQ(host<double>(backend, from_last), std::vector<double>(5, c.size()));
  c.barrier();
  EXPECT_EQ(c.agree(c.rank() == 0), true);
  EXPECT_EQ(c.agree(false), false);
  for (Tensor const& t : {whole, part, from_last}) backend.release(t.data);
}

TEST(Communicators, DoEveryCollectiveAlone) {
  auto const backend = kReference.make();
  Single single(*backend);
  every_collective(*backend, single);
}

TEST(Communicators, DoEveryCollectiveTogether) {
  auto const communicators = together(3);
  on_ranks(3, [&](int r) { every_collective(*kReference.make(), *communicators[size_t(r)]); });
}

TEST_F(CudaRanks, DoEveryCollective) {
  auto const communicators = joined();
  on_ranks(2, [&](int r) { every_collective(*backends[size_t(r)], *communicators[size_t(r)]); });
}

TEST(Communicators, ARankThatLeavesEndsTheWaitOfTheOthers) {
  auto const communicators = together(2);
  try {
    on_ranks(2, [&](int r) { r == 0 ? communicators[0]->barrier() : communicators[1]->abort(); });
    FAIL() << "the barrier was passed";
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, Fault::failed);
  }
}

// Rank 1 fails before its sixth step, with a token that there is not: by then a step is a graph on a GPU.
void one_of_two_fails(Backends const& backends, DType dtype, std::vector<std::unique_ptr<Communicator>> communicators) {
  std::vector<Fault> faults(2, Fault::bug);
  std::vector<int> steps(2, 0);
  on_ranks(2, [&](int r) {
    try {
      train::Trainer t(*backends[size_t(r)], options(dtype, 2), std::move(communicators[size_t(r)]));
      for (unsigned step = 0; step < kSteps; ++step, ++steps[size_t(r)]) {
        data::HostBatch own = share(batch(kAccumulate * kSequences, kOddLength, kOddVocab, step), kAccumulate, r, 2);
        if (r == 1 && step == 5) own.tokens[0] = -1;
        t.step(own, 1e-3);
        (void)t.state();
      }
    } catch (Error const& e) {
      faults[size_t(r)] = e.fault;
    }
  });
  EXPECT_EQ(faults[1], Fault::content);
  EXPECT_EQ(faults[0], Fault::failed);
  EXPECT_EQ(steps[1], 5);
  EXPECT_TRUE(steps[0] == 4 || steps[0] == 5)
      << steps[0];  // its fifth may end before it learns that it is alone, or after
}

TEST(Communicators, ARankThatFailsEndsTheStepsOfTheOthers) {
  Backends backends;
  for (int r = 0; r < 2; ++r) backends.push_back(kCpu.make());
  one_of_two_fails(backends, DType::f32, together(2));
}

TEST_F(CudaRanks, AGpuThatFailsEndsTheStepsOfTheOther) { one_of_two_fails(backends, DType::f32, joined()); }

// Two calls, without the other rank: it is not waited for, and what lies there is not summed again.
TEST(Communicators, AccumulatingIsARanksOwn) {
  std::vector<std::vector<double>> gradients;
  for (bool const one_of_two : {false, true}) {
    auto const backend = kReference.make();
    auto communicators = together(2);
    train::Trainer t(*backend, options(DType::f64, 2), one_of_two ? std::move(communicators[0]) : nullptr);
    data::HostBatch const own = share(batch(kAccumulate * kSequences, kOddLength, kOddVocab), kAccumulate, 0, 2);
    for (int twice = 0; twice < 2; ++twice) t.accumulate(own, 1e-3);
    gradients.push_back(read_state(*backend, t).g);
  }
  EXPECT_TRUE(gradients[0] == gradients[1]);
}

TEST(Communicators, RefuseWhatTheyCannotSumOrShare) {
  auto const backend = kReference.make();
  Single c(*backend);
  EXPECT_THROW(c.all_reduce({DType::i32, {3}, nullptr, "ids"}), Error);
  EXPECT_THROW(c.all_gather({DType::f32, {3}, nullptr, "whole"}, {DType::f32, {2}, nullptr, "part"}), Error);
  EXPECT_THROW(c.broadcast({DType::f32, {3}, nullptr, "t"}, 1), Error);
}

TEST(TrainerStep, ATokenThatTheVocabularyLacksIsRefusedBeforeItIsUploaded) {
  auto const backend = kReference.make();
  train::Trainer t(*backend, options(DType::f64, 1));
  for (bool const target : {false, true}) {
    data::HostBatch b = batch(kAccumulate * kSequences, kOddLength, kOddVocab);
    (target ? b.targets : b.tokens)[7] = kOddVocab;
    try {
      t.step(b, 1e-3);
      FAIL() << "accepted";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content);
      EXPECT_NE(std::string(e.what()).find("token 67 in a vocabulary of 67"), std::string::npos) << e.what();
    }
    EXPECT_EQ(t.state().attempted, 0);
  }
}

}  // namespace
}  // namespace folio::test

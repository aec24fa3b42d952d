// What is planned without memory is what is then taken, to the byte: trainer, evaluations, statistics, sampler.
#include <gtest/gtest.h>

#include "generate/engine.h"
#include "model/evaluate.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"
#include "train/memory.h"
#include "train/statistics.h"

namespace folio {
namespace {

using test::Kind;

size_t bytes_of(std::vector<Arena*> const& arenas) {
  size_t sum = 0;
  for (Arena const* a : arenas) sum += a->bytes();
  return sum;
}
size_t bytes_of(std::vector<MemoryRole> const& roles) {
  size_t sum = 0;
  for (MemoryRole const& r : roles) sum += r.bytes;
  return sum;
}

class Planned : public testing::TestWithParam<Kind> {};

TEST_P(Planned, IsWhatATrainerTakesByRole) {
  auto const backend = GetParam().make();
  for (auto const recompute : {model::Recompute::none, model::Recompute::mlp, model::Recompute::block})
    for (auto const rule : {Optimizer::Rule::adamw, Optimizer::Rule::sgd, Optimizer::Rule::muon}) {
      train::TrainerOptions o = test::odd_options(GetParam().dtype);
      o.recompute = recompute, o.optimizer.rule = rule, o.optimizer.momentum = 0.9;
      auto const roles = train::Trainer::plan(*backend, o);
      train::Trainer trainer(*backend, o);
      auto const arenas = trainer.arenas();
      ASSERT_EQ(roles.size(), arenas.size());
      for (size_t i = 0; i < roles.size(); ++i) {
        EXPECT_EQ(roles[i].name, arenas[i]->role());
        EXPECT_EQ(roles[i].bytes, arenas[i]->bytes()) << roles[i].name;
      }
    }
}

TEST_P(Planned, IsWhatTheEngineTakes) {
  auto const backend = GetParam().make();
  train::TrainerOptions const o = test::odd_options(GetParam().dtype);
  train::Trainer trainer(*backend, o);
  std::vector<std::string_view> const bytes(size_t(o.config.vocab), "x");
  generate::Engine engine(*backend, trainer.weights(), bytes, -1, {.sequences = 3, .rows = 8});
  EXPECT_EQ(bytes_of(generate::Engine::plan(*backend, o.config, o.dtype, {.sequences = 3, .rows = 8})),
            bytes_of(engine.arenas()));
}

INSTANTIATE_TEST_SUITE_P(Backends, Planned,
                         testing::Values(test::kReference, test::kCpu, test::kCpuBf16, test::kCuda, test::kCudaBf16),
                         test::kind_name);

TEST(RunRoles, NameEvaluationAndStatisticsBesideTheTrainersOwn) {
  auto const backend = make_reference_backend();
  train::TrainerOptions const o = test::odd_options(DType::f32);
  train::RunOptions run;
  auto const with = train::run_roles(*backend, run, o);
  run.stats_every = 0;
  auto const without = train::run_roles(*backend, run, o);
  ASSERT_EQ(with.size(), without.size() + 1);
  EXPECT_EQ(with.back().name, "statistics");
  EXPECT_EQ(with.back().bytes, train::StatisticsTaker::plan(o.config, o.dtype).bytes);
  EXPECT_EQ(without.back().name, "evaluation");
  EXPECT_EQ(without.back().bytes, model::Evaluator::plan(*backend, o.config, o.batch, o.length, o.dtype).bytes);
  EXPECT_GT(without.back().bytes, 0u);
}

// Wide masters, and of them as many moments again as the optimizer has; taken before the evaluations' memory.
TEST(RunRoles, HaveTheSnapshotOfSavesInTheBackground) {
  auto const backend = make_reference_backend();
  train::RunOptions run;
  for (auto const rule : {Optimizer::Rule::adamw, Optimizer::Rule::sgd}) {
    train::TrainerOptions o = test::odd_options(DType::f32);
    o.optimizer.rule = rule;
    run.save = "background";
    auto const with = train::run_roles(*backend, run, o);
    run.save = "foreground";
    auto const without = train::run_roles(*backend, run, o);
    ASSERT_EQ(with.size(), without.size() + 1);
    MemoryRole const& snapshot = with[train::Trainer::plan(*backend, o).size()];
    EXPECT_EQ(snapshot.name, "snapshot");
    size_t saved = 0;
    for (MemoryRole const& r : without) {
      EXPECT_NE(r.name, "snapshot");
      if (r.name == "weights" || r.name == "first moments" || r.name == "second moments") saved += r.bytes;
    }
    EXPECT_EQ(snapshot.bytes, saved);
  }
}

TEST(MemoryPlan, CountsTheSnapshotInTheProcessWhereTheRestLiesOnADevice) {
  std::vector<MemoryRole> const roles = {{"weights", 100}, {"activations", 1000}, {"snapshot", 300}, {"log", 40}};
  train::MemoryPlan plan{.roles = roles, .process = {"program and libraries", 7000}, .device = {}, .held = 5000};
  EXPECT_EQ(plan.of_roles(), 1440u);
  EXPECT_EQ(plan.total(), 8440u);
  EXPECT_EQ(plan.asks(), 3440u);
  EXPECT_EQ(plan.asks_of_host(), 0u) << "counted in what it asks for";
  plan.device.total = 50000;
  EXPECT_EQ(plan.of_roles(), 1100u);
  EXPECT_EQ(plan.asks(), 1100u);
  EXPECT_EQ(plan.total(), 7340u);
  EXPECT_EQ(plan.asks_of_host(), 2340u);
}

}  // namespace
}  // namespace folio

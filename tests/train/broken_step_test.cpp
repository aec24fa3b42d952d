// A step that is not finite: where it begins is found, and its file takes it again, bit for bit, or is refused.
#include "train/broken_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/files.h"
#include "tests/support/training.h"
#include "train/step_file.h"

namespace folio::train {
namespace {

using test::ScratchFolder;

RunOptions run_options() {
  RunOptions o;
  o.batch = 2, o.accumulate = 2, o.seed = 5, o.chunk = 4;
  return o;
}

struct Model {
  std::unique_ptr<Backend> backend = make_cpu_backend(1);
  RunOptions options = run_options();
  model::Config config = test::small(true, true, 0.1);
  Trainer trainer{*backend, trainer_options(options, config, config.context)};
  data::HostBatch batch = test::batch(4, config.context, config.vocab);
  StepState before = trainer.state();

  void put(std::string const& tensor, size_t place, float value) {
    for_each(trainer.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
      if (name != tensor) return;
      std::vector<float> values(static_cast<size_t>(w.shape.size()));
      backend->download(values.data(), w.master);
      values.at(place) = value;
      test::set_weight(*backend, w, values);
    });
  }
  BrokenStep again() { return take_again(*backend, trainer, batch, 1e-3, before); }
  SavedStep saved() const { return {options, config, DType::f32, batch, 1e-3, before}; }
};

TEST(BrokenStep, AFiniteStepHasNoFirst) {
  Model m;
  BrokenStep const found = m.again();
  EXPECT_FALSE(found.first);
  EXPECT_EQ(found.after.accept, 1);
  EXPECT_TRUE(to_json(found, numbers_of(m.batch))["finite"].get<bool>());
}

TEST(BrokenStep, AWeightThatIsNoNumberIsNamedBeforeAnyOp) {
  Model m;
  m.put("h.1.mlp.c_fc.weight", 3, NAN);
  BrokenStep const found = m.again();
  ASSERT_TRUE(found.first);
  EXPECT_EQ(found.first->tensor, "h.1.mlp.c_fc.weight");
  EXPECT_EQ(found.first->op, "");
  EXPECT_EQ(found.first->layer, 1);
  EXPECT_EQ(found.first->nan, 1);
  EXPECT_EQ(found.after.accept, 0);
}

TEST(BrokenStep, AnOverflowIsFoundWhereItBegins) {
  for (int const layer : {0, 1}) {
    Model m;
    std::string const bias = "h." + std::to_string(layer) + ".attn.c_attn.bias";
    m.put(bias, 0, 1e30f), m.put(bias, size_t(m.config.channels), 2e30f);  // of a query and a key: 2e60 is no f32
    BrokenStep const found = m.again();
    ASSERT_TRUE(found.first) << bias;
    EXPECT_EQ(found.first->op, "attention");
    EXPECT_EQ(found.first->layer, layer);
    EXPECT_EQ(found.first->micro_batch, 0);
    EXPECT_EQ(found.first->phase, Phase::forward);
    EXPECT_EQ(found.largest.tensor, bias);
    EXPECT_EQ(in_words(found, numbers_of(m.batch)).size(), 3u);
  }
}

TEST(BrokenStep, SavedAndReadBackItIsTheSameStepBitForBit) {
  ScratchFolder folder;
  Model m;
  m.put("h.0.attn.c_attn.bias", 1, INFINITY);
  Path const file = folder.path() / "step.safetensors";
  save_step(file, *m.backend, m.trainer, m.saved());
  BrokenStep const here = m.again();

  SavedStep const step = read_step(file);
  EXPECT_EQ(step.config, m.config);
  EXPECT_EQ(step.batch.tokens, m.batch.tokens);
  EXPECT_EQ(step.batch.total_weight, m.batch.total_weight);
  TrainerOptions options = trainer_options(step.options, step.config, step.config.context);
  options.initialise = false;
  Trainer other(*m.backend, options);
  load_step_weights(file, *m.backend, other);
  BrokenStep const there = take_again(*m.backend, other, step.batch, step.rate, step.before);
  EXPECT_EQ(dump(to_json(there, numbers_of(step.batch))), dump(to_json(here, numbers_of(m.batch))));
  EXPECT_EQ(there.first->tensor, "h.0.attn.c_attn.bias");
}

// With dropout, whose words are numbered by the step and its sequences, and tokens of different weights.
TEST(BrokenStep, ReadBackAFiniteStepMovesTheWeightsAsItDid) {
  ScratchFolder folder;
  Model m;
  m.before.attempted = 7;
  m.batch.sequences = {3, 8, 1, 40};
  for (size_t i = 0; i < m.batch.token_weights.size(); ++i) m.batch.token_weights[i] = 0.5f + 0.25f * float(i % 3);
  Path const file = folder.path() / "step.safetensors";
  save_step(file, *m.backend, m.trainer, m.saved());
  BrokenStep const here = m.again();
  ASSERT_TRUE(std::isfinite(here.after.loss) && here.after.accept == 1);
  EXPECT_EQ(here.after.attempted, 8);

  SavedStep const step = read_step(file);
  TrainerOptions options = trainer_options(step.options, step.config, step.config.context);
  options.initialise = false;
  Trainer other(*m.backend, options);
  load_step_weights(file, *m.backend, other);
  BrokenStep const there = take_again(*m.backend, other, step.batch, step.rate, step.before);
  EXPECT_EQ(there.after.loss, here.after.loss);
  EXPECT_EQ(there.after.norm, here.after.norm);
  EXPECT_TRUE(test::read_state(*m.backend, other).w == test::read_state(*m.backend, m.trainer).w);
}

TEST(BrokenStep, AFileThatWasChangedIsRefused) {
  ScratchFolder folder;
  Model m;
  Path const file = folder.path() / "step.safetensors";
  save_step(file, *m.backend, m.trainer, m.saved());
  std::string const whole = read_file(file);
  auto const refused = [&](std::string const& was, std::string const& is) {
    ASSERT_EQ(was.size(), is.size());
    size_t const at = whole.find(was);
    ASSERT_NE(at, whole.npos) << was;
    write_file(file, std::string(whole).replace(at, was.size(), is));
    try {
      SavedStep const step = read_step(file);
      TrainerOptions options = trainer_options(step.options, step.config, step.config.context);
      Trainer other(*m.backend, options);
      load_step_weights(file, *m.backend, other);
      ADD_FAILURE() << is << " was taken";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::content) << e.what();
      EXPECT_NE(std::string(e.what()).find("step.safetensors"), std::string::npos) << e.what();
    }
  };
  refused("folio-step", "folio-stop");
  refused("\\\"version\\\":1", "\\\"version\\\":9");
  refused("layers = 2", "layers = 3");
  refused("batch = 2", "batch = 3");
  refused("batch = 2", "batch = x");
  refused("batch.tokens", "batch.others");
  refused("h.1.ln_1.bias", "h.7.ln_1.bias");
  refused("vocab = 13", "vocab = 12");
  write_file(file, whole.substr(0, whole.size() - 4));
  EXPECT_THROW(read_step(file), Error);
  m.batch.tokens[0] = 13;
  save_step(file, *m.backend, m.trainer, m.saved());
  EXPECT_THROW(read_step(file), Error) << "an id beyond the vocabulary";
  write_file(file, "{}");
  EXPECT_THROW(read_step(file), Error);
  EXPECT_THROW(read_step(folder.path() / "none"), Error);
}

TEST(BrokenStep, NumbersOfABatch) {
  data::HostBatch batch{.tokens = {3, 1, 3, 2}, .targets = {1, -1, 2, 3}, .token_weights = {}, .sequences = {}};
  BatchNumbers const n = numbers_of(batch);
  EXPECT_EQ(n.tokens, 4);
  EXPECT_EQ(n.counted, 3);
  EXPECT_EQ(n.distinct, 3);
  EXPECT_EQ(n.most_frequent, 3);
  EXPECT_EQ(n.most, 2);
}

}  // namespace
}  // namespace folio::train

// What an op refuses, and that observers hear of what it did. Each refusal is one call that is wrong in one place.
#include "core/error.h"
#include "tests/backend/support.h"

namespace folio::test {
namespace {

class OpContract : public OpTest {
 protected:
  OpContract() : rig_(candidate().make(), candidate().dtype), b(*rig_.backend) {}
  Tensor t(Shape shape) { return rig_.real(shape, Values(shape.size(), 0.5)); }
  Tensor wide_t(Shape shape) { return rig_.real_wide(shape, Values(shape.size(), 0.5)); }
  Weight w(Shape shape, Uses uses = {}, bool training = true) {
    return rig_.weight(shape, uses, Values(shape.size(), 0.5), training ? Values(shape.size(), 0.0) : Values{});
  }
  Tensor ids(Shape shape, int32_t id = 0) { return rig_.ids(shape, std::vector<int32_t>(size_t(shape.size()), id)); }
  template <class F>
  void refuses(std::string const& part, F f) {
    try {
      f();
      FAIL() << "accepted; expected a sentence with '" << part << "'";
    } catch (Error const& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }
  Rig rig_;
  Backend& b;
};

TEST_P(OpContract, ShapesThatDoNotAgreeAreRefused) {
  Affine const layer{w({4, 6}, {.linear = true}), w({6})},
      frozen{w({4, 6}, {.linear = true}, false), w({6}, {}, false)};
  Tensor const x = t({3, 4}), y = t({3, 6}), x2 = t({3, 4});
  refuses("linear:", [&] { b.linear(t({3, 5}), x, layer); });
  refuses("linear:", [&] { b.linear(t({2, 6}), x, layer); });
  refuses("linear: bias", [&] { b.linear(y, x, {layer.weight, w({5})}); });
  refuses("linear_backward:", [&] { b.linear_backward(t({3, 5}), y, x, layer); });
  refuses("lay weights out for training", [&] { b.linear_backward(x2, y, x, frozen); });
  refuses("same memory", [&] { b.linear_backward(x, y, x, layer); });
  refuses("linear_gelu:", [&] { b.linear_gelu(y, t({3, 5}), x, layer); });
  refuses("same memory", [&] { b.linear_gelu(y, y, x, layer); });
  refuses("gelu:", [&] { b.gelu(t({3, 5}), x); });
  refuses("gelu_backward:", [&] { b.gelu_backward(x2, y, x); });
  Affine const norm{w({4}), w({4})};
  refuses("layer_norm: gain", [&] { b.layer_norm(t({3, 6}), {}, wide_t({3, 6}), norm); });
  refuses("layer_norm: input is (3, 3)", [&] { b.layer_norm(x2, wide_t({3, 3}), wide_t({3, 4}), norm); });
  refuses("were not kept", [&] { b.layer_norm_backward(wide_t({3, 4}), x, wide_t({3, 4}), {}, norm); });
  refuses("copy:", [&] { b.copy(x, y); });
  refuses("gather:", [&] { b.gather(t({2, 4}), x, ids({3})); });
  Weight const wte = w({5, 4}, {.lookup = true, .head = true}), wpe = w({3, 4}, {.lookup = true});
  refuses("embed:", [&] { b.embed(t({1, 3, 4}), ids({1, 2}), ids({1, 3}), wte, wpe); });
  refuses("embed:", [&] { b.embed(t({1, 3, 6}), ids({1, 3}), ids({1, 3}), wte, wpe); });
  refuses("head:", [&] { b.head(t({3, 6}), x, wte); });
  refuses("head:", [&] { b.head(t({3, 5}), y, wte); });
  refuses("scores are f64", [&] { b.token_loss(rig_.real_f32({3, 3}, Values(9, 0)), x, wte, ids({3})); });
  Tensor const state = rig_.object(StepState{});
  refuses("token weights", [&] {
    b.classifier(wide_t({2, 3}), x2, x, wte, {ids({1, 3}), rig_.real_f32({1, 2}, {1, 1})}, state, {});
  });
  refuses("optimize:", [&] { b.optimize(norm.weight, {wide_t({5}), wide_t({5})}, state, {}); });
  refuses("optimize:", [&] { b.optimize(norm.weight, {wide_t({4}), {}}, state, {}); });  // AdamW has a second moment,
  for (double const momentum : {0.0, 0.9})                                               // SGD none
    refuses("optimize:", [&] {
      b.optimize(norm.weight, {wide_t({4}), wide_t({4})}, state, {.rule = Optimizer::Rule::sgd, .momentum = momentum});
    });
  Weight const matrix = w({2, 6}, {.linear = true});
  for (int64_t const parts : {0, 4})  // that the columns do not share
    refuses("by muon", [&] { b.optimize(matrix, {}, state, {.rule = Optimizer::Rule::muon, .parts = parts}); });
  refuses("by muon", [&] { b.optimize(norm.weight, {}, state, {.rule = Optimizer::Rule::muon}); });
  refuses("summarize:", [&] { b.summarize(rig_.output_f64({3}), x); });
  refuses("summarize:", [&] { b.summarize(rig_.output_f64({4}), x, y); });
  refuses("largest_columns:", [&] { b.largest_columns(wide_t({5}), x); });
  refuses("checksum:", [&] { b.checksum(rig_.output_f64({1}), x); });
  refuses("begin_step:", [&] { b.begin_step(state, state); });
}

TEST_P(OpContract, WhatIsWideBesideANarrowTypeMustBe) {
  if (wide(candidate().dtype) == candidate().dtype) GTEST_SKIP() << "wide and narrow are one type";
  Tensor const x = t({3, 4}), y = t({3, 4}), x_wide = wide_t({3, 4});
  Affine const norm{w({4}), w({4})};
  refuses("expected f32", [&] { b.layer_norm(y, {}, x, norm); });
  refuses("expected f32", [&] { b.layer_norm_backward(x, y, x, wide_t({3, 2}), norm); });
  refuses("must agree", [&] { b.linear(wide_t({3, 4}), x, {w({4, 4}, {.linear = true}), {}}); });
  refuses("must agree", [&] { b.dropout_add(wide_t({3, 4}), {}, x, {}); });
  refuses("dropout_add:", [&] { b.dropout_add(t({3, 4}), x_wide, x_wide, {}); });
  refuses("dropout_backward:", [&] { b.dropout_backward(wide_t({3, 4}), x, {}); });
  refuses("expected f32", [&] { b.attention(t({1, 3, 4}), t({1, 2, 3}), t({1, 3, 12}), {}); });
  refuses("expected f32", [&] { b.head(t({3, 5}), x, w({5, 4}, {.head = true})); });
  Weight narrow = w({4, 4}, {.linear = true});
  narrow.master.dtype = DType::bf16;
  refuses("expected f32", [&] { b.linear(y, x, {narrow, {}}); });
  Weight plain = w({4, 4}, {.linear = true});
  plain.compute = {};
  refuses("laid out for another type", [&] { b.linear(y, x, {plain, {}}); });
}

TEST_P(OpContract, AttentionKeepsItsShapes) {
  Tensor const y = t({2, 3, 8}), qkv = t({2, 3, 24}), lse = wide_t({2, 2, 3});
  refuses("attention:", [&] { b.attention(y, lse, t({2, 3, 23}), {}); });
  refuses("H a divisor of C", [&] { b.attention(y, wide_t({2, 3, 3}), qkv, {}); });
  refuses("in [0, 1)", [&] { b.attention(y, lse, qkv, {.rate = 1.0, .sequences = {}, .state = {}}); });
  refuses("attention_backward:", [&] { b.attention_backward(t({2, 3, 8}), y, y, lse, qkv, {}); });
  if (b.device_memory().total > 0) return;  // what follows the host reads from memory
  Tensor const rows = t({1, 2, 8}), packed = t({1, 2, 24}), pool = t({2, 3, 2, kBlock, 4});
  Ragged const r{ids({1, 2}), rig_.ids({1, 2}, {0, 1}), rig_.ids({2}, {0, 2}), ids({1, 1})};
  refuses("must be (2, blocks", [&] { b.cached_attention(rows, packed, t({2, 3, 2, kBlock, 5}), r); });
  auto const call = [&](std::vector<int32_t> positions, std::vector<int32_t> start, int32_t block) {
    b.cached_attention(rows, packed, pool,
                       {r.tokens, rig_.ids({1, 2}, positions), rig_.ids({2}, start), ids({1, 1}, block)});
  };
  refuses("position 3", [&] { call({0, 3}, {0, 2}, 0); });
  refuses("position 32", [&] { call({31, 32}, {0, 2}, 0); });
  refuses("block 3 of 3", [&] { call({0, 1}, {0, 2}, 3); });
  refuses("query_start from 0 to 1", [&] { call({0, 1}, {0, 1}, 0); });
  refuses("query_start", [&] {
    b.cached_attention(rows, packed, pool, {r.tokens, r.positions, ids({3}), r.block_table});
  });
}

TEST_P(OpContract, IdsOutOfRangeAreRefusedWhereTheHostCanReadThem) {
  if (b.device_memory().total > 0) GTEST_SKIP() << "they lie on the device: the next test";
  Weight const wte = w({5, 4}, {.lookup = true}), wpe = w({3, 4}, {.lookup = true});
  Tensor const x = wide_t({1, 3, 4});
  refuses("token 5", [&] { b.embed(x, ids({1, 3}, 5), ids({1, 3}), wte, wpe); });
  refuses("token -1", [&] { b.embed_backward(x, ids({1, 3}, -1), ids({1, 3}), wte, wpe); });
  refuses("position 3", [&] { b.embed(x, ids({1, 3}), ids({1, 3}, 3), wte, wpe); });
  refuses("row 3", [&] { b.gather(t({2, 4}), t({3, 4}), ids({2}, 3)); });
}

TEST_P(OpContract, IdsOutOfRangeGiveNaNAndMoveNothingWhereTheHostCannotReadThem) {
  if (b.device_memory().total == 0) GTEST_SKIP() << "they are refused";
  Weight const wte = w({5, 4}, {.lookup = true}), wpe = w({3, 4}, {.lookup = true});
  Tensor const x = wide_t({1, 3, 4}), bad = rig_.ids({1, 3}, {0, 5, -1}), good = ids({1, 3});
  rig_.lend({.rows = 3, .sequences = 1, .context = 3, .channels = 4, .heads = 1, .vocab = 5, .chunk = 3});
  for (auto const& [tokens, positions] : {std::pair{bad, good}, {good, bad}}) {
    b.embed(x, tokens, positions, wte, wpe);
    Values const got = rig_.read(x);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isnan(got[i]), i >= 4) << i;
  }
  b.embed_backward(wide_t({1, 3, 4}), bad, rig_.ids({1, 3}, {0, 3, 3}), wte, wpe);
  for (Weight const& table : {wte, wpe}) {
    Values const got = rig_.read(table.grad);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i < 4 ? 0.5 : 0) << i;
  }
  rig_.check_guards();
}

TEST_P(OpContract, NoRowsAreNoWork) {
  Affine const norm{w({4}), w({4})}, layer{w({4, 6}, {.linear = true}), w({6})};
  Weight const wte = w({5, 4}, {.lookup = true, .head = true}), wpe = w({3, 4}, {.lookup = true});
  Tensor const x = t({1, 0, 4}), dx = t({1, 0, 4}), y = t({1, 0, 6}), rows = wide_t({1, 0, 4}),
               state = rig_.object(StepState{});
  Dropout const dropout{.rate = 0.5, .site = Site::embedding, .sequences = rig_.numbers({1}, {0}), .state = state};
  rig_.lend({.rows = 1, .sequences = 1, .context = 1, .channels = 4, .heads = 2, .vocab = 5, .chunk = 1});
  b.embed(rows, ids({1, 0}), ids({1, 0}), wte, wpe), b.embed_backward(rows, ids({1, 0}), ids({1, 0}), wte, wpe);
  b.gather(rows, wide_t({3, 4}), ids({0}));
  b.layer_norm(x, wide_t({1, 0, 2}), rows, norm),
      b.layer_norm_backward(rows, x, wide_t({1, 0, 4}), wide_t({1, 0, 2}), norm);
  b.linear(y, x, layer), b.linear_backward(dx, y, x, layer);
  b.gelu(x, dx), b.gelu_backward(x, dx, dx);
  b.dropout_add(rows, {}, rows, dropout), b.dropout_backward(rows, rows, dropout);
  b.attention(x, wide_t({1, 2, 0}), t({1, 0, 12}), {});
  b.attention_backward(t({1, 0, 12}), x, x, wide_t({1, 2, 0}), t({1, 0, 12}), {});
  b.head(wide_t({1, 0, 5}), x, wte), b.token_loss(rig_.output_f64({1, 0, 3}), x, wte, ids({1, 0}));
  for (Weight const& one : {norm.weight, norm.bias, layer.weight, layer.bias, wte, wpe})
    EXPECT_EQ(rig_.read(one.grad), Values(one.shape.size(), 0.0));
  rig_.check_guards();
}

TEST_P(OpContract, ObserversHearTheOpItsPlaceAndItsOutputs) {
  std::vector<std::string> heard;
  b.observe([&](Event const& e) {
    heard.push_back(std::string(e.op) + " " + std::to_string(int(e.phase)) + " " + std::to_string(e.layer) + " " +
                    e.outputs.begin()->label);
  });
  Tensor const x = t({2, 2}), y = rig_.output({2, 2}, "y");
  b.gelu(y, x);
  {
    Backend::Scope const scope(b, Phase::backward, 7);
    b.gelu_backward(y, x, x);
  }
  b.gelu(y, x);
  b.observe({});
  b.gelu(y, x);
  EXPECT_EQ(heard, (std::vector<std::string>{"gelu 0 -1 y", "gelu_backward 2 7 y", "gelu 0 -1 y"}));
}

FOLIO_ON_EVERY_BACKEND(OpContract);

// The reference's memory is the system's, and always NaN at first.
class OpMemory : public OpTest {
  void SetUp() override {
    if (candidate().name == std::string("reference_f32")) GTEST_SKIP() << "it takes the system's memory as it is";
  }
};

TEST_P(OpMemory, MoreThanThereIsIsRefusedWithTheAmount) {
  try {
    candidate().make()->acquire(size_t{1} << 50);
    FAIL();
  } catch (Error const& e) {
    EXPECT_EQ(e.fault, Fault::memory);
    EXPECT_NE(std::string(e.what()).find("1073741824.0 MiB"), std::string::npos) << e.what();
  }
}

TEST_P(OpMemory, IsAlignedAndZeroOrNaNInTheTestMode) {
  for (size_t const bytes : {size_t{1}, size_t{100}, size_t{9} << 20}) {
    auto const plain = candidate().make();
    ::setenv("FOLIO_POISON_MEMORY", "1", 1);
    auto const poisoned = candidate().make();
    ::unsetenv("FOLIO_POISON_MEMORY");
    for (auto const& [backend, value] : {std::pair{plain.get(), 0x00}, {poisoned.get(), 0xff}}) {
      auto* const p = static_cast<unsigned char*>(backend->acquire(bytes));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % Arena::kAlign, 0u);
      std::vector<unsigned char> read(bytes);
      backend->download(read.data(), {DType::u8, {int64_t(bytes)}, p, "memory"});
      for (size_t const at : {size_t{0}, bytes / 2, bytes - 1}) EXPECT_EQ(read[at], value) << at << " of " << bytes;
      backend->release(p);
    }
  }
}

TEST_P(OpMemory, IsNotPlannedForOtherTypes) {
  auto const backend = candidate().make();
  EXPECT_THROW(backend->compute_bytes({2, 2}, DType::f64, {}), Error);
  EXPECT_THROW(backend->scratch_bytes({.dtype = DType::i32}), Error);
}

TEST_P(OpMemory, OfScratchThatIsTooLittleIsRefused) {
  Rig rig(candidate().make(), candidate().dtype);
  rig.lend({.rows = 1, .sequences = 1, .context = 2, .channels = 4, .heads = 1, .vocab = 3, .chunk = 1});
  Weight const w = rig.weight({70000, 64}, {.head = true}, Values(70000 * 64, 0.5), Values(70000 * 64, 0.0));
  Tensor const x = rig.real({1, 8, 64}, Values(8 * 64, 0.5)), ids = rig.ids({1, 8}, std::vector<int32_t>(8, 1));
  Tensor const ones = rig.real_f32({1, 8}, Values(8, 1)), state = rig.object(StepState{});
  EXPECT_THROW(rig.backend->classifier(rig.output_wide({2, 8}), rig.output({1, 8, 64}), x, w, {ids, ones}, state, {}),
               Error);
}

FOLIO_ON_EVERY_BACKEND(OpMemory);

TEST(CpuBackend, ThreadsAreCounted) { EXPECT_THROW(make_cpu_backend(-1), Error); }

TEST(CpuBackend, ScratchThatIsTooSmallIsRefused) {
  Rig rig(make_cpu_backend(1), DType::f32);
  rig.lend({.rows = 1, .context = 2, .channels = 4, .heads = 1, .vocab = 3, .chunk = 1});
  EXPECT_THROW(rig.backend->attention(rig.output({1, 600, 64}), rig.output({1, 1, 600}), rig.output({1, 600, 192}), {}),
               Error);
}

}  // namespace
}  // namespace folio::test

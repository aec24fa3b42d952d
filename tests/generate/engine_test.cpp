// The text that the engine writes depends on weights, prompt, options and seed alone: not on the cache, the batch, how
// a prompt is cut into calls, or what else is written at the same time.
#include "generate/engine.h"

#include <gtest/gtest.h>

#include <set>

#include "model/window.h"
#include "tests/support/cuda.h"

namespace folio::generate {
namespace {

using Ids = std::vector<int32_t>;

struct Model {
  std::unique_ptr<Backend> backend;
  model::Config config{
      .layers = 2, .heads = 2, .channels = 16, .vocab = 29, .context = 24, .bias = true, .tied = false, .dropout = {}};
  model::WeightArenas arenas;
  model::Weights weights;
  std::vector<std::string> alphabet;

  explicit Model(std::unique_ptr<Backend> b) : backend(std::move(b)) {
    auto lay_out = [&] { weights = lay_out_weights(arenas, *backend, config, DType::f32, false); };
    lay_out();
    arenas.masters.allocate(*backend), arenas.compute.allocate(*backend);
    lay_out();
    initialise(*backend, weights, 7);
    for_each(weights, [&](std::string const&, Weight const& w, model::Spec const& spec) {
      if (!spec.matrix) return;  // weights large enough that the past matters and the choices are real
      std::vector<float> values(size_t(w.shape.size()));
      backend->download(values.data(), w.master);
      for (float& v : values) v *= 12;
      backend->upload(w.master, values.data());
      backend->prepare(w);
    });
    for (int i = 0; i < config.vocab; ++i) alphabet.push_back(std::string(1, char('a' + i)));
  }
  Engine engine(EngineOptions options = {.sequences = 4, .rows = 16}, int32_t eos = -1) {
    return Engine(*backend, weights, {alphabet.begin(), alphabet.end()}, eos, options);
  }
};

class EngineTest : public testing::TestWithParam<char const*> {
 protected:
  EngineTest() : m(made(GetParam())) {}
  static std::unique_ptr<Backend> made(std::string const& name) {
    return name == "cpu" ? make_cpu_backend(2) : name == "cuda" ? test::make_cuda() : make_reference_backend();
  }
  Model m;
};
INSTANTIATE_TEST_SUITE_P(Backends, EngineTest, testing::Values("reference", "cpu", "cuda"),
                         [](auto const& info) { return std::string(info.param); });

Ids prompt(int n, int salt = 0) {
  Ids ids;
  for (int i = 0; i < n; ++i) ids.push_back((i * 7 + salt * 5 + 3) % 29);
  return ids;
}
GenerateOptions options(int64_t n = 40) {
  GenerateOptions o;
  o.sampling.temperature = 0.9;
  o.max_new_tokens = n;
  return o;
}
std::vector<Ids> ids_of(std::vector<Generated> const& texts) {
  std::vector<Ids> out;
  for (auto const& t : texts) out.push_back(t.ids);
  return out;
}

TEST_P(EngineTest, SameTextWithCacheAndWithoutPastTheContextToo) {
  for (int64_t slide : {0, 1, 5, 24}) {
    GenerateOptions o = options(60);
    o.slide = slide;
    Engine engine = m.engine();
    auto const cached = engine.generate({prompt(5), prompt(30, 1)}, o);
    o.no_cache = true;
    EXPECT_EQ(ids_of(cached), ids_of(engine.generate({prompt(5), prompt(30, 1)}, o))) << "slide " << slide;
    EXPECT_EQ(cached[0].ids.size(), 60u);
    EXPECT_GT(std::set<int32_t>(cached[0].ids.begin(), cached[0].ids.end()).size(), 4u);
  }
}

TEST_P(EngineTest, SameTextAloneAndInABatchAndInRounds) {
  std::vector<Ids> const prompts = {prompt(1), prompt(9, 1), prompt(23, 2), prompt(50, 3), prompt(24, 4)};
  GenerateOptions o = options();
  o.samples = 2;
  Engine wide = m.engine({.sequences = 10, .rows = 64}), narrow = m.engine({.sequences = 3, .rows = 3});
  auto const together = ids_of(wide.generate(prompts, o));
  EXPECT_EQ(together, ids_of(narrow.generate(prompts, o)));
  for (size_t p = 0; p < prompts.size(); ++p) {
    auto const alone = ids_of(narrow.generate({prompts[p]}, o));
    EXPECT_EQ(alone[0], together[2 * p]);
    EXPECT_EQ(alone[1], together[2 * p + 1]);
    EXPECT_NE(alone[0], alone[1]) << "samples of one prompt differ";
  }
}

TEST_P(EngineTest, SameSeedSameTextAnotherSeedAnother) {
  Engine engine = m.engine();
  GenerateOptions o = options();
  auto const a = ids_of(engine.generate({prompt(4)}, o));
  EXPECT_EQ(a, ids_of(engine.generate({prompt(4)}, o)));
  o.sampling.seed += 1;
  EXPECT_NE(a, ids_of(engine.generate({prompt(4)}, o)));
}

TEST_P(EngineTest, GreedyIsTopKOne) {
  Engine engine = m.engine();
  GenerateOptions greedy = options(), top1 = options();
  greedy.sampling.greedy = true, top1.sampling.top_k = 1;
  EXPECT_EQ(ids_of(engine.generate({prompt(4)}, greedy)), ids_of(engine.generate({prompt(4)}, top1)));
}

TEST_P(EngineTest, EndsAtEosUnlessToldNotTo) {
  Engine free = m.engine();
  auto const all = free.generate({prompt(4)}, options(30))[0].ids;
  int32_t const eos = all[6];
  size_t const first = size_t(std::find(all.begin(), all.end(), eos) - all.begin());
  Engine engine = m.engine({.sequences = 2, .rows = 16}, eos);
  auto const ended = engine.generate({prompt(4)}, options(30))[0];
  EXPECT_EQ(ended.finish, Finish::eos);
  EXPECT_EQ(ended.ids, Ids(all.begin(), all.begin() + int64_t(first) + 1));
  EXPECT_EQ(ended.text.size(), first);
  GenerateOptions on = options(30);
  on.ignore_eos = true;
  auto const went_on = engine.generate({prompt(4)}, on)[0];
  EXPECT_EQ(went_on.finish, Finish::length);
  EXPECT_EQ(went_on.ids, all);
}

TEST_P(EngineTest, StopsBeforeAStopStringAndStreamsWhatItReturns) {
  Engine engine = m.engine();
  std::string const text = engine.generate({prompt(4)}, options(30))[0].text;
  GenerateOptions o = options(30);
  o.stop = {"never there!", text.substr(11, 3)};
  std::string streamed;
  auto const stopped =
      engine.generate({prompt(4)}, o, {.text = [&](Generated const&, std::string_view more) { streamed += more; }});
  EXPECT_EQ(stopped[0].finish, Finish::stop);
  EXPECT_EQ(stopped[0].text, text.substr(0, text.find(o.stop[1])));
  EXPECT_EQ(streamed, stopped[0].text);
}

TEST_P(EngineTest, AnInterruptionReturnsWhatIsThere) {
  Engine engine = m.engine();
  int calls = 0;
  auto const got = engine.generate({prompt(4)}, options(30), {.text = {}, .interrupted = [&] { return ++calls == 5; }});
  EXPECT_EQ(got[0].finish, Finish::interrupted);
  EXPECT_EQ(got[0].ids.size(), 5u);
}

TEST_P(EngineTest, RefusesAnEmptyPromptAndForeignIds) {
  Engine engine = m.engine();
  EXPECT_THROW(engine.generate({{}}, options()), Error);
  EXPECT_THROW(engine.generate({{1, 29}}, options()), Error);
  EXPECT_THROW(engine.generate({{-1}}, options()), Error);
  GenerateOptions o = options();
  o.slide = 25;
  EXPECT_THROW(engine.generate({{1}}, o), Error);
}

TEST_P(EngineTest, RefusesOptionsOutOfTheirRange) {
  Engine engine = m.engine();
  auto const refused = [&](char const* name, auto change) {
    GenerateOptions o = options(3);
    change(o, o.sampling);
    try {
      engine.generate({prompt(3)}, o);
      ADD_FAILURE() << name << " was taken";
    } catch (Error const& e) {
      EXPECT_EQ(e.fault, Fault::value) << e.what();
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  using O = GenerateOptions&;
  using S = SamplingOptions&;
  for (int64_t const n : {0, -1}) refused("max-new-tokens", [&](O o, S) { o.max_new_tokens = n; });
  refused("n:", [](O o, S) { o.samples = 0; });
  refused("slide", [](O o, S) { o.slide = -1; });
  refused("top-k", [](O, S s) { s.top_k = -1; });
  refused("penalty-form", [](O, S s) { s.penalty_form = "none"; });
  for (double const x : {0.0, -1.0, double(NAN), double(INFINITY)}) {
    refused("temperature", [&](O, S s) { s.temperature = x; });
    refused("top-p", [&](O, S s) { s.top_p = x; });
    refused("repetition-penalty", [&](O, S s) { s.repetition_penalty = x; });
  }
  EXPECT_EQ(engine.generate({prompt(3)}, options(3)).front().ids.size(), 3u) << "the engine is as it was";
  for (EngineOptions const o : {EngineOptions{.sequences = 0, .rows = 4}, EngineOptions{.sequences = 1, .rows = 0}})
    EXPECT_THROW(m.engine(o), Error);
}

TEST(Window, IsAFunctionOfTheLengthAndDropsSlideTokensWhenFull) {
  for (int64_t slide : {1, 3, 4, 8}) {
    model::Window const w{8, slide};
    int64_t expected = 0;  // by the rule, token by token
    for (int64_t total = 1; total <= 100; ++total) {
      expected = expected == 8 ? 8 - slide + 1 : expected + 1;
      EXPECT_EQ(w.length(total), expected) << total << " tokens, slide " << slide;
    }
  }
}

}  // namespace
}  // namespace folio::generate

// The cpu and the cuda backend against the reference in f64: loss and every gradient of whole models, with dropout,
// masked targets, token weights, label smoothing and accumulation, in f32 and in bf16; whatever the threads; and with
// the same bits each time.
#include "tests/support/formula_weights.h"
#include "tests/support/kinds.h"
#include "tests/support/training.h"

namespace folio::test {
namespace {

struct Case {
  char const* name;
  int64_t layers, heads, channels, vocab, length, batch, accumulate;
  bool bias, tied;
  double dropout;
  model::Recompute recompute;
};
void PrintTo(Case const& c, std::ostream* out) { *out << c.name; }

constexpr auto kNone = model::Recompute::none;
Case const kCases[] = {
    {"plain", 2, 4, 64, 101, 24, 3, 2, true, true, 0, kNone},
    {"untied_without_bias", 2, 4, 64, 101, 24, 3, 2, false, false, 0, kNone},
    {"dropout", 2, 4, 64, 101, 24, 3, 2, true, true, 0.2, kNone},
    {"odd_sizes", 3, 3, 51, 67, 37, 2, 3, true, true, 0.1, kNone},
    {"one_token", 1, 1, 16, 17, 1, 5, 1, true, false, 0.1, kNone},
    {"long_context", 1, 2, 32, 33, 300, 1, 2, true, true, 0.1, kNone},
    {"wide", 1, 4, 256, 33, 9, 2, 1, true, true, 0.1, kNone},  // rows of 4,096 bytes
    {"recompute_mlp", 2, 4, 64, 101, 24, 3, 2, true, true, 0.2, model::Recompute::mlp},
    {"recompute_block", 2, 4, 64, 101, 24, 3, 2, true, true, 0.2, model::Recompute::block},
};

struct Result {
  std::vector<std::string> names;
  std::vector<std::vector<double>> gradients;
  std::vector<double> losses;  // of the last micro-batch
  double loss;
};

Result run(Backend& backend, Case const& c, DType dtype) {
  train::TrainerOptions const o{.config = {.layers = c.layers,
                                           .heads = c.heads,
                                           .channels = c.channels,
                                           .vocab = c.vocab,
                                           .context = c.length,
                                           .bias = c.bias,
                                           .tied = c.tied,
                                           .dropout = {c.dropout, c.dropout, c.dropout, c.dropout}},
                                .dtype = dtype,
                                .batch = c.batch,
                                .accumulate = c.accumulate,
                                .length = c.length,
                                .chunk = 7,
                                .recompute = c.recompute,
                                .seed = 3,
                                .decay = {},
                                .optimizer = {},
                                .loss_scale = 1024,  // f16 alone has one
                                .decide = {},
                                .classifier = {.label_smoothing = 0.05}};
  train::Trainer t(backend, o);
  set_formula_weights(backend, t.weights(), 8, 2);
  t.accumulate(batch(c.batch * c.accumulate, c.length, c.vocab), 0);
  Result r{{}, {}, values(backend, t.acts().losses[0]), t.state().loss};
  for_each(t.weights(), [&](std::string const& name, Weight const& w, model::Spec const&) {
    r.names.push_back(name), r.gradients.push_back(values(backend, w.grad));
    for (double& g : r.gradients.back()) g /= t.state().loss_scale;
  });
  return r;
}

class DeviceModel : public testing::TestWithParam<std::tuple<Kind, Case>> {
 protected:
  std::unique_ptr<Backend> make() const { return std::get<0>(GetParam()).make(); }
  Case const& model() const { return std::get<1>(GetParam()); }
};
class CpuModel : public testing::TestWithParam<Case> {};

struct Bounds {
  double loss, one_loss, gradient;
};

void compare(Result const& got, Result const& expected, Bounds const& most) {
  EXPECT_NEAR(got.loss, expected.loss, most.loss * expected.loss);
  EXPECT_LE(worst_error(got.losses, expected.losses, 1), most.one_loss);
  double worst = 0;
  for (size_t i = 0; i < got.names.size(); ++i) {
    double const e = tensor_error(got.gradients[i], expected.gradients[i]);
    EXPECT_LE(e, most.gradient) << got.names[i];
    worst = std::max(worst, e);
  }
  std::printf("  loss differs by %.1e, a gradient by %.1e of its tensor's largest\n",
              std::abs(got.loss - expected.loss), worst);
}

TEST_P(DeviceModel, HasTheReferencesLossAndEveryGradient) {
  auto const device = make(), reference = kReference.make();
  compare(run(*device, model(), DType::f32), run(*reference, model(), DType::f64), {1e-6, 1e-5, 1e-5});
}

// Weights and activations are rounded by 2⁻⁸ = 3.9e-3 at most each time; a wrong gradient differs by its own size.
TEST_P(DeviceModel, InBf16IsNearTheReferencesLossAndEveryGradient) {
  auto const device = make(), reference = kReference.make();
  compare(run(*device, model(), DType::bf16), run(*reference, model(), DType::f64), {2e-3, 2e-2, 8e-2});
}

// f16 rounds by an eighth of that; gradients are scaled, as a run scales them, or the small ones would be lost.
TEST_P(CpuModel, InF16IsNearTheReferencesLossAndEveryGradient) {
  auto const device = make_cpu_backend(), reference = kReference.make();
  compare(run(*device, GetParam(), DType::f16), run(*reference, GetParam(), DType::f64), {3e-4, 3e-3, 1e-2});
}

TEST_P(CpuModel, DoesNotDependOnTheNumberOfThreads) {
  auto const one = make_cpu_backend(1), three = make_cpu_backend(3);
  Result const a = run(*one, GetParam(), DType::f32), b = run(*three, GetParam(), DType::f32);
  EXPECT_NEAR(a.loss, b.loss, 1e-6 * b.loss);
  for (size_t i = 0; i < a.names.size(); ++i)
    EXPECT_LE(tensor_error(a.gradients[i], b.gradients[i]), 1e-5) << a.names[i];
}

TEST_P(DeviceModel, HasTheSameBitsEachTime) {
  auto const one = make(), two = make();
  for (DType const dtype : {DType::f32, DType::bf16}) {
    Result const a = run(*one, model(), dtype), b = run(*two, model(), dtype);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.losses, b.losses);
    EXPECT_TRUE(a.gradients == b.gradients);
  }
}

auto const name_of_model = [](auto const& info) { return std::string(std::get<1>(info.param).name); };
INSTANTIATE_TEST_SUITE_P(Cpu, DeviceModel, testing::Combine(testing::Values(kCpu), testing::ValuesIn(kCases)),
                         name_of_model);
INSTANTIATE_TEST_SUITE_P(Cuda, DeviceModel, testing::Combine(testing::Values(kCuda), testing::ValuesIn(kCases)),
                         name_of_model);
INSTANTIATE_TEST_SUITE_P(, CpuModel, testing::ValuesIn(kCases),
                         [](auto const& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace folio::test

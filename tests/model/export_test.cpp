// Models in other types: every value rounded as the type's own neighbours say, files carried over, what cannot be held
// refused; and the statistics of stored tensors.
#include "model/export.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "model/statistics.h"
#include "tests/support/files.h"
#include "tests/support/formula_weights.h"
#include "tests/support/reader.h"

namespace folio::test {
namespace {

double half_value(uint16_t bits) {  // by the definition of IEEE 754 binary16
  int const exponent = bits >> 10 & 31, fraction = bits & 1023;
  double const size = exponent == 0    ? std::ldexp(fraction, -24)
                      : exponent == 31 ? (fraction ? NAN : INFINITY)
                                       : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

TEST(Half, EveryValueIsItselfAndEveryMiddleGoesToTheEvenNeighbour) {
  for (uint32_t sign : {0u, 0x8000u})
    for (uint32_t h = 0; h < 0x7c00; ++h) {
      auto const bits = uint16_t(sign | h), next = uint16_t(bits + 1);
      auto const here = float(half_value(bits));
      ASSERT_EQ(to_f16(here).bits, bits);
      double const step = h == 0x7bff ? 32 : std::abs(half_value(next) - half_value(bits));
      auto const middle = float(half_value(bits) + (sign ? -step : step) / 2);
      ASSERT_EQ(to_f16(middle).bits, h & 1 ? next : bits) << h;
      ASSERT_EQ(to_f16(std::nextafter(middle, 0.0f)).bits, bits) << h;
      ASSERT_EQ(to_f16(std::nextafter(middle, sign ? -INFINITY : INFINITY)).bits, next) << h;
    }
  EXPECT_EQ(to_f16(INFINITY).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30f).bits, 0xfc00);
  for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xffffffffu})
    EXPECT_TRUE(std::isnan(half_value(to_f16(std::bit_cast<float>(bits)).bits))) << bits;
}

class Export : public testing::Test {
 protected:
  Export() : reader_(*backend_, config_, DType::f32) { set_formula_weights(*backend_, reader_.weights(), 5, 4); }
  void save() {
    make_folders(folder_ / "model");
    model::save_model(folder_ / "model", *backend_, reader_.weights(), {.tokenizer = "char"},
                      std::vector<Attachment>{{"tokenizer.json", "{}"}, {"generation_config.json", "{\"a\":1}"}});
    for (char const* name : {"optimizer.safetensors", "state.json", "manifest.json", "pytorch_model.bin"})
      write_file(folder_ / "model" / name, "x");
  }
  model::ModelDirectory export_as(DType dtype) {
    std::string const name = name_of(dtype);
    FolderWriter folder(folder_ / name);
    model::export_model(folder.path(), model::ModelDirectory(folder_ / "model"), dtype);
    folder.commit();
    return model::ModelDirectory(folder_ / name);
  }
  std::unique_ptr<Backend> backend_ = make_reference_backend();
  ScratchFolder folder_;
  model::Config config_{
      .layers = 2, .heads = 2, .channels = 8, .vocab = 31, .context = 7, .bias = false, .tied = true, .dropout = {}};
  Reader reader_;
};

TEST_F(Export, RoundsEachValueAndCarriesTheOtherFiles) {
  save();
  model::ModelDirectory const original(folder_ / "model");
  for (DType const dtype : {DType::bf16, DType::f16, DType::f32}) {
    SCOPED_TRACE(name_of(dtype));
    model::ModelDirectory const small = export_as(dtype);
    EXPECT_EQ(small.config(), original.config());
    EXPECT_EQ(small.stored_bytes() * (dtype == DType::f32 ? 1 : 2), original.stored_bytes());
    auto const from = original.stored(), to = small.stored();
    ASSERT_EQ(from.size(), to.size());
    for (size_t i = 0; i < from.size(); ++i) {
      std::vector<float> a(size_t(from[i].shape.size())), b = a;
      from[i].file->read(*from[i].tensor, 0, std::span(a));
      to[i].file->read(*to[i].tensor, 0, std::span(b));
      for (size_t k = 0; k < a.size(); ++k)
        ASSERT_EQ(b[k], dtype == DType::f32    ? a[k]
                        : dtype == DType::bf16 ? to_float(to_bf16(a[k]))
                                               : float(half_value(to_f16(a[k]).bits)));
    }
    std::string const config = read_file(small.path() / "config.json");
    char const* const named = dtype == DType::bf16 ? "bfloat16" : dtype == DType::f16 ? "float16" : "float32";
    EXPECT_NE(config.find("\"torch_dtype\": \"" + std::string(named) + "\""), std::string::npos) << config;
    EXPECT_EQ(read_file(small.path() / "generation_config.json"), "{\"a\":1}");
    EXPECT_EQ(read_file(small.path() / "tokenizer.json"), "{}");
    for (char const* name : {"optimizer.safetensors", "state.json", "manifest.json", "pytorch_model.bin"})
      EXPECT_FALSE(std::filesystem::exists(small.path() / name)) << name;
  }
  EXPECT_THROW(export_as(DType::bf16), Error);  // it is there
}

TEST_F(Export, KeepsNaNAndRefusesWhatF16CannotHold) {
  std::vector<float> values(31 * 8, 1.0f);
  values[3] = NAN, values[5] = -INFINITY, values[7] = 65519.0f;
  set_weight(*backend_, reader_.weights().wte, values);
  save();
  auto const small = export_as(DType::f16);
  auto const s = model::statistics_of(*small.stored()[0].file, *small.stored()[0].tensor);
  EXPECT_EQ(s.non_finite, 2);
  EXPECT_EQ(s.max, 65504);
  values[8] = 65520.0f, values[9] = -1e9f;
  set_weight(*backend_, reader_.weights().wte, values);
  save();
  std::filesystem::remove_all(folder_ / "f16");
  expect_fault(Fault::content, {"2 of the model's values", "wte.weight"}, [&] { export_as(DType::f16); });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "f16"));
}

TEST_F(Export, StatisticsAreThoseOfTheValues) {
  config_.vocab = 40'000;  // more than a piece
  Reader large(*backend_, config_, DType::f32);
  set_formula_weights(*backend_, large.weights(), 5, 4);
  make_folders(folder_ / "large");
  model::save_model(folder_ / "large", *backend_, large.weights(), {.tokenizer = "char"});
  model::ModelDirectory const directory(folder_ / "large");
  auto const wte = directory.stored()[0];
  auto const v = host<float>(*backend_, large.weights().wte.master);
  ASSERT_GT(v.size(), size_t{1} << 18);
  long double sum = 0, squares = 0;
  for (float const x : v) sum += x;
  for (float const x : v) squares += (x - sum / v.size()) * (x - sum / v.size());
  auto const s = model::statistics_of(*wte.file, *wte.tensor);
  EXPECT_EQ(s.count, int64_t(v.size()));
  EXPECT_EQ(s.non_finite, 0);
  EXPECT_NEAR(s.mean, double(sum / v.size()), 1e-15);
  EXPECT_NEAR(s.deviation, double(std::sqrt(squares / v.size())), 1e-13);
  EXPECT_EQ(s.min, *std::ranges::min_element(v));
  EXPECT_EQ(s.max, *std::ranges::max_element(v));
}

}  // namespace
}  // namespace folio::test

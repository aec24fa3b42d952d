// A trained model in a context of another length: the positions that it has keep their logits, bit for bit; those that
// it lacks begin as a new model's.
#include <gtest/gtest.h>

#include <numeric>

#include "model/checkpoint.h"
#include "tests/support/formula_weights.h"
#include "tests/support/kinds.h"
#include "tests/support/reader.h"
#include "tests/support/scratch_folder.h"

namespace folio::test {
namespace {

using model::ModelDirectory;

constexpr int64_t kTrained = 37;

model::Config shape(int64_t context) {
  return {.layers = 2,
          .heads = 2,
          .channels = 16,
          .vocab = 31,
          .context = context,
          .bias = true,
          .tied = true,
          .dropout = {}};
}

Tokens text_of(int64_t n) {
  Tokens ids(static_cast<size_t>(n));
  for (size_t t = 0; t < ids.size(); ++t) ids[t] = int32_t(formula_draw(9, t) % 31);
  return ids;
}

class Positions : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {  // not the constructor, which runs where there is no GPU too
    backend_ = GetParam().make();
    trained_ = std::make_unique<Reader>(*backend_, shape(kTrained), GetParam().dtype);
    set_formula_weights(*backend_, trained_->weights(), 5, 4);
    make_folders(folder_ / "model");
    save_model(folder_ / "model", *backend_, trained_->weights(), {});
  }
  std::unique_ptr<Reader> with(int64_t context) {
    auto reader = std::make_unique<Reader>(*backend_, shape(context), GetParam().dtype);
    model::initialise(*backend_, reader->weights(), 3);
    fresh_ = values(*backend_, reader->weights().wpe.master);
    ModelDirectory(folder_ / "model").load(*backend_, reader->weights(), ModelDirectory::Positions::any);
    return reader;
  }
  std::vector<double> decoded(Reader& reader, Tokens const& tokens) {
    int64_t const n = int64_t(tokens.size());
    Decoder decoder(reader, {.blocks = 8, .tokens = n, .sequences = 1});
    return decoder.feed({{decoder.add(), tokens}})[0];
  }
  ScratchFolder folder_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Reader> trained_;
  std::vector<double> fresh_;
};

TEST_P(Positions, ThatWereTrainedKeepTheirLogitsBitForBit) {
  for (int64_t const context : {int64_t{1}, int64_t{16}, kTrained, int64_t{40}, int64_t{101}}) {
    SCOPED_TRACE(context);
    auto const reader = with(context);
    int64_t const T = std::min(context, kTrained);
    Tokens const tokens = text_of(T);
    EXPECT_EQ(reader->full(tokens).logits, trained_->full(tokens).logits);
    EXPECT_EQ(decoded(*reader, tokens), decoded(*trained_, tokens));
    if (context <= kTrained) continue;
    auto longer = decoded(*reader, text_of(context));  // what follows changes nothing before it
    longer.resize(size_t(kTrained) * 31);
    EXPECT_EQ(longer, decoded(*trained_, tokens));
  }
}

TEST_P(Positions, ThatAreNewBeginAsAFreshModels) {
  auto const reader = with(50);
  auto const rows = values(*backend_, reader->weights().wpe.master);
  auto const trained = values(*backend_, trained_->weights().wpe.master);
  size_t const border = trained.size();
  EXPECT_TRUE(std::equal(trained.begin(), trained.end(), rows.begin()));
  EXPECT_TRUE(std::equal(rows.begin() + int64_t(border), rows.end(), fresh_.begin() + int64_t(border)));
  EXPECT_NE(rows[border], 0);
}

TEST_P(Positions, OfAnotherNumberAreRefusedWhereNothingIsSaidOfThem) {
  Reader reader(*backend_, shape(16), GetParam().dtype);
  Error const e = error_of([&] { ModelDirectory(folder_ / "model").load(*backend_, reader.weights()); });
  EXPECT_NE(std::string(e.what()).find("context 16"), std::string::npos) << e.what();
}

INSTANTIATE_TEST_SUITE_P(, Positions, testing::Values(kReference, kCpu, kCpuBf16, kCuda, kCudaBf16), kind_name);

}  // namespace
}  // namespace folio::test

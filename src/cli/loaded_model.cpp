#include "cli/loaded_model.h"

#include <algorithm>

#include "backend/room.h"
#include "cli/resolve_model.h"

namespace folio::cli {

namespace {

Backend& with_room(Backend& backend, model::Config const& config, DType dtype) {
  expect_room(backend, "the model", model::LoadedWeights::plan(backend, config, dtype),
              dtype == DType::f32
                  ? "a smaller model asks for less"
                  : "--dtype f32 computes without copies of the weights, and a smaller model asks for less");
  return backend;
}

}  // namespace

LoadedModel::LoadedModel(std::string const& model, BackendChoice const& choice)
    : directory_(verified_model(model)),
      backend_(choice.make()),
      weights_(with_room(*backend_, directory_.config(), choice.compute_type()), directory_, choice.compute_type()) {
  if (text::has_tokenizer(directory_.path())) tokenizer_ = text::load_tokenizer(directory_.path().string());
}

text::Tokenizer const& LoadedModel::tokenizer() const {
  check(tokenizer_ != nullptr, Fault::missing,
        "{} has no tokenizer beside the model: put tokenizer.json, or vocab.json and merges.txt, into it",
        directory_.path().string());
  return *tokenizer_;
}

std::vector<std::string_view> token_bytes(text::Tokenizer const& tokenizer, int64_t vocab) {
  std::vector<std::string_view> bytes;
  for (int64_t id = 0; id < std::min(tokenizer.vocab(), vocab); ++id) bytes.push_back(tokenizer.token(int32_t(id)));
  return bytes;
}

}  // namespace folio::cli

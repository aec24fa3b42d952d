#include "cli/loaded_model.h"

#include <algorithm>
#include <filesystem>

#include "backend/room.h"
#include "cli/resolve_model.h"

namespace folio::cli {

namespace {

// Read whole, it takes this many times its files (that of GPT-2, as measured).
constexpr size_t kOfTokenizersFiles = 12;

std::unique_ptr<text::Tokenizer> tokenizer_of(Backend const& backend, Path const& model) {
  if (!text::has_tokenizer(model)) return nullptr;
  size_t bytes = 0;
  for (char const* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    std::error_code error;
    auto const size = std::filesystem::file_size(model / name, error);
    if (!error) bytes = std::max(bytes, size);
  }
  Ask const ask{.what = "reading the tokenizer",
                .roles = {},
                .mends = "a tokenizer of fewer tokens (folio tokenizer --vocab) asks for less",
                .in_heap = {{"tokenizer", kOfTokenizersFiles * bytes}}};
  return take_room(backend, ask, [&] { return text::load_tokenizer(model.string()); });
}

Ask weights_of(Backend const& backend, model::Config const& config, DType dtype) {
  return {.what = "the model",
          .roles = model::LoadedWeights::plan(backend, config, dtype),
          .mends = dtype == DType::f32
                       ? "a smaller model asks for less (folio train --size)"
                       : "--dtype f32 computes without copies of the weights, and a smaller model asks for less"};
}

}  // namespace

// The tokenizer first: what reading it took for a while is free again for the weights.
LoadedModel::LoadedModel(std::string const& model, BackendChoice const& choice)
    : directory_(verified_model(model)),
      backend_(choice.make()),
      tokenizer_(tokenizer_of(*backend_, directory_.path())),
      weights_(take_room(*backend_, weights_of(*backend_, directory_.config(), choice.compute_type()),
                         [&] { return model::LoadedWeights(*backend_, directory_, choice.compute_type()); })) {}

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

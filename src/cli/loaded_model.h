// A model in a backend's memory, for the verbs that use one: opened, checked, loaded, its tokenizer beside it.
#pragma once

#include <memory>

#include "cli/backend_choice.h"
#include "model/loaded_weights.h"
#include "text/tokenizer.h"

namespace folio::cli {

class LoadedModel {
 public:
  /// MODEL as the user gave it: a model directory, a run, a checkpoint.
  LoadedModel(std::string const& model, BackendChoice const&);

  Path const& path() const { return directory_.path(); }
  model::ModelInfo const& info() const { return directory_.info(); }
  model::Config const& config() const { return directory_.config(); }
  Backend& backend() { return *backend_; }
  model::Weights const& weights() const { return weights_.weights(); }
  text::Tokenizer const& tokenizer() const;  // Fault::missing where the model has none

 private:
  model::ModelDirectory directory_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  model::LoadedWeights weights_;
};

/// The bytes of each token of a model with this vocabulary, for generate::Engine; they lie in the tokenizer.
std::vector<std::string_view> token_bytes(text::Tokenizer const&, int64_t vocab);

}  // namespace folio::cli

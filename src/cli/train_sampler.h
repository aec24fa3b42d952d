// Text that a model writes while it is trained: the same seed each time, so that what differs is the model.
#pragma once

#include <memory>

#include "generate/engine.h"
#include "text/tokenizer.h"
#include "train/loop.h"

namespace folio::cli {

class TrainSampler {
 public:
  /// Takes its memory now, and encodes the prompt: Fault::content where the tokenizer cannot. Reads the trainer's
  /// weights and nothing else of the run. `tokenizer` outlives it.
  TrainSampler(Backend&, model::Weights const& of_trainer, text::Tokenizer const& tokenizer, train::RunOptions const&);

  /// One that only shows how long its texts take: from the first token on, whatever they are.
  TrainSampler(Backend&, model::Weights const&, int64_t tokens);

  train::Written write();  // with the weights of now
  /// What such a sampler takes of the backend, without taking it.
  static MemoryRole plan(Backend&, model::Config const&, DType);

 private:
  std::string prompt_;
  std::vector<int32_t> ids_;
  model::Weights weights_;  // as inference has them: without gradients
  generate::GenerateOptions options_;
  std::unique_ptr<generate::Engine> engine_;
};

}  // namespace folio::cli

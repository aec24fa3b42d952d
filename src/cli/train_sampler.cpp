#include "cli/train_sampler.h"

#include "cli/loaded_model.h"
#include "core/error.h"

namespace folio::cli {
namespace {

constexpr generate::EngineOptions kOneText{.sequences = 1, .rows = 64};
constexpr double kTemperature = 0.8;

model::Weights without_gradients(model::Weights w) {
  for_each(w, [](std::string const&, Weight& weight, model::Spec const&) { weight.grad = {}; });
  w.head.grad = {};
  return w;
}

}  // namespace

TrainSampler::TrainSampler(Backend& backend, model::Weights const& of_trainer, text::Tokenizer const& tokenizer,
                           train::RunOptions const& o)
    : prompt_(o.sample_prompt), weights_(without_gradients(of_trainer)) {
  if (prompt_.empty() && tokenizer.end_of_text()) ids_ = {*tokenizer.end_of_text()};
  else if (prompt_.empty()) prompt_ = "\n";
  try {
    if (ids_.empty()) ids_ = tokenizer.encode(prompt_);
  } catch (Error const& e) {
    fail(e.fault, "--sample-prompt: {}", e.what());
  }
  options_.sampling.temperature = kTemperature;
  options_.sampling.seed = o.seed;
  options_.max_new_tokens = o.sample_tokens;
  engine_ = std::make_unique<generate::Engine>(backend, weights_, token_bytes(tokenizer, weights_.config.vocab),
                                               int32_t(tokenizer.end_of_text().value_or(-1)), kOneText);
}

TrainSampler::TrainSampler(Backend& backend, model::Weights const& weights, int64_t tokens)
    : ids_{0}, weights_(without_gradients(weights)) {
  options_.sampling.temperature = kTemperature;
  options_.max_new_tokens = tokens;
  std::vector<std::string_view> const bytes(size_t(weights_.config.vocab), "x");
  engine_ = std::make_unique<generate::Engine>(backend, weights_, bytes, -1, kOneText);
}

train::Written TrainSampler::write() { return {prompt_, engine_->generate({ids_}, options_).front().text}; }

MemoryRole TrainSampler::plan(Backend& backend, model::Config const& config, DType dtype) {
  MemoryRole all{"samples"};
  for (MemoryRole const& role : generate::Engine::plan(backend, config, dtype, kOneText)) all.bytes += role.bytes;
  return all;
}

}  // namespace folio::cli

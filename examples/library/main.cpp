// What libfolio is used for, in one program: opens a model directory, writes on from a prompt, and takes one step of
// training on that prompt, whose loss falls.
//
//   example MODEL PROMPT      MODEL: a directory that folio or transformers wrote, with its tokenizer
#include <folio/core/fault.h>
#include <folio/generate/engine.h>
#include <folio/model/loaded_weights.h>
#include <folio/text/tokenizer.h>
#include <folio/train/trainer.h>
#include <cstdio>

namespace {

std::string continuation(folio::Backend& backend, folio::model::ModelDirectory const& model,
                         folio::text::Tokenizer const& tokenizer, std::vector<int32_t> const& prompt) {
  folio::model::LoadedWeights const loaded(backend, model);
  std::vector<std::string_view> bytes;  // what each token spells, for stop texts
  for (int64_t id = 0; id < tokenizer.vocab(); ++id) bytes.push_back(tokenizer.token(int32_t(id)));
  folio::generate::Engine engine(backend, loaded.weights(), bytes, tokenizer.end_of_text().value_or(-1), {});
  folio::generate::GenerateOptions options;
  options.max_new_tokens = 32;
  options.sampling.seed = 1;
  return engine.generate({prompt}, options).front().text;
}

// The next token of each: one sequence, as long as the text.
folio::data::HostBatch batch_of(std::vector<int32_t> const& ids) {
  folio::data::HostBatch batch;
  batch.tokens.assign(ids.begin(), ids.end() - 1);
  batch.targets.assign(ids.begin() + 1, ids.end());
  batch.token_weights.assign(batch.tokens.size(), 1);
  batch.sequences = {0};
  batch.total_weight = double(batch.tokens.size());
  return batch;
}

void train_one_step(folio::Backend& backend, folio::model::ModelDirectory const& model,
                    std::vector<int32_t> const& ids) {
  folio::data::HostBatch const batch = batch_of(ids);
  folio::train::TrainerOptions options;
  options.config = model.config();
  options.config.dropout = {};
  options.length = int64_t(batch.tokens.size());
  options.initialise = false;
  folio::train::Trainer trainer(backend, options);
  model.load(backend, trainer.weights());
  trainer.step(batch, 1e-4);
  double const before = trainer.state().loss;  // a step reports the loss that it began with
  trainer.step(batch, 0);
  std::printf("loss before the step %.4f, after it %.4f\n", before, trainer.state().loss);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::fprintf(stderr, "usage: example MODEL PROMPT\n");
    return 2;
  }
  try {
    folio::model::ModelDirectory const model(words[1]);
    auto const tokenizer = folio::text::load_tokenizer(words[1]);
    auto const backend = folio::make_cpu_backend();
    std::vector<int32_t> const ids = tokenizer->encode(words[2]);
    if (int64_t const most = model.config().context + 1; ids.size() < 2 || int64_t(ids.size()) > most)
      throw folio::Error(folio::Fault::value, "PROMPT has " + std::to_string(ids.size()) +
                                                  " tokens: a step of training needs 2 to " + std::to_string(most));
    std::printf("%s%s\n", words[2], continuation(*backend, model, *tokenizer, ids).c_str());
    train_one_step(*backend, model, ids);
    return 0;
  } catch (folio::Error const& error) {
    std::fprintf(stderr, "example: %s\n", error.what());
    return int(error.fault);
  }
}

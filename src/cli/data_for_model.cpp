#include "cli/data_for_model.h"

#include "core/error.h"

namespace folio::cli {

data::Dataset open_data(std::string const& path, int64_t vocab) {
  data::Dataset data(path, vocab);
  check(data.vocab() <= vocab, Fault::content,
        "{} has a vocabulary of {}, the model one of {}: prepare the data with the model's tokenizer", path,
        data.vocab(), vocab);
  return data;
}

std::unique_ptr<text::Tokenizer> tokenizer_of(data::Dataset const& data, Path const& model, std::string const& name) {
  std::unique_ptr<text::Tokenizer> of_model, of_data;
  if (text::has_tokenizer(model)) of_model = text::load_tokenizer(model.string());
  if (auto const& folder = data.tokenizer_directory(); folder && text::has_tokenizer(*folder))
    of_data = text::load_tokenizer(folder->string());
  check(!of_model || !of_data || of_model->fingerprint() == of_data->fingerprint(), Fault::content,
        "{} was prepared with another tokenizer ({}) than the model's ({}): prepare the text with --tokenizer {}",
        name.empty() ? data.path().string() : name, of_data ? of_data->name() : "", of_model ? of_model->name() : "",
        model.string());
  return of_data ? std::move(of_data) : std::move(of_model);
}

}  // namespace folio::cli

// Data beside the model that reads them: the same vocabulary, the same tokenizer, and how many bytes a token spells.
#pragma once

#include <memory>

#include "data/dataset.h"
#include "text/tokenizer.h"

namespace folio::cli {

/// Plain ids name no vocabulary: the model's is meant. Prepared data name theirs, which the model's must hold
/// (Fault::content).
data::Dataset open_data(std::string const& path, int64_t model_vocab);

/// The data's tokenizer, else the model's; null where neither has one. Throws Fault::content where they differ.
std::unique_ptr<text::Tokenizer> tokenizer_of(data::Dataset const&, Path const& model, std::string const& name = "");

}  // namespace folio::cli

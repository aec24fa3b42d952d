// config.json of a model directory: every key that Hugging Face transformers writes for a GPT-2, so that it loads there
// unchanged, and an object "folio" for what GPT-2 has no key for. docs/formats.md lists the keys.
#pragma once

#include <optional>

#include "core/dtype.h"
#include "core/file.h"
#include "core/json.h"
#include "model/config.h"

namespace folio::model {

struct ModelInfo {  // what config.json says
  Config config = {};
  std::string tokenizer = "";  // kind that the model was trained with: "gpt2", "char", …; "": not said
  std::optional<int64_t> end_of_text = std::nullopt;  // bos_token_id and eos_token_id
  bool by_folio = false;                              // read: there is a "folio" object
};

std::string config_json(ModelInfo const&, DType stored = DType::f32);

/// Missing keys take GPT-2's defaults, as they do in transformers. What folio does not compute is refused by name.
/// Throws Fault::content with `origin`.
ModelInfo parse_config(Json const&, std::string const& origin);
ModelInfo read_config(Path const& file);

}  // namespace folio::model

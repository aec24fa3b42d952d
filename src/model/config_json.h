// config.json of a model directory: every key that Hugging Face transformers writes for a GPT-2, so that it loads there
// unchanged, and an object "folio" for what GPT-2 has no key for. docs/formats.md lists the keys.
#pragma once

#include "core/dtype.h"
#include "core/json.h"
#include "model/config.h"

namespace folio::model {

std::string config_json(ModelInfo const&, DType stored = DType::f32);

/// Missing keys take GPT-2's defaults, as they do in transformers. What folio does not compute is refused by name.
/// Throws Fault::content with `origin`.
ModelInfo parse_config(Json const&, std::string const& origin);
ModelInfo read_config(Path const& file);

}  // namespace folio::model
